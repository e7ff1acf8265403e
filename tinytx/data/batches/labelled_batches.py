"""Batches of texts with labels: a class for each text, or one for each of its tokens.

The order of rows depends on (seed, epoch), so a run that resumes at step 500 gets the same batch 500.
"""

import numpy as np

from tinytx.arguments import INT64, check_list, check_whole
from tinytx.data.batches.epochs import Epochs
from tinytx.data.batches.rows import pad

IGNORE = -100  # the label of padding


class LabelledBatches(Epochs):
    """Texts in a new order in each epoch, padded to the longest of each batch: ``batches(step)`` is what a loss takes.

    Parameters
    ----------
    rows : list of integer arrays (n,)
        Token ids, with the special tokens that the model needs.
    labels : integers (rows,), or list of integer arrays (n,)
        The class of each text, or of each of its tokens.
    batch_size : int
        The largest number of rows in a batch; batches have nearly equal sizes.
    pad_id : int
    seed : int, not negative

    Raises
    ------
    TypeError, ValueError
        If there are no rows, labels do not fit them, or a number is out of its range.

    Examples
    --------
    >>> batches = LabelledBatches([[5, 6], [7], [8, 9]], [1, 0, 1], batch_size=2, pad_id=0, seed=3)
    >>> for ids, labels in batches.epoch():
    ...     print(ids.tolist(), labels.tolist())
    [[8, 9], [7, 0]] [1, 0]
    [[5, 6]] [1]
    """

    def __init__(self, rows, labels, *, batch_size, pad_id, seed):
        super().__init__()
        place = type(self).__name__
        check_list(place, "rows", rows, of="integer arrays")
        if not len(rows) or len(labels) != len(rows):
            raise ValueError(f"{place}: there are {len(labels)} labels for {len(rows)} rows, expected as many, and at least 1")
        self.each_token = bool(np.ndim(labels[0]))
        for number, (row, label) in enumerate(zip(rows, labels)):
            if self.each_token and len(label) != len(row):
                raise ValueError(f"{place}: row {number} has {len(row)} tokens and {len(label)} labels")
        self.rows, self.labels = rows, labels if self.each_token else np.asarray(labels)
        self.batch_size = check_whole(place, "batch_size", batch_size)
        self.pad_id, self.seed = pad_id, check_whole(place, "seed", seed, 0, INT64[1])

    def __len__(self):
        """Return the number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def batch(self, step):
        """Return batch ``step`` of the run: ids (B, T), and labels (B,), or (B, T) with -100 at padding."""
        _, chosen = self._rows_of(step)
        ids = pad([self.rows[row] for row in chosen], self.pad_id)
        if not self.each_token:
            return ids, self.labels[chosen]
        return ids, pad([self.labels[row] for row in chosen], IGNORE)

    __call__ = batch

    def _planned(self, epoch):
        return np.array_split(np.random.default_rng([self.seed, epoch]).permutation(len(self.rows)), len(self))
