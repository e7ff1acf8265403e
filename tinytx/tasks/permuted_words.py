"""Permuted words: predict the last words of a random order from those before them, on both sides (XLNet).

A row of T words has an order, a permutation of its positions. Its first words are the context, and one word in K' is
predicted, the last T / K' of the order: with few words to go by, the first ones would be little more than guesses
(partial prediction, Yang et al. 2019, arXiv:1906.08237, 2.3)::

    order      3 0 5 1 | 4 2                             T = 6, K' = 3
    predicted  word 4 from words 3 0 5 1, and word 2 from words 3 0 5 1 4

With K' = 1 all words are predicted, and in the order 0 1 2 ... each from the words to its left, as in a GPT.

Only the rows of predicted words go through the output layer.
"""

import numpy as np

from tinytx import ops
from tinytx.settings import Settings, setting
from tinytx.shapes import check_rows
from tinytx.tasks.task import Task


class PermutedWordsSettings(Settings):
    """The task's settings."""

    one_in: int = setting(6, "one word in this many is predicted, the last ones of each order, K'", minimum=1)


class PermutedWords(Task):
    """A body that reads words in any order, and a linear map from its vectors to the logits of the words.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, order=order, n_context=n_context, segments=segments, state=state)`` returns (B, T, D):
        `tinytx.models.XLNet`.
    rng : numpy.random.Generator, optional
        Draws the head if the body has no ``output_table`` to share: the generator that drew the body.
    **settings
        `PermutedWordsSettings`: ``one_in``.

    Raises
    ------
    TypeError, ValueError
        If a setting is invalid, or the head must be drawn and ``rng`` is missing.

    Examples
    --------
    >>> from tinytx.models import XLNet, XLNetConfig
    >>> rng = np.random.default_rng(0)
    >>> model = PermutedWords(XLNet(XLNetConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), one_in=3)
    >>> ids, order = np.full((2, 6), 7), np.array([[3, 0, 5, 1, 4, 2], [0, 1, 2, 3, 4, 5]])
    >>> model.count(ids, order)
    4
    >>> model.loss(ids, order) > 0
    True
    """

    unit = "predicted {}"

    def __init__(self, body, *, rng=None, **settings):
        super().__init__(body)
        self.own = PermutedWordsSettings(**settings)
        self.head = self._output_layer(rng, bias=True)

    @property
    def settings(self):
        return dict(vars(self.own))

    def forward(self, ids, tape=None, *, order=None, n_context=0, segments=None, state=None):
        """Return the logits (B, T, V) of the word at each position, given the words before it in its order.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        order : integers (B, T), optional
            From left to right if not given.
        n_context, segments, state
            As for `tinytx.models.XLNet`. Logits of the context are of no use.
        """
        ids = check_rows("PermutedWords", ids)
        order = np.broadcast_to(np.arange(ids.shape[1]), ids.shape) if order is None else order
        x = self._vectors(ids, tape=tape, order=order, n_context=n_context, segments=segments, state=state)
        return self.head(x, tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.head.backward(dlogits, tape), tape)

    def fill(self, ids, positions, *, segments=None):
        """Return the probability of each word of the vocabulary at some positions, one after the other.

        The first word is predicted from all that stand at other positions. Its likeliest word is then taken to be there
        when the second is predicted, and so on: so the words that fill a row fit one another.

        Parameters
        ----------
        ids : integers (B, T)
            What stands at ``positions`` is not read; any id will do.
        positions : integers (n,), or (B, n) if each text has its own
            Each in 0..T-1, in the order in which they are filled.
        segments : integers (B, T), optional

        Returns
        -------
        array (B, n, V)
            Each row adds up to 1.

        Raises
        ------
        TypeError, ValueError
            If an id or a position is out of its range, a position occurs twice, or shapes do not fit.
        """
        ids = np.array(check_rows("PermutedWords", ids))
        (b, t), rank = ids.shape, np.zeros(ids.shape, np.int64)
        positions = self._positions(positions, (b, t))
        n = positions.shape[1]
        np.put_along_axis(rank, positions, np.arange(1, n + 1), axis=1)
        if np.count_nonzero(rank) < b * n:
            raise ValueError(f"PermutedWords: a position occurs twice in positions of shape {(b, n)}, expected different ones")
        order, filled = np.argsort(rank, axis=1, kind="stable"), []
        for places in positions.T:
            x = self._vectors(ids, tape=None, order=order, n_context=t - n, segments=segments)
            logits = self.head(ops.select_rows(x, places + t * np.arange(b))[0])  # (B, V)
            filled.append(ops.softmax(logits)[0])
            ids[np.arange(b), places] = logits.argmax(axis=1)
        return np.stack(filled, axis=1)

    def loss(self, ids, order, segments=None, tape=None, *, count=None, state=None):
        """Return the mean cross-entropy of the predicted words, in nats.

        Parameters
        ----------
        ids : integers (B, T)
        order : integers (B, T)
            Each row holds the positions 0..T-1, those of the predicted words at its end.
        segments : integers (B, T), optional
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        state : State, optional
            What the body remembers of the rows before; no gradient flows into it.

        Raises
        ------
        TypeError, ValueError
            If an id is not in the vocabulary, an order is not a permutation, or shapes do not fit.
        """
        x, rows, targets = self._asked(ids, order, segments, tape, state)
        x, saved = ops.select_rows(x, rows)  # (n, D)
        loss = self._words_loss(x, targets, tape, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        saved = tape.pop(self)
        self.body.backward(ops.select_rows_backward(self._words_loss_backward(tape), saved), tape)

    def count(self, ids, order, segments=None):
        """Return the number of predicted words, by which `loss` divides."""
        b, t = np.shape(ids)
        return b * self._n_predicted(t)

    def measure(self, batches):
        """Return ``perplexity`` per predicted word, and ``accuracy``, the share of them that are the likeliest word.

        Parameters
        ----------
        batches : iterable of (ids, order), or (ids, order, segments)
        """

        def predicted(*batch):
            x, rows, targets = self._asked(*batch)
            return x.reshape(-1, x.shape[2])[rows], targets

        return self._words_measured(batches, predicted)

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words, in random orders."""
        order = np.tile(np.arange(length), (n, 1))
        return rng.integers(0, self.vocab_size, (n, length)), rng.permuted(order, axis=1)

    def _n_predicted(self, t):
        """Return how many of t words are predicted."""
        return max(1, t // self.own.one_in)

    def _asked(self, ids, order, segments=None, tape=None, state=None):
        """Return the body's vectors (B, T, D), the rows (n,) of those that predict a word, and these words (n,)."""
        ids, order = check_rows("PermutedWords", ids), np.asarray(order)
        n_context = ids.shape[1] - self._n_predicted(ids.shape[1])
        x = self._vectors(ids, tape=tape, order=order, n_context=n_context, segments=segments, state=state)
        rows = (order[:, n_context:] + ids.shape[1] * np.arange(len(ids))[:, None]).reshape(-1)
        return x, rows, ids.reshape(-1)[rows]
