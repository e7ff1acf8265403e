"""Nearest neighbours among points in any number of dimensions."""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.ops.affinities import scaled, squared_distances

CHUNK = 1 << 23  # about the largest number of distances in memory: 64 MB of float64


def unit_rows(x):
    """Return x (N, D) with each row divided by its length, so that products of rows are cosines.

    A row of zeros has no direction and stays as it is: its cosine with every other is 0.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite numbers.
    """
    x = check_points("unit_rows", x)
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    x = x / np.where(largest > 0, largest, 1)  # so that no square overflows or underflows
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1)


def check_points(place, x, name="x"):
    """Return x as a float array (N, D); other numbers become float64.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite numbers. The message names the first row with a NaN or an infinity.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{place}: {name} has dtype {x.dtype}, expected numbers")
    if x.ndim != 2:
        raise ValueError(f"{place}: {name} has shape {x.shape}, expected (N, D)")
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise ValueError(f"{place}: row {int(np.argmin(finite))} of {name} has a NaN or an infinity")
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def neighbours(x, n=10):
    """Return each point's nearest others.

    Parameters
    ----------
    x : array (N, D)
        For rows from `unit_rows` the nearest points are those with the largest cosine.
    n : int
        The number of neighbours, 1 to N - 1.

    Returns
    -------
    ids : integers (N, n)
        Rows of x, the nearest first; equally near ones in the order of x.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite numbers, or there are not n others.
    """
    x, n = check_points("neighbours", x), check_whole("neighbours", "n", n)
    if n >= len(x):
        raise ValueError(f"neighbours: n is {n}, expected at most {len(x) - 1}, the number of other points")
    columns, step = scaled(x), max(1, CHUNK // len(x))
    return np.concatenate([_nearest(columns, at, min(at + step, len(x)), n) for at in range(0, len(x), step)])


def _nearest(columns, first, last, n):
    """Return the neighbours of the points first..last - 1."""
    distances = np.empty((last - first, columns.shape[1]))
    squared_distances(distances, columns, first, last)
    distances[np.arange(last - first), np.arange(first, last)] = np.inf
    return smallest(distances, n)


def smallest(values, n):
    """Return (R, n), the columns of each row's n smallest values (R, N), the smallest first, ties by column."""
    border = np.partition(values, n - 1, axis=1)[:, n - 1 : n]
    ids = np.empty((len(values), n), np.int64)
    for out, row, last in zip(ids, values, border, strict=True):
        near = np.flatnonzero(row <= last)
        out[...] = near[np.argsort(row[near], kind="stable")[:n]]
    return ids


def neighbours_kept(x, y, n=10):
    """Return the mean share of each point's neighbours that are neighbours on the map: 1 is all, n / (N - 1) is chance.

    Parameters
    ----------
    x : array (N, D), float32 or float64
        The points.
    y : array (N, 2)
        The map.
    n : int
        The number of neighbours, 1 to N - 1.

    Returns
    -------
    share : float
        The mean, over all points, of the part of its n nearest in x that are among its n nearest in y.

    Raises
    ------
    TypeError, ValueError
        If x or y is no matrix of finite numbers, their lengths differ, or there are fewer than n neighbours.
    """
    x, y = check_points("neighbours_kept", x), check_points("neighbours_kept", y, "y")
    if len(x) != len(y):
        raise ValueError(f"neighbours_kept: {len(x)} points and {len(y)} on their map")
    pairs = zip(neighbours(x, n), neighbours(y, n), strict=True)
    return sum(len(set(near) & set(shown)) for near, shown in pairs) / (n * len(x))
