"""Rows read in three ways: what is hidden stands nowhere, the row can be put together again, shares are those asked for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import hidden_three_ways

PAD, START, STOP, MASK = 0, 1, 2, 4


def batch_of(seed=0, n=6):
    """Return (source, target) whose words are all different, padded to several lengths."""
    rng, sources, targets = np.random.default_rng(seed), np.zeros((n, 7), np.int64), np.zeros((n, 8), np.int64)
    words = 10 + rng.permutation(100)
    for row in range(n):
        s, t = rng.integers(1, 8), rng.integers(1, 7)
        sources[row, :s], targets[row, : t + 2] = words[:s], [START, *words[10 : 10 + t], STOP]
    return sources, targets


def hidden(source, target, seed=0, **options):
    return hidden_three_ways(source, target, rng=np.random.default_rng(seed), pad_id=PAD, mask_id=MASK, **options)


@given(seed=st.integers(0, 50), way=st.integers(0, 2), rate=st.sampled_from([0, 0.3, 1]))
def test_rows(seed, way, rate):
    source, target = batch_of(seed)
    shares = np.eye(3)[way]
    ids, targets, segments, prefix = hidden(source, target, seed, shares=shares, rate=rate, target_rate=rate)
    assert ids.shape[1] == (ids != PAD).sum(axis=1).max()
    for row in range(len(source)):
        words, said = source[row][source[row] != PAD], target[row][target[row] != PAD]
        n, n_source = 1 + len(words) + len(said), len(words) + 2
        whole = [START, *words, STOP, *said[1:]]
        asked = targets[row] != -100
        assert np.where(asked, targets[row], ids[row])[:n].tolist() == whole and (ids[row, n:] == PAD).all()
        assert (ids[row][asked] == MASK).all() and not np.isin(targets[row][asked][targets[row][asked] > 9], ids[row]).any()
        may = np.arange(ids.shape[1]) < n
        may[[0, n_source - 1]] = False
        if way == 2:
            may[:n_source] = False
        assert asked.any() and not (asked & ~may).any()
        if rate != 0.3:
            assert asked.sum() == (may.sum() if rate else 1)
        assert prefix[row] == (n, 0, n_source)[way]
        parts = ((0, 1), (2, 2), (3, 4))[way]
        assert segments[row, :n].tolist() == [parts[0]] * n_source + [parts[1]] * (n - n_source)


def test_shares_and_rates():
    """Over 4,000 rows, within 4 standard deviations."""
    source, target = (np.tile(side, (4000, 1)) for side in ([[20, 21, 22, 23]], [[START, 30, 31, 32, STOP]]))
    _, targets, segments, prefix = hidden(source, target, shares=(0.2, 0.3, 0.5), rate=0.4)
    way = np.searchsorted([0, 2, 3], segments[:, 0])
    for kind, share in enumerate((0.2, 0.3, 0.5)):
        assert abs((way == kind).mean() - share) < 4 * math.sqrt(share * (1 - share) / 4000)
        assert set(prefix[way == kind]) == {(10, 0, 6)[kind]}
        n, rate = (8, 0.4) if kind < 2 else (4, 0.7)
        expected = rate + (1 - rate) ** n / n  # where none is drawn, one is hidden
        shown = (targets[way == kind] >= 0).sum() / ((way == kind).sum() * n)
        assert abs(shown - expected) < 4 * math.sqrt(rate * (1 - rate) / (n * 4000 * share))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"source": [[0.5]]}, TypeError, "source have dtype float64"),
        ({"source": [5, 6]}, ValueError, r"source has shape \(2,\) and target \(1, 3\), expected"),
        ({"rate": 2}, ValueError, r"rate is 2, expected 0\.\.1"),
        ({"target_rate": -1}, ValueError, r"target_rate is -1, expected 0\.\.1"),
        ({"shares": (0.5, 0.6, 0.1)}, ValueError, "shares are .* of sum 1"),
    ],
)
def test_bad_arguments(change, error, message):
    given = {"source": [[5]], "target": [[START, 6, STOP]]} | change
    with pytest.raises(error, match=f"hidden_three_ways: {message}"):
        hidden(given.pop("source"), given.pop("target"), **given)
