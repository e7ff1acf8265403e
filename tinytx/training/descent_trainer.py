"""Steps that go from one example of a batch to the next, each with a descent of its own, at the cost of its rows."""

import math

import numpy as np

from tinytx import workers
from tinytx.training.by_layer import Before
from tinytx.training.trainer import NotFiniteError, Trainer
from tinytx.workers.interruption import held_back

JUDGED = 2000  # examples of which a step says the loss


class DescentTrainer(Trainer):
    """Runs training steps in which each example of a batch changes the tables before the next one reads them.

    A step of `Trainer` makes one gradient of a batch, and changes whole tables. Here nothing can be clipped or accumulated.
    A subclass says what a batch is: ``_checked_batch``, ``_tables``, ``_sums`` and ``_descend``.

    Parameters
    ----------
    model : Task
    optimizer : Optimizer
        Of the subclass's ``kind``, without momentum and weight decay. Its learning rate is that of each example, it counts
        the steps, and holds what is remembered between them.
    clip : None or 0
    threads : int
        For `evaluate`. A step is the work of one thread.
    accumulate : 1
    seed : int
        Is not used: nothing is drawn in a step.

    Attributes
    ----------
    grad_norm : float
        How far the last step has moved the tables, divided by the learning rate.

    Raises
    ------
    ValueError
        If something is to be clipped or accumulated, or the optimiser is another one.
    """

    kind = None  # the class of the optimiser

    def __init__(self, model, optimizer, *, clip=None, threads=1, accumulate=1, seed=0):
        super().__init__(model, optimizer, clip=clip, threads=threads, accumulate=accumulate, seed=seed)
        place = type(self).__name__
        if self._ranks.size > 1:
            why = "each example reads the tables as the one before has left them, so several would learn something else"
            raise ValueError(f"{place}: there are {self._ranks.size} ranks, and {why}: start one process, without mpirun")
        if clip or accumulate != 1:
            facts = f"clip is {clip} and accumulate {accumulate}, and each example has a step of its own"
            raise ValueError(f"{place}: {facts}: leave both out")
        decays = any(optimizer.decay_of(name) for name in optimizer.named)
        if type(optimizer) is not self.kind or getattr(optimizer, "momentum", 0) or decays:
            facts = f"the optimiser is {type(optimizer).__name__}"
            expected = f"{self.kind.__name__} without momentum and weight decay"
            raise ValueError(f"{place}: {facts}, expected {expected}, which is what a step does")

    def step(self, *batch, state=None):
        """Take a step of descent for each example, one after the other.

        Parameters
        ----------
        *batch : arrays
            As the task's loss takes them.
        state : None
            These models remember nothing.

        Returns
        -------
        float
            The mean loss before the step, of 2,000 of the examples at most, which lie evenly among them.

        Raises
        ------
        TypeError, ValueError
            If the batch is none that the loss takes.
        NotFiniteError
            If the loss is not finite, or a number would not be; tables and optimiser are as before.
        """
        place, rate = f"{type(self).__name__}: step {self.optimizer.t}", self.optimizer.learning_rate
        batch = self._checked_batch(place, *batch)
        with held_back(), workers.use(self._pool):
            apart = -(-len(batch[0]) // JUDGED)
            loss = self.model.loss(*(array[::apart] for array in batch))
            if not math.isfinite(loss):
                raise NotFiniteError(f"{place}: loss is {loss}; this step was not taken. {self._remedy()}")
            tables, sums = ([(array, _named(ids, len(array))) for ids, array in part(batch)] for part in (self._tables, self._sums))
            before = [array[own] for array, own in tables + sums]
            watched = Before(self.optimizer.named) if self.watches else None
            self._descend(batch, self.model.parameters()[0].data.dtype.type(rate))
            moved = [np.linalg.norm((array[own] - old).astype(np.float64)) for (array, own), old in zip(tables + sums, before)]
            if not np.isfinite(moved).all():
                for (array, own), old in zip(tables + sums, before):
                    array[own] = old
                raise NotFiniteError(f"{place}: vectors are not finite; this step was not taken. A smaller learning rate may help")
            self.optimizer.t += 1
            self.grad_norm = math.hypot(*moved[: len(tables)]) / rate if rate else 0.0
            self.by_layer = watched.to_now(rate) if watched else {}
        return loss

    def _checked_batch(self, place, *batch):
        """Return a batch as the kernel takes it; raise TypeError or ValueError where it would read beside the tables."""
        raise NotImplementedError

    def _tables(self, batch):
        """Return [(ids of a batch, table whose rows they name)]: what a step moves."""
        raise NotImplementedError

    def _sums(self, batch):
        """Return the same of arrays that a step changes and that are no parameters."""
        return []

    def _descend(self, batch, rate):
        """Change the tables in place, example after example."""
        raise NotImplementedError


def _named(ids, n):
    """Return which of n rows are named, in ascending order; -1 names none."""
    named = np.zeros(n + 1, bool)
    named[ids] = True  # -1 is the last
    return np.flatnonzero(named[:n])
