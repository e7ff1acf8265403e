"""Batches of pairs of similar lengths, bounded by the number of tokens, in a new order in each epoch.

All rows of an array have one length, so shorter rows are padded, and computing on padding is wasted time. So pairs are
sorted by length and cut into buckets with at most ``max_padding`` padding. In each epoch the pairs of a bucket are
shuffled and cut into batches; then the batches are shuffled.

The buckets, and the number of batches of each, depend on the lengths alone. So every epoch has the same number of
batches, and batch ``step`` of a run depends on (seed, step): a run that resumes at step 500 gets the same batch 500.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.data.batches.epochs import Epochs
from tinytx.data.batches.rows import pad


class PairBatch(NamedTuple):
    """One batch. The model reads ``target[:, :-1]`` and predicts ``target[:, 1:]``, each token from those before it.

    Attributes
    ----------
    source : int64 array (B, S)
    target : int64 array (B, T + 1)
        Each row begins with the start token, and ends with the stop token and padding.
    pairs : int64 array (B,)
        The position of each row's pair in the lists of all pairs.
    """

    source: np.ndarray
    target: np.ndarray
    pairs: np.ndarray


class PairBatches(Epochs):
    """The batches of a corpus of pairs, by epoch or by step.

    Parameters
    ----------
    sources : list of integer arrays (S,), not empty
    targets : list of integer arrays (T + 1,), with start and stop
        As `encode_pairs` returns them.
    max_tokens : int
        The largest number of ids in ``source``, and in ``target``, of one batch, padding included.
    pad_id : int
        The id of padding, in source and target; it must not be a token of a pair.
    seed : int, not negative
        Determines the order. A mean over an epoch, as in validation, does not depend on it.
    max_padding : float in 0..1
        The largest share of padding among all ids of an epoch. A smaller one makes smaller buckets, so less mixing and
        more small batches. With 0 all pairs of a batch have the same two lengths.

    Raises
    ------
    ValueError
        If there are no pairs, or not as many sources as targets, a row is empty, contains ``pad_id`` or is longer than
        ``max_tokens``, or a number is out of its range.

    Examples
    --------
    >>> sources, targets = [np.array([5, 6]), np.array([7])], [np.array([1, 8, 2]), np.array([1, 8, 9, 2])]
    >>> batches = PairBatches(sources, targets, max_tokens=8, pad_id=0, seed=0, max_padding=0.2)
    >>> batch = batches.batch(0)
    >>> batch.source
    array([[7, 0],
           [5, 6]])
    """

    def __init__(self, sources, targets, *, max_tokens, pad_id, seed, max_padding=0.1):
        if not len(sources) or len(sources) != len(targets):
            raise ValueError(f"PairBatches: {len(sources)} sources and {len(targets)} targets, expected as many, not 0")
        check_number("PairBatches", "max_padding", max_padding, "0..1", lambda share: 0 <= share <= 1)
        seed = check_whole("PairBatches", "seed", seed, least=0)
        max_tokens = check_whole("PairBatches", "max_tokens", max_tokens)
        _check_rows(sources, targets, max_tokens, pad_id)
        self.sources, self.targets = sources, targets
        self.max_tokens, self.pad_id, self.seed = max_tokens, pad_id, seed
        self._lengths = np.array([list(map(len, sources)), list(map(len, targets))])  # (2, pairs)
        self._buckets = [(bucket, self._n_batches(bucket)) for bucket in _buckets(self._lengths, max_padding)]
        super().__init__()

    def __len__(self):
        """Return the number of batches in an epoch, which is the same in all epochs."""
        return sum(n for _, n in self._buckets)

    def batch(self, step):
        """Return batch ``step`` of the run, counted from 0 through all epochs.

        Parameters
        ----------
        step : int, not negative

        Returns
        -------
        PairBatch
        """
        _, pairs = self._rows_of(step)
        source, target = (pad([rows[i] for i in pairs], self.pad_id) for rows in (self.sources, self.targets))
        return PairBatch(source, target, pairs)

    def padding(self, epoch=0):
        """Return the share of padding among all ids of an epoch's batches, a float in 0..max_padding."""
        padded = sum(len(pairs) * int(self._lengths[:, pairs].max(1).sum()) for pairs in self._plan(epoch))
        return 1 - int(self._lengths.sum()) / padded

    def _n_batches(self, bucket):
        """Return the number of batches of a bucket, such that none exceeds max_tokens, whichever pairs it gets."""
        pairs_in_batch = self.max_tokens // int(self._lengths[:, bucket].max())
        return -(-len(bucket) // pairs_in_batch)

    def _planned(self, epoch):
        """Return the list of an epoch's batches, each an array of positions of pairs."""
        rng = np.random.default_rng([self.seed, epoch])
        plan = [part for bucket, n in self._buckets for part in np.array_split(rng.permutation(bucket), n)]
        return [plan[i] for i in rng.permutation(len(plan))]


def _check_rows(sources, targets, max_tokens, pad_id):
    for position, pair in enumerate(zip(sources, targets, strict=True)):
        for side, row in zip(("source", "target"), pair, strict=True):
            if not len(row):
                raise ValueError(f"PairBatches: the {side} of pair {position} is empty; remove the pair")
            if len(row) > max_tokens:
                raise ValueError(
                    f"PairBatches: the {side} of pair {position} has {len(row)} tokens, more than max_tokens "
                    f"{max_tokens}; raise it, or leave out such pairs with encode_pairs(max_len=...)"
                )
            if (np.asarray(row) == pad_id).any():
                raise ValueError(
                    f"PairBatches: the {side} of pair {position} has pad_id {pad_id} among its tokens; "
                    "take an id that stands for nothing else, such as a tokenizer's pad_id"
                )


def _buckets(lengths, max_padding):
    """Sort the pairs by length and cut them into buckets with at most max_padding padding.

    Sources are sorted by rising length; among sources of one length targets rise, and among those of the next length
    they fall, so that neighbours differ little in both.

    Parameters
    ----------
    lengths : int array (2, pairs)

    Returns
    -------
    buckets : list of int arrays, positions of pairs
    """
    source, target = lengths
    order = np.lexsort((np.where(source % 2, target, -target), source))
    cuts = []
    n = tokens = longest_source = longest_target = 0  # of the bucket so far
    for position, (s, t) in enumerate(lengths.T[order].tolist()):
        widths = max(longest_source, s) + max(longest_target, t)
        area = (n + 1) * widths
        if (area - tokens - s - t) / area > max_padding:  # a share: 29 / 100 is 0.29, and 0.29 * 100 is less than 29
            cuts.append(position)
            n = tokens = longest_source = longest_target = 0
        n, tokens = n + 1, tokens + s + t
        longest_source, longest_target = max(longest_source, s), max(longest_target, t)
    return np.split(order, cuts)
