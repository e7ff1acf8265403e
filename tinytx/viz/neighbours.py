"""Who stands next to whom, among points in any number of dimensions."""

import numpy as np

CHUNK = 1 << 23  # distances that exist at a time, about: 64 MB of float64


def unit_rows(x):
    """Return x (N, D) with each row divided by its length: products of rows are cosines then.

    A row of zeros, which has no direction, stays: its cosine with every other is 0.
    """
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    x = x / np.where(largest > 0, largest, 1)  # no square overflows, and none vanishes
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1)


def neighbours(x, n=10):
    """Return each point's nearest others.

    Parameters
    ----------
    x : array (N, D)
        Of `unit_rows` the nearest are those with the largest cosine.
    n : int
        How many, 1 to N - 1.

    Returns
    -------
    ids : integers (N, n)
        Rows of x, the nearest first; of equally near ones the first of x.

    Raises
    ------
    ValueError
        If there are not n others.
    """
    if not 1 <= n < len(x):
        raise ValueError(f"neighbours: n is {n}, and each of {len(x)} points has {len(x) - 1} others")
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)
    squares = (x * x).sum(axis=1)
    step = max(1, CHUNK // len(x))
    return np.concatenate([_nearest(x, squares, slice(at, at + step), n) for at in range(0, len(x), step)])


def _nearest(x, squares, rows, n):
    """Return the ids for some rows. |x_i|^2, the same for all j, is left out of |x_i|^2 + |x_j|^2 - 2 x_i x_j."""
    distances = squares - 2 * x[rows] @ x.T
    own = np.arange(len(x))[rows]
    distances[np.arange(len(own)), own] = np.inf
    return smallest(distances, n)


def smallest(values, n):
    """Return (R, n), the columns of each row's n smallest values (R, N), the smallest first, ties by column."""
    border = np.partition(values, n - 1, axis=1)[:, n - 1 : n]
    ids = np.empty((len(values), n), np.int64)
    for out, row, last in zip(ids, values, border, strict=True):
        some = np.flatnonzero(row <= last)
        out[...] = some[np.argsort(row[some], kind="stable")[:n]]
    return ids
