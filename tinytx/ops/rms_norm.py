r"""Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467): layer norm without its mean and its bias.

Derivation
----------
Each row x of D features is divided by the root of its mean square:

    s = (1/D) sum_i x_i^2,   r = 1 / sqrt(s + eps),   n_i = x_i r        (1)
    y_i = w_i n_i.                                                       (2)

In (2) ∂y_i/∂w_i = n_i and ∂y_i/∂n_i = w_i. All rows use the same w, so its gradients add up over the rows:

    dw_i = sum_rows dy_i n_i,   dn_i = dy_i w_i.                         (3)

x_j reaches n_i = x_i r in two ways: directly, if i = j, and through s, on which r depends:

    ∂s/∂x_j = 2 x_j / D,   ∂r/∂s = -(1/2) (s + eps)^(-3/2) = -r^3/2
    ∂n_i/∂x_j = r [i = j] - x_i r^3 x_j / D = r ([i = j] - n_i n_j / D).

The sum over i becomes a mean over the row:

    dx_j = sum_i dn_i ∂n_i/∂x_j = r (dn_j - n_j mean(dn n)).             (4)

This is (7) of ``layer_norm.py`` without mean(dn): no mean is subtracted here. The same mistakes are easy: w belongs inside
the mean of (4), and r contains eps.

What is kept: x and w, and r for each row.

With numbers
------------
The row has s = 4, so r = 1/2; the loss depends on y_1 alone, so dn = (3, 0) and mean(dn n) = 3/2.

>>> x, weight = np.array([[2.0, -2.0]]), np.array([3.0, 5.0])
>>> y, saved = rms_norm(x, weight, eps=0.0)
>>> dx, dweight = rms_norm_backward(np.array([[1.0, 0.0]]), saved)
>>> y.tolist(), dx.tolist(), dweight.tolist()
([[3.0, -5.0]], [[0.75, 0.75]], [1.0, 0.0])

The same in plain NumPy: ``rms_norm`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.ops.layer_norm import RANGE, check_eps
from tinytx.recording import empty, empty_like
from tinytx.shapes import check_axes, check_float, check_gradient, check_onto, check_shape, contiguous, rows


class Saved(NamedTuple):
    x: np.ndarray  # (..., D)
    weight: np.ndarray  # (D,)
    r: np.ndarray  # (N,)


@kernel
def _extreme(row, eps, scale):
    """Return r of a row whose squares leave the range of its dtype: (1) of ``scale`` times the row."""
    squares = row.dtype.type(0)
    for j in range(row.size):
        squares += (row[j] * scale) * (row[j] * scale)
    return row.dtype.type(1) / math.hypot(math.sqrt(squares / row.dtype.type(row.size)) / scale, math.sqrt(eps))


@kernel
def _forward(y, rs, x, weight, eps, lowest, scale):
    n_rows, d = x.shape
    for i in range(n_rows):
        squares = x.dtype.type(0)
        for j in range(d):
            squares += x[i, j] * x[i, j]
        mean_square = squares / x.dtype.type(d) + eps
        r = x.dtype.type(1) / math.sqrt(mean_square)  # (1)
        if not lowest <= mean_square < np.inf:
            r = _extreme(x[i], eps, scale if mean_square < lowest else x.dtype.type(1) / scale)
        for j in range(d):
            y[i, j] = weight[j] * (x[i, j] * r)  # (2)
        rs[i] = r


@kernel
def _backward(dx, dweight, dy, x, weight, rs, onto):
    n_rows, d = x.shape
    dweight[:] = 0
    for i in range(n_rows):
        r = rs[i]
        sum_dn_n = x.dtype.type(0)
        for j in range(d):
            n = x[i, j] * r
            dweight[j] += dy[i, j] * n  # (3)
            sum_dn_n += weight[j] * dy[i, j] * n
        mean_dn_n = sum_dn_n / x.dtype.type(d)
        for j in range(d):
            dx[i, j] = r * (weight[j] * dy[i, j] - x[i, j] * r * mean_dn_n)  # (4)
        if len(onto) > 0:
            for j in range(d):
                dx[i, j] += onto[i, j]


def rms_norm(x, weight, eps=1e-6):
    """Return w x / sqrt(mean(x^2) + eps), over the last axis.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    weight : array (D,), the dtype of x
    eps : float
        Added to the mean square: a row of zeros gives zeros and a finite gradient. It may be 0 where no row is zero.

    Returns
    -------
    y : array (..., D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or ``eps`` is out of range.

    Notes
    -----
    Rows whose squares overflow or underflow are computed with a scale, as in `tinytx.ops.layer_norm`.
    """
    check_float("rms_norm", x=x, weight=weight)
    check_axes("rms_norm", "x", x, "(..., D)")
    eps = check_eps("rms_norm", eps)
    check_shape("rms_norm", "weight", weight, x.shape[-1:], "x of shape", x.shape)
    x_rows = rows(x)
    y, r = empty_like(x_rows), empty(len(x_rows), x.dtype)
    _forward(y, r, x_rows, contiguous(weight), x.dtype.type(eps), *RANGE[x.dtype])
    return y.reshape(x.shape), Saved(x, weight, r)


def rms_norm_call(y, x, weight, eps):
    """Return the loop that writes (2) of rows x (N, D) into y, and its arguments, for a program: `tinytx.calls.bound`."""
    return _forward, y, np.empty(len(x), x.dtype), x, weight, x.dtype.type(eps), *RANGE[x.dtype]


def rms_norm_backward(dy, saved, *, onto=None):
    """Return (dx, dweight).

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    onto : array (..., D), optional
        The gradient of x along another path, such as a residual connection beside the norm; dx is the sum of both.
    """
    x, weight, r = saved
    check_gradient("rms_norm_backward", dy, x.shape, x.dtype, "x of shape", x.shape)
    x_rows = rows(x)
    dx, dweight = empty_like(x_rows), empty(weight.shape, x.dtype)
    _backward(dx, dweight, rows(dy), x_rows, contiguous(weight), r, check_onto("rms_norm_backward", onto, x))
    return dx.reshape(x.shape), dweight
