r"""Equivariant normalisation: a vector of multivectors is divided by its length (Brehmer et al. 2023, arXiv:2305.18415).

Derivation
----------
The length that no motion changes knows the 8 blades without e0 only: a translation changes the other 8. Let E_i be 1 for
those 8, and 0 for the others. For C channels of 16 numbers,

    s = (1/C) sum_c sum_i E_i x_ci^2,   r = 1 / sqrt(s + eps)            (1)
    y_ci = x_ci r.                                                       (2)

r is one number for all channels, so it takes nothing from the geometry but the scale. There is no gain: the linear map that
follows has one. Entries of E act on y in two ways, directly and through r, and the others directly. As in (4) of
``rms_norm.py``,

    ∂r/∂x_cj = -r^3 E_j x_cj / C
    ∂y_bi/∂x_cj = [b = c] [i = j] r - x_bi r^3 E_j x_cj / C.

Times dy_bi, summed over all channels b and all 16 numbers i, because r multiplies them all, with x r = y:

    dx_cj = r (dy_cj - E_j y_cj (1/C) sum_b sum_i dy_bi y_bi)            (3)

eps is 0.01 in the paper: inputs whose numbers all have e0 have no length.

With numbers
------------
The point (3, 0, 0) twice as large has length 2, wherever it is:

>>> x = np.zeros(16)
>>> x[14], x[13] = 2, -6
>>> y, saved = equivariant_norm(x, eps=0.0)
>>> y[13:15].tolist(), equivariant_norm_backward(x, saved)[13:15].tolist()
([-3.0, 1.0], [-3.0, -9.0])

The same in plain NumPy: ``equivariant_norm`` in ``plain.py``.
"""

import math

import numpy as np

from tinytx.kernel import kernel
from tinytx.ops.layer_norm import check_eps
from tinytx.ops.multivector import EUCLIDEAN, check_multivectors
from tinytx.shapes import check_gradient, rows


@kernel
def _forward(y, r, x, eps, euclidean):
    n_rows, d = x.shape
    for n in range(n_rows):
        squares = x.dtype.type(0)
        for first in range(0, d, 16):
            for i in euclidean:
                squares += x[n, first + i] * x[n, first + i]
        r[n] = x.dtype.type(1) / math.sqrt(squares / x.dtype.type(d // 16) + eps)  # (1)
        for j in range(d):
            y[n, j] = x[n, j] * r[n]  # (2)


@kernel
def _backward(dx, dy, y, r, euclidean):
    n_rows, d = y.shape
    for n in range(n_rows):
        inner = y.dtype.type(0)
        for j in range(d):
            inner += dy[n, j] * y[n, j]
            dx[n, j] = r[n] * dy[n, j]
        inner *= r[n] / y.dtype.type(d // 16)
        for first in range(0, d, 16):
            for i in euclidean:
                dx[n, first + i] -= y[n, first + i] * inner  # (3)


def equivariant_norm(x, eps=0.01):
    """Return x divided by the root of the mean square length of its multivectors.

    Parameters
    ----------
    x : array (..., 16 C), float32 or float64
    eps : float
        Added to the mean square. It may be 0 where no length is.

    Returns
    -------
    y : array (..., 16 C)
    saved : tuple
        y and r.

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit, or ``eps`` is out of range.
    """
    check_multivectors("equivariant_norm", x=x)
    eps, x_rows = x.dtype.type(check_eps("equivariant_norm", eps)), rows(x)
    y, r = np.empty_like(x_rows), np.empty(len(x_rows), x.dtype)
    _forward(y, r, x_rows, eps, EUCLIDEAN)
    return y.reshape(x.shape), (y.reshape(x.shape), r)


def equivariant_norm_backward(dy, saved):
    """Return dx.

    Parameters
    ----------
    dy : array (..., 16 C)
    saved : tuple
    """
    y, r = saved
    check_gradient("equivariant_norm_backward", dy, y.shape, y.dtype, "x of shape", y.shape)
    dx = np.empty_like(rows(y))
    _backward(dx, rows(dy), rows(y), r, EUCLIDEAN)
    return dx.reshape(y.shape)
