"""Next and previous: predict, at each position, the word that follows and the word before (ELMo's language model)."""

import numpy as np

from tinytx import ops, workers
from tinytx.layers import Linear
from tinytx.ops.cross_entropy import divisor
from tinytx.tasks.task import Task


class NextAndPrevious(Task):
    """A body that reads sentences in both directions, and one linear map from each direction's vectors to logits.

    The next word is predicted from the first half of the last layer's vector, which has read no later word; the previous
    one from the second half, which has read no earlier word.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape)`` returns (B, T, N, 2 D): `tinytx.models.Elmo`. Its config has ``d_model``, which is 2 D,
        ``pad_id``, and the method ``beside``. A body that reads words by their characters gets these in place of ids.
    rng : numpy.random.Generator
        Draws the linear map (D, V): the generator that drew the body.

    Examples
    --------
    >>> from tinytx.models import Elmo, ElmoConfig
    >>> rng = np.random.default_rng(0)
    >>> model = NextAndPrevious(Elmo(ElmoConfig(vocab_size=65), rng=rng), rng=rng)
    >>> model(np.ones((2, 5), int)).shape
    (2, 5, 2, 65)
    """

    unit = "predicted {}, in both directions together"
    needs = Task.needs | {"pad_id": "the id of padding"}

    def __init__(self, body, *, rng):
        super().__init__(body)
        self.head = Linear(self.config.d_model // 2, self.vocab_size, bias=False, **self._drawn_like_the_body(rng))

    def forward(self, ids, tape=None):
        """Return the logits (B, T, 2, V) of each position's next word, and of its previous word, given what the body reads."""
        return self.head(self._last(ids, tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self._last_backward(self.head.backward(dlogits, tape), tape)

    def _last(self, ids, tape=None):
        """Return the last layer's vectors (B, T, 2, D)."""
        layers = self._vectors(ids, tape=tape)
        if tape is not None:
            tape.push(self, layers.shape)
        return layers[:, :, -1].reshape(*layers.shape[:2], 2, -1)

    def _last_backward(self, dx, tape):
        dlayers = np.zeros(tape.pop(self), dx.dtype)
        dlayers[:, :, -1] = dx.reshape(*dx.shape[:2], -1)
        self.body.backward(dlayers, tape)

    def targets(self, ids):
        """Return the next and the previous word of each (B, T, 2): -100 at padding, and where there is none."""
        ids = np.asarray(ids)
        targets = np.full((*ids.shape, 2), self.ignored)
        words = self._words_mask(ids)
        both = words[:, 1:] & words[:, :-1]
        targets[:, :-1, 0] = np.where(both, ids[:, 1:], self.ignored)
        targets[:, 1:, 1] = np.where(both, ids[:, :-1], self.ignored)
        return targets

    def loss(self, ids, letters=None, tape=None, *, count=None):
        """Return the sum of both directions' mean cross-entropies, in nats.

        Parameters
        ----------
        ids : integers (B, T)
            Sentences with a token at each end that stands for the end: it is predicted too.
        letters : integers (B, T, C), optional
            What the body reads, if that is not ids.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        TypeError, ValueError
            If an id is not in the vocabulary, or no row has two words and ``count`` is missing.
        """
        x, targets = self._last(ids if letters is None else letters, tape), self.targets(ids)
        n = divisor(type(self).__name__, targets[..., 0], self.ignored, count)  # of one direction: the sum of two means
        return self._words_loss(x, targets, tape, count=n)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        self._last_backward(self._words_loss_backward(tape), tape)

    def count(self, ids, letters=None):
        """Return the number of pairs of neighbours: each is predicted once from the left and once from the right."""
        return ops.count_targets(self.targets(ids)[..., 0])

    def measure(self, batches):
        """Return ``next_perplexity`` and ``previous_perplexity``, per word.

        Parameters
        ----------
        batches : iterable of (ids,) or (ids, letters)
        """

        def told(batch):
            x, targets = self._last(batch[-1]), self.targets(batch[0])
            return [self._words_told(x[:, :, n], targets[:, :, n]) for n in range(2)]

        both = workers.each(told, batches)
        names = ("next_perplexity", "previous_perplexity")
        return {name: self._words_in_all([parts[n] for parts in both])["perplexity"] for n, name in enumerate(names)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words, whose letters are the digits of their ids."""
        ids = rng.integers(1, self.vocab_size, (n, length))
        return ids, *(array.reshape(n, length, -1) for array in self.config.beside(ids.astype(str).ravel().tolist()))
