"""Checks of the numbers and texts that a user passes. Each error names the place, the facts and the remedy.

Checks of arrays are in `tinytx.shapes`.
"""

import math
import numbers
import operator

import numpy as np

INT64 = (-(2**63), 2**63 - 1)
ROWS = (0, 2**63 - 1)  # the range of a row's index


def check_whole(place, name, value, least=1, most=math.inf, remedy=""):
    """Return a whole number as an int.

    Parameters
    ----------
    place, name : str
        For the message: which function checks, and the argument's name.
    value : int
        Or a NumPy integer. True and 2.0 are refused.
    least, most : int
        The range, both included.
    remedy : str
        What the message ends with.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is out of range.
    """
    expected = f"a whole number of at least {least}" + (f" and at most {most}" if most < INT64[1] else "")
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{place}: {name} is {_quoted(value)}, expected {expected}{remedy}")
    if not least <= number <= most:
        raise ValueError(f"{place}: {name} is {_quoted(number)}, expected {expected}{remedy}")
    return number


def check_sizes(place, **sizes):
    """Raise TypeError or ValueError unless all are whole numbers of at least 0: sizes of axes."""
    for name, size in sizes.items():
        check_whole(place, name, size, *ROWS)


def check_number(place, name, value, expected="a number", accept=None):
    """Return ``value`` as a float.

    Parameters
    ----------
    place, name : str
        For the message.
    value : real number, or an array of one without axes
    expected : str
        Describes the numbers that ``accept`` accepts: "a number in (0, 1]".
    accept : function (float) -> bool, optional
        ``lambda p: 0 < p <= 1``. Any comparison with NaN is False.

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


def check_probability(place, name, value):
    """Return ``value`` as a float; raise TypeError unless it is a number, and ValueError unless 0 <= value < 1."""
    return check_number(place, name, value, "a number in [0, 1)", lambda p: 0 <= p < 1)


def check_flag(place, name, value):
    """Return ``value`` as a bool; raise TypeError unless it is one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{place}: {name} is {_quoted(value)}, expected True or False")
    return bool(value)


def check_text(place, name, value, empty=True):
    """Return ``value``; raise TypeError unless it is a str, and ValueError if it is an empty one that may not be."""
    if not isinstance(value, str):
        raise TypeError(f"{place}: {name} is {_quoted(value)}, expected a str")
    if not (value or empty):
        raise ValueError(f"{place}: {name} is empty, expected at least one character")
    return value


def check_choice(place, name, value, known):
    """Return ``value``; raise TypeError unless it is a str, and ValueError unless it is one of the ``known`` ones."""
    if check_text(place, name, value) not in known:
        raise ValueError(f"{place}: {name} is {_quoted(value)}, expected one of {', '.join(known)}")
    return value


def _quoted(value):
    """Return a value as messages show it: an array by its shape, and anything long cut to 60 characters."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    text = str(value) if isinstance(value, numbers.Real) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_list(place, name, values, of="str"):
    """Raise TypeError if one str is given in place of a list: Python would take its letters for the items."""
    if isinstance(values, str | bytes):
        kind = type(values).__name__
        raise TypeError(f"{place}: {name} is a {kind}, {values!r:.40}, expected a list of {of}: put it in brackets")


def check_texts(place, name, texts):
    """Return an iterator over texts, each of which is a str.

    Parameters
    ----------
    place, name : str
        For messages.
    texts : iterable of str
        One str, whose letters would be taken for texts, is an error at once. Items are checked when they are read.

    Raises
    ------
    TypeError
        If it is a str itself, or one of the texts is not a str.
    """
    check_list(place, name, texts)
    return _each_text(place, name, texts)


def _each_text(place, name, texts):
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"{place}: {name}[{position}] is a {kind}, expected a str: decode ids to text first")
        yield text


def check_pairs(place, pairs):
    """Return pairs of texts as a list.

    Raises
    ------
    TypeError
        If an item is not a pair of two str. A str of two letters is not a pair either.
    """
    check_list(place, "pairs", pairs, of="(source, target)")
    pairs = list(pairs)
    for position, pair in enumerate(pairs):
        is_pair = not isinstance(pair, str | bytes) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        if not is_pair:
            raise TypeError(f"{place}: pairs[{position}] is {pair!r:.40}, expected (source, target), two str")
    return pairs
