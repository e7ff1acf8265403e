"""Pointers: say in which order the elements of an input are to be taken."""

import numpy as np

from tinytx import ops, workers
from tinytx.tasks.task import Task


class Pointers(Task):
    """A body that scores the elements of its input, step by step.

    Parameters
    ----------
    body : Layer
        ``body(elements, order, tape)`` returns scores (B, T, S), and ``body.point(elements)`` an order (B, S):
        `tinytx.models.PointerNetwork`.
    rng : numpy.random.Generator, optional
        Not used: the task has no parameters of its own.

    Examples
    --------
    >>> from tinytx.models import PointerConfig, PointerNetwork
    >>> task = Pointers(PointerNetwork(PointerConfig(), rng=np.random.default_rng(0)))
    >>> numbers = np.random.default_rng(0).random((4, 5, 1), np.float32)
    >>> bool(task.loss(numbers, numbers[:, :, 0].argsort(axis=1)) > 0)
    True
    """

    needs = {"n_features": "the numbers of an element"}
    unit = "element"

    def __init__(self, body, *, rng=None):
        super().__init__(body)

    def n_tokens(self, inputs):
        """Return how many elements are read."""
        return int(np.prod(np.shape(inputs)[:2]))

    def forward(self, elements, order, tape=None):
        """Return the scores (B, T, S)."""
        return self._vectors(elements, order, tape=tape)

    def backward(self, dscores, tape):
        """Add the gradients of all parameters; return (delements, None)."""
        return self.body.backward(dscores, tape)

    def loss(self, elements, order, tape=None, *, count=None):
        """Return the mean cross-entropy of the right positions, in nats.

        Parameters
        ----------
        elements : array (B, S, F)
        order : integers (B, T)
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        """
        loss, saved = ops.cross_entropy(self(elements, order, tape), order, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return what `backward` returns."""
        return self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(elements, order):
        """Return the number of positions to point at, by which `loss` divides."""
        return np.size(order)

    def measure(self, batches):
        """Return ``exact``, the share of rows whose whole order is right, and ``accuracy``, the share of right positions.

        Parameters
        ----------
        batches : iterable of (elements, order (B, S))
            All elements are ordered, without knowing the right ones before.
        """
        right = workers.each(lambda batch: self.body.point(batch[0]) == batch[1], batches)
        accuracy = np.concatenate([part.ravel() for part in right]).mean()
        return {"exact": float(np.concatenate([part.all(axis=1) for part in right]).mean()), "accuracy": float(accuracy)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` elements, and an order of each."""
        elements = rng.random((n, length, self.config.n_features)).astype(self.body.parameters()[0].data.dtype)
        return elements, rng.permuted(np.tile(np.arange(length), (n, 1)), axis=1)
