"""Span corruption: nothing is lost, nothing leaks, sizes are the authors', and all divisions are equally likely."""

from collections import Counter
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import corrupt_spans, restored_spans
from tinytx.data.batches.span_corruption import corrupted_sizes

V = 1000
SENTINELS = np.arange(V - 1, V - 301, -1)  # as T5's own vocabulary has them: the first one is the last id


def corrupted(n, seed=0, **options):
    return corrupt_spans(np.arange(n), rng=np.random.default_rng(seed), sentinels=SENTINELS, **options)


@given(
    n=st.integers(2, 600), seed=st.integers(0, 9), rate=st.sampled_from([0, 0.15, 0.5, 0.9, 1]),
    mean_length=st.sampled_from([1, 3.0, 10.5]),
)  # fmt: skip
def test_inputs_and_target_are_the_text(n, seed, rate, mean_length):
    """Inverted exactly; and with words that are all different: each is in one of the two, in its order, none in both."""
    inputs, target = corrupted(n, seed, rate=rate, mean_length=mean_length)
    np.testing.assert_array_equal(restored_spans(inputs, target, SENTINELS), np.arange(n))
    n_cut, n_spans = corrupted_sizes(n, rate, mean_length)
    assert (len(inputs), len(target)) == (n - n_cut + n_spans, n_cut + n_spans)
    stay, cut = inputs[inputs < n], target[target < n]
    assert (np.diff(stay) > 0).all() and (np.diff(cut) > 0).all() and not np.intersect1d(stay, cut).size
    marks = SENTINELS[:n_spans].tolist()
    assert inputs[inputs >= n].tolist() == target[target >= n].tolist() == marks
    pieces = [inputs.tolist(), target.tolist()]
    assert pieces[0][0] == 0 and pieces[0][-1] == marks[-1] and pieces[1][0] == marks[0] and pieces[1][-1] == n - 1
    for piece in pieces:  # no two spans touch, and none is empty
        assert all(a not in marks or b not in marks for a, b in zip(piece, piece[1:]))


def test_sizes_are_those_of_the_authors_code():
    """568 words become 512 ids and 114, stop included: what their settings promise; and the least and the most."""
    inputs, target = corrupted(568)
    assert (len(inputs) + 1, len(target) + 1) == (512, 114)
    assert corrupted_sizes(2) == (1, 1) and corrupted_sizes(3, 1.0) == (2, 1) and corrupted_sizes(9, 0.5, 1.0) == (4, 4)
    assert corrupted_sizes(10, 0.9, 1.0) == (9, 1), "as many spans as there are words to stand between them"


def test_every_division_is_equally_likely():
    """Catches spans that prefer one length: 8 words, 4 cut out in 2 spans, so 3 x 3 divisions; a chi-squared statistic."""
    counts = Counter(tuple(corrupted(8, seed, rate=0.5, mean_length=2)[1].tolist()) for seed in range(900))
    n = comb(3, 1) ** 2
    assert len(counts) == n
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < n - 1 + 3 * np.sqrt(2 * (n - 1))


def test_what_a_model_may_say():
    """Sentinels in another order, twice, or missing; and words before the first."""
    inputs = [1, 99, 2, 98, 3, 97]
    for target, text in (
        ([98, 7, 99, 8, 97, 9], [1, 8, 2, 7, 3, 9]),
        ([99, 8, 99, 7], [1, 8, 2, 3]),
        ([5, 97], [1, 2, 3]),
        ([], [1, 2, 3]),
    ):
        assert restored_spans(inputs, target, [99, 98, 97]).tolist() == text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ids": [5]}, ValueError, "ids has 1 of at least 2 words"),
        ({"ids": [[5, 6]]}, ValueError, r"ids have shape \(1, 2\), expected \(n,\)"),
        ({"ids": [0.5, 1.0]}, TypeError, "ids have dtype float64, expected integers"),
        ({"ids": [5, 99]}, ValueError, "ids has the sentinel 99"),
        ({"sentinels": [99, 99]}, ValueError, r"sentinels are \[99, 99\], expected a row of distinct ids"),
        ({"sentinels": []}, ValueError, "2 words have 1 spans, and there are 0 sentinels: give more"),
        ({"rate": 1.5}, ValueError, r"rate is 1.5, expected 0\.\.1"),
        ({"mean_length": 0.5}, ValueError, "mean_length is 0.5, expected a number of at least 1"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=f"corrupt_spans: {message}"):
        corrupt_spans(**{"ids": [5, 6], "sentinels": [99], "rng": np.random.default_rng(0)} | options)
