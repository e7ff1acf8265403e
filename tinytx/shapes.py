"""Checks of the arrays that a user passes. Each error names the place, the facts and the remedy.

Kernels check nothing, so these checks run before them: an id out of range would read memory outside the array, and a
kernel would misread the bits of another dtype. No check reads all elements of an array of floats: that would cost time.
"""

import math
from functools import cache

import numpy as np

from tinytx.recording import empty_like

_FLOATS = [{np.dtype(np.float32)}, {np.dtype(np.float64)}]
_ARRAYS = (np.ndarray, np.generic)  # NumPy's scalars count as arrays without axes


def check_float(place, **arrays):
    """Raise TypeError unless all are NumPy arrays of float32, or all of float64, in this machine's byte order."""
    if {value.dtype if type(value) is np.ndarray or _is_array(value) else None for value in arrays.values()} in _FLOATS:
        return
    facts = ", ".join(f"{name} is {_kind(value)}" for name, value in arrays.items())
    raise TypeError(f"{place}: {facts}; expected all float32 or all float64: convert {_remedy(*arrays.values())}")


def check_shape(place, name, array, expected, *reason):
    """Raise ValueError unless ``array`` has the ``expected`` shape; ``reason`` says where that shape comes from.

    The parts of the reason are joined only where there is an error: this check runs before every operation.
    """
    if array.shape != tuple(expected):
        why = " ".join(map(str, reason))
        raise ValueError(f"{place}: {name} has shape {array.shape}, expected {tuple(expected)} from {why}")


def check_axes(place, name, array, axes):
    """Raise ValueError unless ``array`` has as many axes as "(V, D)" names; for "(..., D)" it may have more."""
    n = _count(axes)
    if array.ndim < n or array.ndim > n and "..." not in axes:
        raise ValueError(f"{place}: {name} has shape {array.shape}, expected {axes}")


@cache
def _count(axes):
    return sum(letter.strip(" ().") != "" for letter in axes.split(","))


def check_gradient(place, dy, shape, dtype, *reason):
    """Raise TypeError or ValueError unless ``dy`` is an array of y's shape and dtype. Every backward begins with this.

    A kernel would misread the bits of another dtype or byte order, and an array of integers cannot hold fractions.
    """
    if not (type(dy) is np.ndarray or _is_array(dy)) or dy.dtype != dtype:
        remedy = f"convert {_remedy(dy, dtype=dtype)}"
        raise TypeError(f"{place}: dy is {_kind(dy)}, expected {dtype}, the dtype of y: {remedy}")
    check_shape(place, "dy", dy, shape, *reason)


def check_onto(place, onto, x, weight=None):
    """Return the rows of an array to which an operation adds its result; none if there is none.

    A backward adds its dx to another gradient of x; a forward, which has a ``weight``, adds x @ weight.

    Raises
    ------
    TypeError, ValueError
        Unless it has the shape and the dtype of the result.
    """
    if onto is None:
        return np.empty((0, 1), x.dtype)
    check_float(place, x=x, onto=onto)
    if weight is None:
        check_shape(place, "onto", onto, x.shape, "x of shape", x.shape)
    else:
        check_shape(place, "onto", onto, (*x.shape[:-1], weight.shape[1]), "x and weight of shapes", x.shape, "and", weight.shape)
    return rows(onto)


def _is_array(value):
    """Return whether operations compute with it; a masked array is none of them, because they would read what it masks."""
    return isinstance(value, _ARRAYS) and not isinstance(value, np.ma.MaskedArray)


def _kind(value):
    return str(value.dtype) if _is_array(value) else f"a {type(value).__name__}"


def _remedy(*values, dtype="np.float32"):
    return "with .astype" if all(map(_is_array, values)) else f"with np.asarray(..., {dtype})"


def check_dtype(place, dtype):
    """Return ``dtype`` as NumPy's object; raise TypeError unless it is float32 or float64."""
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = None
    if dtype is None or {checked} not in _FLOATS:
        raise TypeError(f"{place}: dtype is {dtype!r}, expected float32 or float64")
    return checked


def check_ids(place, ids, size, *, what="token id", allowed=None):
    """Return ``ids`` as `contiguous` int64.

    Parameters
    ----------
    place, what : str
        For the message.
    ids : integers, any shape
    size : int
        Ids run from 0 to ``size - 1``.
    allowed : int, optional
        One more value that may occur (the ``ignore_index`` of a loss).

    Raises
    ------
    TypeError
        If ``ids`` are not integers.
    ValueError
        Naming the position and value of the first id out of range.
    """
    ids = check_integers(place, ids, f"{what}s")
    wrong = (ids < 0) | (ids >= size)
    if allowed is not None:
        wrong &= ids != allowed
    if wrong.any():
        position = tuple(int(i) for i in np.argwhere(wrong)[0])
        expected = f"outside 0..{size - 1}" if size else "not allowed: there are no ids"
        raise ValueError(f"{place}: {what} {ids[position]} at position {position} is {expected}")
    return contiguous(ids.astype(np.int64, copy=False))


def check_integers(place, ids, name):
    """Return ``ids`` as an array, any shape and integer dtype; raise TypeError for anything else."""
    if isinstance(ids, np.ma.MaskedArray):
        raise TypeError(f"{place}: {name} is a MaskedArray, whose mask has no meaning here: expected integers, such as .data of it")
    try:
        array = np.asarray(ids)
    except (ValueError, TypeError, OverflowError) as error:  # rows of different lengths
        raise TypeError(f"{place}: {name} is no array of integers: {error}") from None
    if array.size == 0 and not isinstance(ids, _ARRAYS):  # an empty list, which NumPy makes an array of floats
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{place}: {name} have dtype {array.dtype}, expected integers")
    return array


def check_rows(place, ids, name="ids"):
    """Return ``ids`` as an array; raise ValueError unless it is (B, T) and holds at least one."""
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.size == 0:
        raise ValueError(f"{place}: {name} {'has' if name != 'ids' else 'have'} shape {ids.shape}, expected (B, T), at least (1, 1)")
    return ids


def check_mask(place, mask, full):
    """Return ``mask`` as a boolean array that broadcasts to the shape ``full``."""
    try:
        mask = np.asarray(mask)
    except ValueError as error:  # rows of different lengths
        raise TypeError(f"{place}: mask cannot be made an array of booleans: {error}") from None
    if mask.dtype != bool:
        raise TypeError(f"{place}: mask is {mask.dtype}, expected bool: True where an element is allowed")
    check_broadcast(place, "mask", mask, full)
    return mask


def check_broadcast(place, name, array, full):
    """Raise ValueError unless ``array`` broadcasts to the shape ``full``."""
    axes = zip(array.shape[::-1], full[::-1], strict=False)  # from the last axis to the first
    if array.ndim > len(full) or any(n not in (1, size) for n, size in axes):
        raise ValueError(f"{place}: {name} has shape {array.shape}, expected one that broadcasts to {tuple(full)}")


def contiguous(x):
    """Return x C-contiguous, aligned and writeable, copied only if it is not: the one kind of array that kernels take.

    Numba compiles a kernel anew for each layout and for read-only arrays. An array without axes keeps its shape, ().
    """
    x = np.asarray(x)
    return x if x.flags.carray else x.copy()


def rows(x):
    """Return x as a `contiguous` matrix of its last axis, (N, D), of which either may be 0: a view where it can be."""
    return contiguous(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])


def elementwise(loop, *arrays):
    """Return what a kernel ``loop(out, *arrays)`` makes of arrays of one shape, which it gets flat and `contiguous`."""
    flat = [contiguous(array).reshape(-1) for array in arrays]
    out = empty_like(flat[0])
    loop(out, *flat)
    return out.reshape(arrays[0].shape)
