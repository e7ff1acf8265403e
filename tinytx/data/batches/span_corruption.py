"""Span corruption: spans of a text are cut out, and are what a model is to say (T5; Raffel et al. 2019, 1910.10683, 3.1.4).

Each span leaves a sentinel in its place, a token that occurs nowhere else. The target names the sentinels again, each
with the words that it stands for::

    text      Thank you for inviting me to your party last week
    inputs    Thank you <0> me to your party <1> week
    target    <0> for inviting <1> last

So inputs and target together hold every word once, and `restored_spans` makes the text of them again. Sizes as in the
authors' code, for n words of which a share ``rate`` is cut out, in spans of ``mean_length`` words:

    cut out   c = round(rate n), from 1 to n - 1                         (1)
    spans     m = round(c / mean_length), from 1 to min(c, n - c)        (2)

All words that are cut out, in their order, are divided into m spans, none empty, each division with equal probability.
The words that stay are divided in the same way. The two kinds of pieces alternate, and one that stays is the first. So
the first word is never cut out, and the last one always is. All texts of one length have inputs of one length n - c + m,
and targets of one length c + m, before a stop token is added. The picture in the paper ends the target with one more
sentinel; the authors' code does not, and neither does this.
"""

import numpy as np

from tinytx.arguments import check_number
from tinytx.data.batches.windows import one_row
from tinytx.shapes import check_integers


def corrupt_spans(ids, *, rng, sentinels, rate=0.15, mean_length=3.0):
    """Cut spans out of a text.

    Parameters
    ----------
    ids : integers (n,)
        At least two, none of them a sentinel.
    rng : numpy.random.Generator
    sentinels : integers (k,)
        Distinct ids, the first span's first. T5's own are the last ids of its vocabulary, in descending order.
    rate : float in 0..1
        The share of words that are cut out: (1).
    mean_length : float, at least 1
        Words in a span: (2).

    Returns
    -------
    inputs : int64 array (n - c + m,)
    target : int64 array (c + m,)

    Raises
    ------
    TypeError, ValueError
        If ids or sentinels are not rows of integers, there are fewer than two words or fewer sentinels than spans, a
        sentinel is among the ids, or a number is out of its range.

    Examples
    --------
    >>> inputs, target = corrupt_spans(range(10, 22), rng=np.random.default_rng(0), sentinels=[99, 98], rate=0.3, mean_length=2)
    >>> inputs.tolist(), target.tolist()
    ([10, 11, 12, 13, 14, 15, 99, 18, 19, 98], [99, 16, 17, 98, 20, 21])
    """
    place = "corrupt_spans"
    ids, sentinels = one_row(place, ids).astype(np.int64), _checked_sentinels(place, sentinels)
    check_number(place, "rate", rate, "0..1", lambda share: 0 <= share <= 1)
    check_number(place, "mean_length", mean_length, "a number of at least 1", lambda length: 1 <= length < np.inf)
    n = len(ids)
    if n < 2:
        raise ValueError(f"{place}: ids has {n} of at least 2 words: one to cut out, and one that stays")
    if found := set(sentinels.tolist()).intersection(ids.tolist()):
        raise ValueError(f"{place}: ids has the sentinel {min(found)}, expected words only")
    n_cut, n_spans = corrupted_sizes(n, rate, mean_length)
    if n_spans > len(sentinels):
        raise ValueError(f"{place}: {n} words have {n_spans} spans, and there are {len(sentinels)} sentinels: give more")
    stay, cut = _divided(n - n_cut, n_spans, rng), _divided(n_cut, n_spans, rng)
    first = np.cumsum(stay + cut) - cut  # where each span begins
    is_cut, is_first, is_mark = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n_cut + n_spans, bool)
    is_first[first] = True
    is_cut[np.repeat(first - np.cumsum(cut) + cut, cut) + np.arange(n_cut)] = True
    is_mark[np.cumsum(cut) - cut + np.arange(n_spans)] = True
    inputs, target = ids.copy(), np.empty(n_cut + n_spans, np.int64)
    inputs[is_first] = target[is_mark] = sentinels[:n_spans]
    target[~is_mark] = ids[is_cut]
    return inputs[is_first | ~is_cut], target


def corrupted_sizes(n, rate=0.15, mean_length=3.0):
    """Return (how many of n words are cut out, in how many spans): (1) and (2).

    Examples
    --------
    >>> corrupted_sizes(568)  # inputs of 568 - 85 + 28 = 511 ids, and a target of 113, before each one's stop token
    (85, 28)
    """
    n_cut = min(max(round(n * rate), 1), n - 1)
    return n_cut, min(max(round(n_cut / mean_length), 1), n_cut, n - n_cut)


def restored_spans(inputs, target, sentinels):
    """Return the text of which `corrupt_spans` made inputs and target: each sentinel's words in its place.

    Parameters
    ----------
    inputs, target : integers (n,)
        As a model may write one, the target's sentinels may have another order, be missing (then they stand for no word)
        or occur again (then the first counts); words before its first sentinel are left out.
    sentinels : integers (k,)

    Returns
    -------
    int64 array (n,)

    Raises
    ------
    TypeError, ValueError
        If one is not a row of integers.

    Examples
    --------
    >>> restored_spans([10, 11, 99, 14, 98], [99, 12, 13, 98, 20], sentinels=[99, 98])
    array([10, 11, 12, 13, 14, 20])
    """
    place = "restored_spans"
    inputs, target, sentinels = one_row(place, inputs), one_row(place, target), _checked_sentinels(place, sentinels)
    sentinels, words, current = set(sentinels.tolist()), {}, []
    for i in target.tolist():
        if i in sentinels:
            current = []
            words.setdefault(i, current)
        else:
            current.append(i)
    pieces = [words.get(i, []) if i in sentinels else [i] for i in inputs.tolist()]
    return np.array([i for piece in pieces for i in piece], np.int64)


def _divided(n, m, rng):
    """Return the lengths (m,) of m pieces of n words, none empty: each division with equal probability."""
    edges = np.zeros(m + 1, np.int64)
    edges[1:-1], edges[-1] = np.sort(rng.choice(n - 1, m - 1, replace=False)) + 1, n
    return edges[1:] - edges[:-1]


def _checked_sentinels(place, sentinels):
    sentinels = check_integers(place, sentinels, "sentinels")
    if sentinels.ndim != 1 or len(set(sentinels.tolist())) < len(sentinels):
        raise ValueError(f"{place}: sentinels are {sentinels.tolist()!r:.60}, expected a row of distinct ids")
    return sentinels
