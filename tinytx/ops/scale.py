r"""Scale: an array times a constant, such as the embeddings of Vaswani et al. 2017 (section 3.4) times sqrt(D).

Derivation
----------
    y = c x,                                                             (1)

so ∂y/∂x = c, element by element, and

    dx = c dy.                                                           (2)

c is a setting and not a parameter: it has no gradient. It is rounded to x's dtype first, because a float64 scalar of
NumPy's would make a float32 product a float64 one.

The same in plain NumPy: ``scale`` in ``plain.py``.
"""

from tinytx.shapes import check_float, check_shape


def scale(x, factor):
    """Return ``factor`` times x.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    factor : float

    Returns
    -------
    y : array, shape of x
    saved : (tuple, float)
        The shape of x, and ``factor``.
    """
    check_float("scale", x=x)
    return x * x.dtype.type(factor), (x.shape, factor)  # (1)


def scale_backward(dy, saved):
    """Return dx."""
    shape, factor = saved
    check_shape("scale_backward", "dy", dy, shape, "x of shape", shape)
    return dy * dy.dtype.type(factor)  # (2)
