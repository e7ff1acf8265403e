"""Induction scores: what counts as having followed an earlier place, and which positions are asked."""

import numpy as np
import pytest

from tinytx.metrics import induction_scores

IDS = np.array([[4, 7, 4, 5, 4, 7]])


def test_each_place_that_followed_counts():
    """Of the third 4 (position 4) the places behind the first two count, 1 and 3; of the second 7 place 2; no others."""
    weights = np.zeros((1, 2, 6, 6))
    weights[0, 0] = np.tri(6) / np.arange(1, 7)[:, None]  # even
    for t, places in ((2, [1]), (4, [1, 3]), (5, [2])):
        weights[0, 1, t, places] = 1 / len(places)
    even = np.mean([1 / 3, 2 / 5, 1 / 6])
    np.testing.assert_allclose(induction_scores(weights, IDS), [even, 1.0])


def test_only_positions_that_ask_count():
    weights, asks = np.zeros((1, 1, 6, 6)), np.zeros((1, 6), bool)
    weights[0, 0, 4, 3], asks[0, [0, 4]] = 0.6, True  # nothing was before position 0: it is left out
    assert induction_scores(weights, IDS, asks).tolist() == [0.6]
    assert induction_scores(weights, IDS).tolist() == pytest.approx([0.2])


@pytest.mark.parametrize(
    ("weights", "ids", "says"),
    [
        (np.zeros((1, 6, 6)), IDS, r"shape \(1, 6, 6\) and ids \(1, 6\), expected \(B, H, T, T\)"),
        (np.zeros((1, 1, 6, 6)), IDS[:, :5], "expected"),
        (np.zeros((1, 1, 6, 5)), IDS, "expected"),
        (np.zeros((1, 1, 6, 6)), np.arange(6)[None], "no token that counts was there before"),
    ],
)
def test_errors(weights, ids, says):
    with pytest.raises(ValueError, match=f"induction_scores: .*{says}"):
        induction_scores(weights, ids)
