"""Batches of one model that reads in three ways: each row draws its way, and its hidden words (UniLM, 1905.03197).

A row is ``start source stop target stop`` and then padding. Each row is, by chance, read

0. both ways: words of all of it are hidden, and every word is seen;
1. left to right: words of all of it are hidden, and a word sees those before it;
2. sequence to sequence: words of the target are hidden, its stop among them; the source is seen by all, and a word of the
   target sees those before it.

A *prefix* says which way it is, the number of words that all words see: all, none, or those up to the first stop. Of each
row a share of the words that may be hidden is, at least one; each independently, and a mask token takes its place. (The
paper replaces one in ten by a random word, leaves one in ten, and sometimes hides two or three that follow each other.)
``segments`` say where a word stands, and which way it is read: 0 and 1 both ways, 2 left to right, 3 and 4 sequence to
sequence.
"""

import numpy as np

from tinytx.arguments import check_number
from tinytx.data.batches.windows import IGNORE_INDEX
from tinytx.shapes import check_integers

WAYS = ("both_ways", "left_to_right", "sequence_to_sequence")
SHARES = (1 / 3, 1 / 3, 1 / 3)
SEGMENTS = np.array([[0, 1], [2, 2], [3, 4]])  # of each way: of the source, of the target


def hidden_three_ways(source, target, *, rng, pad_id, mask_id, shares=SHARES, rate=0.15, target_rate=0.7):
    """Return what a model that reads in three ways is trained on.

    Parameters
    ----------
    source : integers (B, S)
        Padded at the end.
    target : integers (B, T)
        Start token, words, stop token, padding.
    rng : numpy.random.Generator
    pad_id, mask_id : int
    shares : three floats of sum 1
        How likely each of ``WAYS`` is.
    rate, target_rate : float in 0..1
        The share of words that are hidden; of a target that is read sequence to sequence.

    Returns
    -------
    ids, targets, segments : int64 arrays (B, N)
        ``targets`` is ``IGNORE_INDEX`` (-100) where no word is hidden. N is the length of the longest row.
    prefix : int64 array (B,)

    Raises
    ------
    TypeError, ValueError
        If ids are no integers (B, S) and (B, T), a share or a rate is out of its range.

    Examples
    --------
    >>> rng, source, target = np.random.default_rng(0), [[7, 8, 0], [7, 8, 9]], [[1, 5, 6, 2], [1, 5, 2, 0]]
    >>> ids, targets, segments, prefix = hidden_three_ways(source, target, rng=rng, pad_id=0, mask_id=4, shares=(0, 0, 1))
    >>> ids
    array([[1, 7, 8, 2, 5, 4, 2],
           [1, 7, 8, 9, 2, 4, 2]])
    >>> prefix
    array([4, 5])
    """
    place = "hidden_three_ways"
    source, target = check_integers(place, source, "source"), check_integers(place, target, "target")
    if source.ndim != 2 or target.ndim != 2 or len(source) != len(target) or target.shape[1] < 2:
        raise ValueError(f"{place}: source has shape {source.shape} and target {target.shape}, expected (B, S) and (B, T)")
    for name, value in (("rate", rate), ("target_rate", target_rate)):
        check_number(place, name, value, "0..1", lambda share: 0 <= share <= 1)
    if len(shares) != 3 or not all(0 <= share <= 1 for share in shares) or not np.isclose(sum(shares), 1):
        raise ValueError(f"{place}: shares are {shares}, expected those of {', '.join(WAYS)}, of sum 1")
    way = rng.choice(3, len(source), p=shares)
    start, stop = target[:, :1], np.take_along_axis(target, (target != pad_id).sum(axis=1, keepdims=True) - 1, axis=1)
    row = np.concatenate([start, source, stop, target[:, 1:]], axis=1).astype(np.int64)
    in_target = np.broadcast_to(np.arange(row.shape[1]) > source.shape[1] + 1, row.shape)
    may_be_hidden = (row != pad_id) & np.where(way[:, None] == 2, in_target, np.arange(row.shape[1]) > 0)
    may_be_hidden[:, source.shape[1] + 1] = False  # the stop between source and target
    u = np.where(may_be_hidden, rng.random(row.shape), 2.0)
    hidden = (u < np.where(way == 2, target_rate, rate)[:, None]) | (u == u.min(axis=1, keepdims=True))
    order = np.argsort(row == pad_id, axis=1, kind="stable")[:, : (row != pad_id).sum(axis=1).max()]  # padding goes to the end
    row, hidden, in_target = (np.take_along_axis(each, order, axis=1) for each in (row, hidden, in_target))
    lengths, n_source = (row != pad_id).sum(axis=1), ((row != pad_id) & ~in_target).sum(axis=1)
    prefix = np.choose(way, [lengths, 0 * lengths, n_source])
    segments = SEGMENTS[way[:, None], in_target.astype(np.int64)]
    return np.where(hidden, mask_id, row), np.where(hidden, row, IGNORE_INDEX), segments, prefix
