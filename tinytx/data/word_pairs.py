"""How often words of a text stand near each other (Pennington, Socher and Manning 2014)."""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.shapes import check_ids


class WordPairs(NamedTuple):
    """Pairs of words that stand near each other, sorted by the first word and then by the second.

    Attributes
    ----------
    words, contexts : int64 arrays (N,)
    counts : float64 array (N,)
        Above 0.
    """

    words: np.ndarray
    contexts: np.ndarray
    counts: np.ndarray


def cooccurrences(ids, vocab_size, *, window=10):
    """Count pairs of words: two that stand d words apart, d at most ``window``, count 1/d, for each of the two as the first.

    Parameters
    ----------
    ids : integers (n,)
        Words of a text; -1 stands between two sentences, and no pair reaches over it.
    vocab_size : int
        V.
    window : int

    Returns
    -------
    WordPairs

    Raises
    ------
    TypeError, ValueError
        If an id is out of range, or the window is below 1.

    Examples
    --------
    >>> pairs = cooccurrences([0, 1, 2, -1, 0], 3, window=2)
    >>> [*zip(pairs.words.tolist(), pairs.contexts.tolist(), pairs.counts.tolist())]
    [(0, 1, 1.0), (0, 2, 0.5), (1, 0, 1.0), (1, 2, 1.0), (2, 0, 0.5), (2, 1, 1.0)]
    """
    ids = check_ids("cooccurrences", ids, vocab_size, what="word", allowed=-1).ravel()
    window = check_whole("cooccurrences", "window", window)
    sentence = np.cumsum(ids < 0)
    keys, shares = [], []
    for distance in range(1, min(window, len(ids) - 1) + 1):
        left, right = ids[:-distance], ids[distance:]
        near = (sentence[:-distance] == sentence[distance:]) & (left >= 0)  # a mark belongs to the sentence after it
        for first, second in ((left, right), (right, left)):
            key, times = np.unique(first[near] * vocab_size + second[near], return_counts=True)
            keys.append(key)
            shares.append(times / distance)
    if not keys:
        return WordPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    return WordPairs(*np.divmod(key, vocab_size), np.bincount(place, np.concatenate(shares), len(key)))
