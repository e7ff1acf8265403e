r"""Scale: an array times a constant, such as the embeddings of Vaswani et al. 2017 (section 3.4) times sqrt(D).

Derivation
----------
    y = c x,                                                             (1)

so ∂y/∂x = c, element by element, and

    dx = c dy.                                                           (2)

c is a setting and not a parameter: it has no gradient. It is rounded to x's dtype first, because NumPy would make the
product of a float32 array and a float64 scalar a float64 array.

The same in plain NumPy: ``scale`` in ``plain.py``.
"""

import numpy as np

from tinytx.arguments import check_number
from tinytx.shapes import check_float, check_gradient


def scale(x, factor):
    """Return ``factor`` times x.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    factor : float
        Finite in x's dtype.

    Returns
    -------
    y : array, shape of x
    saved : (tuple, dtype, float)
        The shape and dtype of x, and ``factor``.
    """
    check_float("scale", x=x)
    largest = float(np.finfo(x.dtype).max)
    expected = f"a number that is finite in {x.dtype}"
    factor = check_number("scale", "factor", factor, expected, lambda factor: abs(factor) <= largest)
    return np.asarray(x * x.dtype.type(factor)), (x.shape, x.dtype, factor)  # (1)


def scale_backward(dy, saved):
    """Return dx."""
    shape, dtype, factor = saved
    check_gradient("scale_backward", dy, shape, dtype, "x of shape", shape)
    return np.asarray(dy * dy.dtype.type(factor))  # (2)
