"""Checks of numbers and texts that a user hands in, each with an error that names the place, the facts and the remedy.

Checks of arrays are in `tinytx.shapes`.
"""

import math
from numbers import Integral, Real


def check_whole(place, name, value, least=1, most=math.inf, remedy=""):
    """Return a whole number as an int.

    Parameters
    ----------
    place, name : str
        For the message: who asks, and what for.
    value : int
        Or a NumPy integer; True and 2.0 are none.
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
    expected = f"expected a whole number of at least {least}" + (f" and at most {most}" if most < math.inf else "")
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{place}: {name} is {value!r:.80}, {expected}{remedy}")
    if not least <= value <= most:
        raise ValueError(f"{place}: {name} is {value}, {expected}{remedy}")
    return int(value)


def check_number(place, name, value, is_right, expected):
    """Return a number as a float.

    Parameters
    ----------
    place, name : str
        For the message: who asks, and what for.
    value : float or int
        Or NumPy's; True is none.
    is_right : function (float) -> bool
        Says whether the number can be used: ``lambda p: 0 < p <= 1``. Any comparison of NaN is False.
    expected : str
        The same in words: "a number in (0, 1]".

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not right.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{place}: {name} is {value!r:.80}, expected {expected}")
    if not is_right(value):
        raise ValueError(f"{place}: {name} is {value}, expected {expected}")
    return float(value)


def check_list(place, name, values, of="str"):
    """Raise TypeError if one str stands where a list is asked for: a str is a sequence too, of its letters."""
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
        A str, which would be taken letter by letter, is an error at once; what else is wrong when its turn has come.

    Raises
    ------
    TypeError
        If it is a str itself, or one of the texts is none.
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
        If one is no pair of two str: a str of two letters is none.
    """
    check_list(place, "pairs", pairs, of="(source, target)")
    pairs = list(pairs)
    for position, pair in enumerate(pairs):
        is_pair = not isinstance(pair, str | bytes) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        if not is_pair:
            raise TypeError(f"{place}: pairs[{position}] is {pair!r:.40}, expected (source, target), two str")
    return pairs
