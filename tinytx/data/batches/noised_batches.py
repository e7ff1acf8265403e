"""Batches of texts with noise and the texts that a model makes of them: what span corruption and infilling are trained on.

A row's noise depends on (seed, epoch, row), or on (seed, row) if it stays the same in all epochs; the order of rows depends
on (seed, epoch). So a run that resumes at step 500 gets the same batch 500, and a row's noise does not depend on the other
rows of its batch or on the batch's size.
"""

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.data.batches.epochs import Epochs
from tinytx.data.batches.rows import pad

_NOISE, _ORDER = 5, 6  # streams of random numbers from one seed; masks and pairs of sentences use 1 to 4


class NoisedBatches(Epochs):
    """The batches of an encoder-decoder that restores texts, by step or by epoch: ``batches(step)`` is what its loss takes.

    In each epoch every row occurs once, in a new random order, and batches have nearly equal sizes.

    Parameters
    ----------
    rows : list, not empty
        What ``noised`` takes: a text's ids, or the list of its sentences' ids.
    noised : function (row, rng) -> (source, target)
        Two rows of ids, without start and stop: `corrupt_spans`, or a function of yours that calls `infilled`.
    batch_size : int
        B, the largest number of rows in a batch.
    pad_id, start_id, stop_id : int
    seed : int, not negative
        Determines order and noise.
    dynamic : bool
        Noise a row differently in each epoch. False: the same in all epochs, for a validation loss.

    Raises
    ------
    TypeError, ValueError
        If there are no rows, or a number is out of its range.

    Examples
    --------
    >>> def noised(ids, rng):
    ...     return infilled(ids, rng=rng, mask_id=3, rate=0.5), ids
    >>> from tinytx.data import infilled
    >>> batches = NoisedBatches([[7, 8, 9], [5, 6]], noised, batch_size=2, pad_id=0, start_id=1, stop_id=2, seed=0)
    >>> source, target = batches(0)
    >>> target
    array([[1, 5, 6, 2, 0],
           [1, 7, 8, 9, 2]])
    """

    def __init__(self, rows, noised, *, batch_size, pad_id, start_id, stop_id, seed, dynamic=True):
        check_list("NoisedBatches", "rows", rows, of="integer arrays")
        if not len(rows):
            raise ValueError("NoisedBatches: there are no rows; the text may be too short for one")
        self.rows, self.noised, self.dynamic = rows, noised, dynamic
        self.batch_size = check_whole("NoisedBatches", "batch_size", batch_size)
        self.seed = check_whole("NoisedBatches", "seed", seed, least=0)
        self.pad_id, self.start_id, self.stop_id = pad_id, start_id, stop_id
        super().__init__()

    def __len__(self):
        """Return the number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def batch(self, step):
        """Return batch ``step`` of the run, counted from 0 through all epochs.

        Parameters
        ----------
        step : int, not negative

        Returns
        -------
        source : int64 array (B, S)
            Padded at its end, as the target is.
        target : int64 array (B, T + 1)
            With start and stop.
        """
        epoch, chosen = self._rows_of(step)
        sources, targets = [], []
        for row in chosen.tolist():
            rng = np.random.default_rng([self.seed, _NOISE, epoch + 1 if self.dynamic else 0, row])
            source, target = self.noised(self.rows[row], rng)
            sources.append(source)
            targets.append(np.concatenate([[self.start_id], target, [self.stop_id]]))
        return pad(sources, self.pad_id), pad(targets, self.pad_id)

    __call__ = batch

    def _planned(self, epoch):
        order = np.random.default_rng([self.seed, _ORDER, epoch]).permutation(len(self.rows))
        return np.array_split(order, len(self))
