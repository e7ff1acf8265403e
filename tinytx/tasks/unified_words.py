"""Unified words: predict hidden words under three masks, and write targets with the same weights (UniLM).

The *prefix* of a row determines how the row is read (`tinytx.models.Unilm`, equation (1)): both ways, left to right, or
sequence to sequence. Training is that of `HiddenWords`, with a mask for each row.

In decoding, the last token is always a mask token. The model predicts a word there, which then replaces the mask
token::

    the stack reads    start source stop   w1  w2  [MASK]       from the last vector it predicts w3
    and then           start source stop   w1  w2  w3  [MASK]

The words before the mask token do not see it. So their keys and values do not change, and a state keeps them. The word
that replaces the mask token has other keys and values, so those of the mask token are removed after each step. Each
step therefore reads two positions, the new word and the mask token.
"""

import numpy as np

from tinytx.data.batches.three_masks import SEGMENTS, WAYS
from tinytx.tasks.hidden_words import HiddenWords


class UnifiedWords(HiddenWords):
    """A body that reads in three ways, and the head of `HiddenWords`.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, segments=segments, prefix=prefix, state=state)`` returns (B, T, D): `tinytx.models.Unilm`.
    rng : numpy.random.Generator
        Draws the head: the generator that drew the body.
    **heads
        As for `HiddenWords`, without ``next_sentence``.

    Examples
    --------
    >>> from tinytx.decoding import greedy
    >>> from tinytx.models import Unilm, UnilmConfig
    >>> rng = np.random.default_rng(0)
    >>> model = UnifiedWords(Unilm(UnilmConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), rng=rng)
    >>> model.loss(*model.random_batch(rng, 3, 6)) > 0
    True
    >>> greedy(model, np.full((2, 5), 7), 4, stop=()).ids.shape
    (2, 4)
    """

    slides = False

    @property
    def max_len(self):
        """The largest number of positions for words in decoding: one position is for the mask token."""
        return self.config.max_len - 1

    def forward(self, ids, tape=None, *, segments=None, prefix=None):
        """Return the logits (B, T, V) of the word at each position."""
        return self.word_logits(self._vectors(ids, tape=tape, segments=segments, prefix=prefix), tape)

    def loss(self, ids, targets, segments, prefix, tape=None, *, count=None):
        """Return the mean loss per hidden word, in nats.

        Parameters
        ----------
        ids, targets, segments : integers (B, T)
            A target of -100 does not count.
        prefix : integers (B,)
            The length of each row's prefix, which all words of the row see.
        tape : Tape, optional
        count : array (2,), optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        TypeError, ValueError
            As for `HiddenWords.loss` and the body.
        """
        return super().loss(ids, targets, segments, tape=tape, count=count, prefix=prefix)

    def count(self, ids, targets, segments=None, prefix=None):
        """Return the divisors of `loss`, an array (2,): the number of hidden words, and 0."""
        return super().count(ids, targets)

    def measure(self, batches):
        """Return how well hidden words are predicted.

        Parameters
        ----------
        batches : iterable of (ids, targets, segments, prefix)

        Returns
        -------
        dict
            ``perplexity`` and ``accuracy`` over all hidden words; and for each of the three ways to read that occurs in
            the batches, the accuracy under its name.
        """
        batches, measured = list(batches), {}
        for way, name in enumerate(WAYS):
            rows = [segments[:, 0] == SEGMENTS[way, 0] for _, _, segments, _ in batches]
            parts = [[array[own] for array in batch] for batch, own in zip(batches, rows) if own.any()]
            if parts:
                measured[name] = self._words_measured(parts, self._asked)["accuracy"]
        return self._words_measured(batches, self._asked) | measured

    def _asked(self, ids, targets, segments, prefix):
        """Return (input of the output layer (n, D), targets (n,)) of the hidden words of a batch."""
        asked = targets >= 0
        return self._transformed(self.body(ids, segments=segments, prefix=prefix)[asked]), targets[asked]

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words, of which the first half is the prefix."""
        ids, targets = super().random_batch(rng, n, length)[:2]
        return ids, targets, np.full((n, length), SEGMENTS[2, 1]), np.full(n, length // 2)

    def begin(self, source):
        """Return what decoding starts with: ids ``start source stop`` (B, S + 2), and (): no constant inputs."""
        ends = (np.full((len(source), 1), i) for i in (self.config.start_id, self.config.stop_id))
        start, stop = ends
        return np.concatenate([start, source, stop], axis=1), ()

    def last_logits(self, new, *, state):
        """Return the logits (B, V) of the word after ``new`` (B, t).

        The first call reads the source as `begin` returns it. Each later call reads the words of the target that
        ``state`` does not hold yet.
        """
        b, t = new.shape
        is_source = not state.length
        ids = np.concatenate([new, np.full((b, 1), self.config.mask_id)], axis=1)
        segments = np.full(ids.shape, SEGMENTS[2, 1])
        if is_source:
            segments[:, :-1] = SEGMENTS[2, 0]
        x = self.body(ids, segments=segments, prefix=t if is_source else 0, state=state)
        state.forget(1)
        return self.word_logits(x[:, -1])
