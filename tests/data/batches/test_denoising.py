"""Infilling and permuted sentences: what is hidden does not leak, what stays keeps its order, and counts are those promised."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import infilled, permuted_sentences
from tinytx.data.batches.denoising import span_lengths

MASK = 10**6


def noised(n, seed=0, **options):
    return infilled(np.arange(n), rng=np.random.default_rng(seed), mask_id=MASK, **options)


@given(
    n=st.integers(0, 300), seed=st.integers(0, 9), rate=st.sampled_from([0, 0.15, 0.3, 0.9, 1]),
    mean_length=st.sampled_from([0.1, 1, 3.0, 20]),
)  # fmt: skip
def test_what_stays_and_what_does_not(n, seed, rate, mean_length):
    """All words are different: exactly round(rate n) are gone, the others are there once, in their order."""
    result = noised(n, seed, rate=rate, mean_length=mean_length)
    stay, n_hidden = result[result != MASK], round(n * rate)
    assert len(stay) == n - n_hidden and (np.diff(stay) > 0).all() and len(result) <= n
    assert (len(result) > len(stay)) == (n_hidden > 0)
    gaps = np.diff(stay, prepend=-1, append=n) > 1  # before, between and behind the words that stay
    masked = np.split(result == MASK, np.flatnonzero(result != MASK) + 1)
    assert all(part.any() for part, gap in zip(masked, gaps) if gap), "words are gone, and no mask stands there"


def test_lengths_are_poissons():
    """Of 20,000 words: the share of each length, 0 included, within 4 standard deviations."""
    lengths = span_lengths(20_000, 3.0, np.random.default_rng(0))
    assert lengths.sum() == 20_000
    for k in range(9):
        p = math.exp(-3) * 3**k / math.factorial(k)
        assert abs((lengths == k).sum() - len(lengths) * p) < 4 * math.sqrt(len(lengths) * p), k


def test_masks_stand_everywhere_alike():
    """One word of four hidden: 4 arrangements; a mask of no words can be first or last, too."""
    counts = Counter(tuple(noised(4, seed, rate=0.25)) for seed in range(800))
    assert len(counts) == 4 and min(counts.values()) > 150
    ends = {(row[0] == MASK and row[1] == 0, row[-1] == MASK and row[-2] == 9)
            for row in (noised(10, seed, rate=0.2, mean_length=0.7) for seed in range(400))}  # fmt: skip
    assert {first for first, _ in ends} == {last for _, last in ends} == {True, False}


def test_sentences_have_every_order():
    sentences = [np.array([1, 2]), np.array([3]), np.array([4, 5, 6])]
    orders = Counter(tuple(len(s) for s in permuted_sentences(sentences, rng=np.random.default_rng(seed))) for seed in range(600))
    assert len(orders) == 6 and min(orders.values()) > 60
    assert permuted_sentences([], rng=np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ids": [[5]]}, ValueError, r"ids have shape \(1, 1\), expected \(n,\)"),
        ({"ids": [0.5]}, TypeError, "ids have dtype float64, expected integers"),
        ({"mask_id": 6}, ValueError, "mask_id 6 is among the ids, expected words only"),
        ({"rate": -0.1}, ValueError, r"rate is -0.1, expected 0\.\.1"),
        ({"mean_length": 0}, ValueError, "mean_length is 0, expected a finite number of at least 0.1"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=f"infilled: {message}"):
        infilled(**{"ids": [5, 6], "mask_id": 0, "rng": np.random.default_rng(0)} | options)
    with pytest.raises(TypeError, match="permuted_sentences: sentences is a str"):
        permuted_sentences("ab", rng=np.random.default_rng(0))
