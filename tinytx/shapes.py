"""Checks of what a user hands in, each with an error that names the place, the facts and the remedy.

They stand in front of the kernels, which check nothing: an id out of range would read memory that is not the array's.
"""

import math
import numbers

import numpy as np

_FLOATS = [{np.dtype(np.float32)}, {np.dtype(np.float64)}]


def check_float(place, **arrays):
    """Raise TypeError unless all arrays share one of float32 and float64."""
    if {array.dtype for array in arrays.values() if array is not None} not in _FLOATS:
        facts = ", ".join(f"{name} is {array.dtype}" for name, array in arrays.items() if array is not None)
        raise TypeError(f"{place}: {facts}; expected all float32 or all float64: convert with .astype")


def check_shape(place, name, array, expected, *reason):
    """Raise ValueError unless ``array`` has the ``expected`` shape; ``reason`` says where that shape comes from.

    The reason's parts are put together only for the message: this runs in front of every operation.
    """
    if array.shape != tuple(expected):
        why = " ".join(map(str, reason))
        raise ValueError(f"{place}: {name} has shape {array.shape}, expected {tuple(expected)} from {why}")


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
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{place}: {what}s have dtype {ids.dtype}, expected integers")
    wrong = (ids < 0) | (ids >= size)
    if allowed is not None:
        wrong &= ids != allowed
    if wrong.any():
        position = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{place}: {what} {ids[position]} at position {position} is outside 0..{size - 1}")
    return contiguous(ids.astype(np.int64, copy=False))


def check_probability(place, name, value):
    """Raise ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{place}: {name} is {value}, expected a number in [0, 1)")


def check_number(place, name, value, expected="a number", accept=None):
    """Return ``value`` as a float.

    Parameters
    ----------
    place, name : str
        For the message.
    value : real number, or an array of one without axes
    expected : str
        What ``accept`` accepts, in words.
    accept : function (float) -> bool, optional

    Raises
    ------
    TypeError
        If ``value`` is a boolean, a text, None, an array with axes, ...
    ValueError
        If ``accept`` does not accept it.
    """
    value = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{place}: {name} is {_quoted(value)}, expected {expected}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if accept is not None and not accept(number):
        raise ValueError(f"{place}: {name} is {_quoted(value)}, expected {expected}")
    return number


def _quoted(value):
    """Return a value as a message shows it: arrays by their shape, and nothing that fills the screen."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    text = str(value) if isinstance(value, numbers.Real) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def contiguous(x):
    """Return x C-contiguous and writeable, copied only if it is not: the one kind of array that kernels are given.

    Numba compiles a kernel anew for each layout and for read-only arrays.
    """
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


def rows(x):
    """Return x as a `contiguous` matrix of its last axis, (N, D): a view where it can be."""
    return contiguous(x).reshape(-1, x.shape[-1])
