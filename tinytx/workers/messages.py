"""What processes that train together tell each other, as bytes: trees of plain values and arrays, of which nothing is run.

A message is the length of a JSON text, the text, and the arrays' elements one after the other.
"""

import json
import math

import numpy as np

LENGTH = np.dtype("<i8")


def packed(value):
    """Return a value as bytes.

    Parameters
    ----------
    value : None, bool, int, float, str, array of booleans or numbers, dtype of one, or list, tuple or dict (keys of str) of these
        A scalar of NumPy comes back as one of Python.

    Raises
    ------
    TypeError
        If it contains anything else.

    Examples
    --------
    >>> unpacked(packed([("a", 1.5, None), {"b": np.arange(3)}]))
    [('a', 1.5, None), {'b': array([0, 1, 2])}]
    """
    arrays = []
    text = json.dumps(_described(value, arrays)).encode()
    return b"".join([np.array(len(text), LENGTH).tobytes(), text, *(array.tobytes() for array in arrays)])


def unpacked(message):
    """Return the value of a message, bytes or an array of them; arrays may be written to."""
    message = memoryview(message).cast("B")
    start = LENGTH.itemsize
    stop = start + int(np.frombuffer(message[:start], LENGTH)[0])
    return _restored(json.loads(bytes(message[start:stop])), message[stop:])


def _described(value, arrays):
    """Return what JSON writes of a value; put its arrays into a list."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_described(item, arrays) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_described(item, arrays) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _described(item, arrays) for key, item in value.items()}}
    if isinstance(value, np.dtype) and value.kind in "biuf":
        return {"dtype": value.str}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        start = sum(array.nbytes for array in arrays)
        arrays.append(value)
        return {"array": [value.dtype.str, list(value.shape), start]}
    raise TypeError(f"packed: a {type(value).__name__} cannot be sent: give None, numbers, text, arrays, or lists, tuples or dicts of them")


def _restored(value, elements):
    """Return a value from what `_described` made of it, and the elements of all arrays."""
    if isinstance(value, list):
        return [_restored(item, elements) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(_restored(content, elements))
    if kind == "dict":
        return {key: _restored(item, elements) for key, item in content.items()}
    if kind == "dtype":
        return np.dtype(content)
    dtype, shape, start = content
    return np.frombuffer(elements, dtype, math.prod(shape), start).reshape(shape).copy()
