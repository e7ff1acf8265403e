"""Noise that a model learns to undo: text infilling, and sentences in another order (BART; Lewis et al. 2019, 1910.13461, 2.2).

The noised text is the source, and the whole text the target::

    text          A B C . D E .
    sentences     D E . A B C .                  `permuted_sentences`
    infilling     D _ . A B _ C .                `infilled`, of the permuted text

In infilling a span of any number of words becomes one mask token, so that a model has to find out how many words are
missing, too. A span of no words is a mask between two words that follow each other. With n words, of which a share
``rate`` is hidden, in spans of ``mean_length`` words,

    hidden    c = round(rate n)                                          (1)
    lengths   l_1, l_2, .. from Poisson(mean_length), until their sum is c; the last one is cut so that it is   (2)

Of spans of no words so many are left out that there are at most c spans: a noised text is never longer than the text, and
in texts of more than a few words this changes nothing. The spans, in random order, stand between the n - c words that
stay, before them or behind them: each arrangement with equal probability.
"""

import numpy as np

from tinytx.arguments import check_list, check_number
from tinytx.data.batches.windows import one_row

LEAST = 0.1  # mean length of a span; with 0 no word would ever be hidden


def infilled(ids, *, rng, mask_id, rate=0.3, mean_length=3.0):
    """Hide spans of a text, each behind one mask token.

    Parameters
    ----------
    ids : integers (n,)
    rng : numpy.random.Generator
    mask_id : int
        Not among the ids.
    rate : float in 0..1
        The share of words that are hidden: (1).
    mean_length : float, at least 0.1
        Of a span: (2).

    Returns
    -------
    int64 array (n - c + m,), for m spans

    Raises
    ------
    TypeError, ValueError
        If ids are not a row of integers, the mask token is among them, or a number is out of its range.

    Examples
    --------
    >>> infilled(range(10, 20), rng=np.random.default_rng(0), mask_id=0, rate=0.4)
    array([ 0, 12, 13,  0, 14, 15,  0, 18, 19])
    """
    ids = one_row("infilled", ids).astype(np.int64)
    check_number("infilled", "rate", rate, "0..1", lambda share: 0 <= share <= 1)
    expected = f"a finite number of at least {LEAST}"
    check_number("infilled", "mean_length", mean_length, expected, lambda length: LEAST <= length < np.inf)
    if (ids == mask_id).any():
        raise ValueError(f"infilled: mask_id {mask_id} is among the ids, expected words only")
    lengths = rng.permutation(span_lengths(round(len(ids) * rate), mean_length, rng))
    n_left = len(ids) - lengths.sum() + len(lengths)
    is_mask = np.zeros(n_left, bool)
    is_mask[rng.choice(n_left, len(lengths), replace=False)] = True
    stands_for = np.ones(n_left, np.int64)  # how many words
    stands_for[is_mask] = lengths
    first = np.cumsum(stands_for) - stands_for  # a last mask may stand for none, behind the last word
    return np.where(is_mask, mask_id, np.append(ids, mask_id)[first])


def span_lengths(n_hidden, mean_length, rng):
    """Return the lengths (m,) of spans of ``n_hidden`` words in all: (2)."""
    lengths, left = [], n_hidden
    while left:
        lengths.append(min(int(rng.poisson(mean_length)), left))
        left -= lengths[-1]
    lengths = np.array(lengths, np.int64)
    return np.delete(lengths, np.flatnonzero(lengths == 0)[: max(0, len(lengths) - n_hidden)])


def permuted_sentences(sentences, *, rng):
    """Return the sentences, a list of arrays (n,), in another order: each order with equal probability.

    Examples
    --------
    >>> permuted_sentences([[1, 2], [3], [4, 5]], rng=np.random.default_rng(3))
    [[4, 5], [3], [1, 2]]
    """
    check_list("permuted_sentences", "sentences", sentences, of="integer arrays")
    return [sentences[i] for i in rng.permutation(len(sentences))]
