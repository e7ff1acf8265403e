"""Pairs of words that stand near each other, counted as their definition has it."""

from collections import defaultdict

import numpy as np
import pytest

from tinytx.data import cooccurrences


@pytest.mark.parametrize("window", [1, 3, 50])
def test_pairs_are_counted_by_their_distance(window):
    """Position by position. Catches pairs of two sentences, a word beside itself, and one that stands at the text's end."""
    ids = np.random.default_rng(0).integers(-1, 6, 40)
    expected = defaultdict(float)
    for t, word in enumerate(ids):
        for s in range(max(0, t - window), t):
            if min(ids[s : t + 1]) >= 0:
                expected[word, ids[s]] += 1 / (t - s)
                expected[ids[s], word] += 1 / (t - s)
    pairs = cooccurrences(ids, 6, window=window)
    assert [*zip(pairs.words, pairs.contexts)] == sorted(expected)
    np.testing.assert_allclose(pairs.counts, [expected[pair] for pair in sorted(expected)], rtol=1e-13)


@pytest.mark.parametrize("ids", [[], [3], [-1, 2, -1, 1], [-1]], ids=str)
def test_a_text_without_pairs(ids):
    assert [len(part) for part in cooccurrences(np.array(ids, int), 4)] == [0, 0, 0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"cooccurrences: word 4 at position \(1,\) is outside 0\.\.3"):
        cooccurrences([0, 4], 4)
    with pytest.raises(ValueError, match="cooccurrences: window is 0"):
        cooccurrences([0, 1], 4, window=0)
