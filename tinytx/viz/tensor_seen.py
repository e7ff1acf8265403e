"""What a page tells of an array: its size in numbers, and a small picture with the largest entry of each part of it."""

from typing import NamedTuple

import numpy as np

ROWS, COLUMNS = 24, 48  # cells of a picture, at most
PART = 1 << 20  # entries that are looked at together: arrays may be large


class TensorSeen(NamedTuple):
    """An array, in a few numbers.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    norm, rms : float
        The root of the sum, and of the mean, of squares of the finite entries; 0 if there are none.
    least, largest : float
        Of the finite entries.
    n_nan, n_infinite : int
    n_zero : int
        Places along the last axis that are 0 at all others: units that are silent in this example. 0 where there is a
        single row.
    picture : Picture, or None
        None of integers, and of an empty array.
    """

    name: str
    shape: tuple
    dtype: str
    norm: float
    rms: float
    least: float
    largest: float
    n_nan: int
    n_infinite: int
    n_zero: int
    picture: "Picture | None"


class Picture(NamedTuple):
    """An array as a table of its last axis (across) and all others (down), divided into cells.

    Attributes
    ----------
    values : float64 array (r, c)
        Of each cell the entry whose absolute value is largest; NaN if one is NaN.
    places : int64 array (r, c)
        Which entry this is: its index in the flat array.
    """

    values: np.ndarray
    places: np.ndarray


def tensor_seen(name, array, *, picture=True):
    """Return the `TensorSeen` of an array.

    >>> seen = tensor_seen("y", np.array([[3.0, 0.0], [-4.0, 0.0]]))
    >>> seen.norm, seen.least, seen.largest, seen.n_zero
    (5.0, -4.0, 3.0, 1)
    """
    array = np.asarray(array)
    table = np.ascontiguousarray(array).reshape(-1, array.shape[-1] if array.ndim else 1) if array.size else np.zeros((0, 1))
    bounds = [(part.min(), part.max()) for part in _finite_parts(table) if part.size]
    least, largest = (float(f(ends)) for f, ends in zip((min, max), zip(*bounds))) if bounds else (0.0, 0.0)
    size = max(abs(least), abs(largest))
    squares = sum(float(np.square(part / size).sum()) for part in _finite_parts(table)) if size else 0.0  # of large numbers would overflow
    n_nan, n_infinite = (int(np.count_nonzero(f(table))) for f in (np.isnan, np.isinf))
    return TensorSeen(
        name, array.shape, str(array.dtype), size * squares**0.5, size * (squares / max(1, table.size - n_nan - n_infinite)) ** 0.5,
        least, largest, n_nan, n_infinite, int(np.count_nonzero(~table.any(axis=0))) if len(table) > 1 else 0,
        picture_of(table, ROWS, COLUMNS) if picture and array.dtype.kind == "f" and array.size else None,
    )  # fmt: skip


def _finite_parts(table):
    """Yield the finite entries of a table as float64, part by part."""
    for i in range(0, table.size, PART):
        part = table.reshape(-1)[i : i + PART]
        yield part[np.isfinite(part)].astype(np.float64)


def picture_of(table, rows, columns):
    """Return the `Picture` of a table (h, w), of at most ``rows`` x ``columns`` cells.

    >>> picture_of(np.array([[1.0, -3.0, 2.0, 0.5]]), 1, 2).places.tolist()
    [[1, 2]]
    """
    height, width = table.shape
    tall, wide = -(-height // rows), -(-width // columns)  # of a cell
    r, c = -(-height // tall), -(-width // wide)
    places = np.empty((r, c), np.int64)
    for i in range(r):
        band = np.pad(np.abs(table[i * tall : (i + 1) * tall]), ((0, 0), (0, c * wide - width)), constant_values=-1)
        chosen = band.reshape(len(band), c, wide).swapaxes(0, 1).reshape(c, -1).argmax(axis=1)  # a NaN, if there is one
        places[i] = (i * tall + chosen // wide) * width + np.arange(c) * wide + chosen % wide
    return Picture(table.reshape(-1)[places].astype(np.float64), places)


def smaller(picture, rows, columns):
    """Return a picture of fewer cells."""
    found = picture_of(picture.values, rows, columns)
    return Picture(found.values, picture.places.reshape(-1)[found.places])
