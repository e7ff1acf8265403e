"""What counts as different, and how it is told: numbers, NaN and infinities, and limits."""

import math

import numpy as np
import pytest

from tinytx.testing.differences import assert_same, difference, largest_entry

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(1.0, 2.0), (NAN, 1.0), (1.0, NAN), (INF, 1.0), (1.0, INF), (INF, -INF), (INF, NAN), (NAN, -INF), (0.0, 1e-300)],
)
@pytest.mark.parametrize("limit", [0.0, 1e-3])
def test_what_differs(actual, expected, limit):
    """Catches a NaN that is no larger than any limit, whichever side it stands on."""
    found = difference(np.array([5.0, actual, 7.0]), np.array([5.0, expected, 7.0]), limit)
    if abs(actual - expected) <= limit:
        assert found is None
    else:
        assert found.index == (1,) and found.count == 1 and found.entries == 3
        with pytest.raises(AssertionError, match=r"place: y differs at \(1,\)"):
            assert_same({"y": [5.0, actual, 7.0]}, {"y": np.array([5.0, expected, 7.0])}, "place", limit)


@pytest.mark.parametrize("value", [0.0, 1.5, NAN, INF, -INF])
def test_what_is_the_same(value):
    assert difference([value, 1.0], [value, 1.0]) is None


def test_the_worst_is_named():
    """NaN is worse than any number; of numbers the largest gap counts."""
    assert difference([1.0, 5.0, 3.0], [1.0, 2.0, 2.0]).index == (1,)
    assert difference([1.0, 5.0, NAN], [1.0, 2.0, 2.0]).index == (2,)


def test_a_limit_is_relative_to_its_own_array():
    """Catches a small array that is measured by a large one beside it: a thousandth of that is all that counts."""
    expected = {"large": np.array([1e3]), "small": np.array([1.0])}
    assert_same({"large": np.array([1e3 + 5e-3]), "small": np.array([1 + 1e-5])}, expected, "place", 1e-5)
    for actual in ({"large": np.array([1e3 + 5e-2])}, {"small": np.array([1 + 1e-4])}):
        with pytest.raises(AssertionError):
            assert_same(expected | actual, expected, "place", 1e-5)


def test_none_is_no_array():
    y = np.ones(2)
    assert_same({"y": None}, {"y": None}, "place")
    for actual, expected in ((None, y), (y, None)):
        with pytest.raises(AssertionError, match="expected"):
            assert_same({"y": actual}, {"y": expected}, "place")


def test_the_largest_finite_entry():
    assert largest_entry([1.0, -3.0, NAN, INF]) == 3 and largest_entry([]) == largest_entry([NAN]) == 0
