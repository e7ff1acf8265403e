"""Epochs of batches: in each one the rows have another order, and batch ``step`` of a run depends on the step alone."""

from functools import lru_cache


class Epochs:
    """The base of batches that a run asks for by step, or by epoch.

    A subclass defines ``__len__``, the number of batches in an epoch; ``_planned(epoch)``, the list of an epoch's
    batches, each an array of rows; and ``batch(step)``.
    """

    def __init__(self):
        self._plan = lru_cache(1)(self._planned)  # several threads may call

    def _rows_of(self, step):
        """Return (epoch, rows) of batch ``step`` of the run, counted from 0 through all epochs."""
        epoch, position = divmod(step, len(self))
        if epoch < 0:
            raise ValueError(f"{type(self).__name__}: epoch {epoch}, expected at least 0")
        return epoch, self._plan(epoch)[position]

    def epoch(self, epoch=0):
        """Yield the batches of one epoch, counted from 0."""
        for position in range(len(self)):
            yield self.batch(epoch * len(self) + position)
