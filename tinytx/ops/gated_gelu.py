r"""Gated GELU: each multivector times a function of its own scalar part (Brehmer et al. 2023, arXiv:2305.18415).

Derivation
----------
A function of each of the 16 numbers would not commute with rotations. But no motion changes the scalar part x_0, nor any
function of it, so it may multiply the whole. That function is the tanh form of GELU, equations (3) and (4) of ``gelu.py``,

    s(v) = 1 / (1 + e^(-2 sqrt(2/pi) (v + 0.044715 v^3))),   g(v) = v s(v)

and each of the 16 numbers is multiplied by it:

    y_j = g(x_0) x_j.                                                    (1)

A number x_i moves its own product. x_0 has one more effect, on all of them, through g:

    ∂y_j/∂x_i = g(x_0) [i = j] + [i = 0] g'(x_0) x_j,   with g'(x_0) = s(x_0) + x_0 s'(x_0).

Times dy_j, and summed over j:

    dx_i = g(x_0) dy_i + [i = 0] g'(x_0) sum_j dy_j x_j.                 (2)

What is kept: x and g, one number for each multivector. g' is computed from x.

With numbers
------------
>>> x = np.zeros(16)
>>> x[0], x[1] = 10, 3  # far from 0, g(v) = v
>>> y, saved = gated_gelu(x)
>>> y[:2].round(4).tolist(), gated_gelu_backward(np.ones(16), saved)[:3].round(4).tolist()
([100.0, 30.0], [23.0, 10.0, 10.0])

The same in plain NumPy: ``gated_gelu`` in ``plain.py``.
"""

import numpy as np

from tinytx.ops.gelu import gelu_tanh, gelu_tanh_backward
from tinytx.ops.multivector import BLADES, SCALAR, check_multivectors
from tinytx.shapes import check_gradient


def gated_gelu(x):
    """Return each multivector times GELU of its scalar.

    Parameters
    ----------
    x : array (..., 16 C), float32 or float64

    Returns
    -------
    y : array (..., 16 C)
    saved : tuple
        x, and g for each multivector.

    Raises
    ------
    TypeError, ValueError
        If x is no array of float32 or float64, or its shape does not fit.
    """
    check_multivectors("gated_gelu", x=x)
    each = x.reshape(-1, len(BLADES))
    g, _ = gelu_tanh(each[:, SCALAR])
    return (g[:, None] * each).reshape(x.shape), (x, g)  # (1)


def gated_gelu_backward(dy, saved):
    """Return dx.

    Parameters
    ----------
    dy : array (..., 16 C)
    saved : tuple
    """
    x, g = saved
    check_gradient("gated_gelu_backward", dy, x.shape, x.dtype, "x of shape", x.shape)
    each, dy = x.reshape(-1, len(BLADES)), dy.reshape(-1, len(BLADES))
    dx = g[:, None] * dy
    dx[:, SCALAR] += gelu_tanh_backward(np.einsum("ni,ni->n", dy, each), each[:, SCALAR])  # (2)
    return dx.reshape(x.shape)
