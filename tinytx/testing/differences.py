"""Says where two arrays differ: the index, both values, and the number of entries that differ."""

from typing import NamedTuple

import numpy as np


class Difference(NamedTuple):
    """The entry with the largest difference between two arrays, and the number of entries that differ."""

    index: tuple
    actual: float
    expected: float
    count: int
    entries: int

    @property
    def size(self):
        return abs(self.actual - self.expected)

    def __str__(self):
        return f"{self.actual!r} against {self.expected!r} ({self.count} of {self.entries} entries differ)"


def difference(actual, expected, limit=0.0):
    """Return the worst `Difference` between arrays of one shape, or None if all entries are within ``limit``.

    Two NaN are equal, and so are two infinities of one sign.
    """
    a, b = np.asarray(actual, float), np.asarray(expected, float)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    differ = ~(gap <= limit) & (a != b) & ~(np.isnan(a) & np.isnan(b))
    if not differ.any():
        return None
    worst = np.argmax(np.where(differ, np.nan_to_num(gap, nan=np.inf, posinf=np.inf), -1.0))
    index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
    return Difference(index, float(a[index]), float(b[index]), int(differ.sum()), a.size)


def largest_entry(array):
    """Return the largest finite absolute value, or 0."""
    sizes = np.abs(np.asarray(array, float))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


def assert_same(actual, expected, what, rtol=0.0):
    """Raise AssertionError where named arrays differ.

    Parameters
    ----------
    actual, expected : dict of str to array
    what : str
        The beginning of the message, before the array's name: "LayerNorm: run a second time: y".
    rtol : float
        The allowed difference: this share of the array's largest entry, plus a thousandth of this share of the largest
        entry of all arrays, because a gradient that is 0 in theory holds rounding errors of other gradients. With 0
        the arrays must be equal to the bit.
    """
    sizes = {name: largest_entry(value) for name, value in expected.items() if value is not None}
    largest = max(sizes.values(), default=0.0)
    for name, value in expected.items():
        found = actual[name]
        if value is None or found is None:
            if value is not found:
                raise AssertionError(f"{what}: {name} is {_kind(found)}, expected {_kind(value)}")
            continue
        if np.shape(found) != np.shape(value):
            raise AssertionError(f"{what}: {name} has shape {np.shape(found)}, expected {np.shape(value)}")
        worst = difference(found, value, rtol * (sizes[name] + 1e-3 * largest) if rtol else 0.0)
        if worst:
            raise AssertionError(f"{what}: {name} differs at {worst.index}: {worst}")


def _kind(value):
    return "None" if value is None else f"an array of shape {np.shape(value)}"
