r"""Layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450).

Derivation
----------
Each row x of D features is normalised by itself:

    mu = (1/D) sum_i x_i,   v = (1/D) sum_i (x_i - mu)^2                 (1)
    r = 1 / sqrt(v + eps),  n_i = (x_i - mu) r                           (2)
    y_i = w_i n_i + b_i                                                  (3)

(the paper's gain g and sigma are our w and 1/r). In (3) ∂y_i/∂w_i = n_i, ∂y_i/∂b_i = 1 and ∂y_i/∂n_i = w_i. All rows
use the same w and b, so their gradients add up over the rows; n belongs to its own row:

    dw_i = sum_rows dy_i n_i,   db_i = sum_rows dy_i,                    (4)
    dn_i = dy_i w_i.                                                     (5)

x_j reaches n_i = (x_i - mu) r in three ways: directly, if i = j; through mu; and through v, on which r depends.

    ∂mu/∂x_j = 1/D
    ∂v/∂x_j = (2/D) sum_i (x_i - mu) ([i = j] - 1/D) = 2 (x_j - mu)/D    because sum_i (x_i - mu) = 0
    ∂r/∂v = -(1/2) (v + eps)^(-3/2) = -r^3/2

([i = j] is 1 if i = j and 0 otherwise.) The product rule puts them together, and (2) writes n for (x - mu) r at the end:

    ∂n_i/∂x_j = r ([i = j] - 1/D) + (x_i - mu) (∂r/∂v) (∂v/∂x_j)
              = r ([i = j] - 1/D) - (x_i - mu) r^3 (x_j - mu)/D
              = r ([i = j] - 1/D - n_i n_j / D).                         (6)

x_j moves the loss through every n_i of its row, and the sums over i become means over the row:

    dx_j = sum_i dn_i (∂n_i/∂x_j) = r (dn_j - (1/D) sum_i dn_i - n_j (1/D) sum_i dn_i n_i)
         = r (dn_j - mean(dn) - n_j mean(dn n)).                         (7)

Two mistakes are easy to make. By (5), w belongs inside the means of (7); without it (7) is still right for w = 1. And r
in (6) contains eps; 1/sqrt(v) in its place changes every entry.

What is kept: x, and mu and r for each row, from which (7) computes n again; n would be another array of x's size.

With numbers
------------
This row has mu = 0 and v = 1, so that n = x, and the loss depends on y_4 alone: dn = (0, 0, 0, 4).

>>> x, weight = np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([1.0, 2.0, 3.0, 4.0])
>>> y, saved = layer_norm(x, weight, np.zeros(4), eps=0.0)
>>> dx, dweight, dbias = layer_norm_backward(np.array([[0.0, 0.0, 0.0, 1.0]]), saved)
>>> y.tolist(), dx.tolist()  # mean(dn) = 1, mean(dn n) = -1
([[1.0, 2.0, -3.0, -4.0]], [[0.0, 0.0, -2.0, 2.0]])
>>> dweight.tolist(), dbias.tolist()
([0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 1.0])

The same in plain NumPy: ``layer_norm`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number
from tinytx.kernel import kernel
from tinytx.recording import empty, empty_like
from tinytx.shapes import check_axes, check_float, check_gradient, check_onto, check_shape, contiguous, rows


class Saved(NamedTuple):
    x: np.ndarray  # (..., D)
    weight: np.ndarray  # (D,)
    mean: np.ndarray  # (N,)
    rstd: np.ndarray  # (N,), r in (2)


# For each dtype, the variance below which a square has lost digits, and a power of 2 that brings the row back.
RANGE = {
    np.dtype(np.float32): (np.float32(2.0**-102), np.float32(2.0**100)),
    np.dtype(np.float64): (2.0**-970, 2.0**800),
}


@kernel
def _extreme(row, eps, scale):
    """Return mu and r of a row whose squares leave the range of its dtype: (1) and (2) of ``scale`` times the row."""
    d = row.dtype.type(row.size)
    total, squares = row.dtype.type(0), row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * scale
    mu = total / d
    for j in range(row.size):
        squares += (row[j] * scale - mu) * (row[j] * scale - mu)
    return mu / scale, row.dtype.type(1) / math.hypot(math.sqrt(squares / d) / scale, math.sqrt(eps))


@kernel
def _forward(y, mean, rstd, x, weight, bias, eps, lowest, scale):
    n_rows, d = x.shape
    for i in range(n_rows):
        total = x.dtype.type(0)
        for j in range(d):
            total += x[i, j]
        mu = total / x.dtype.type(d)
        squares = x.dtype.type(0)
        for j in range(d):
            squares += (x[i, j] - mu) * (x[i, j] - mu)  # (1)
        variance = squares / x.dtype.type(d) + eps
        r = x.dtype.type(1) / math.sqrt(variance)  # (2)
        if not lowest <= variance < np.inf:
            mu, r = _extreme(x[i], eps, scale if variance < lowest else x.dtype.type(1) / scale)
        for j in range(d):
            y[i, j] = weight[j] * ((x[i, j] - mu) * r) + bias[j]  # (3)
        mean[i] = mu
        rstd[i] = r


@kernel
def _backward(dx, dweight, dbias, dy, x, weight, mean, rstd, onto):
    n_rows, d = x.shape
    dweight[:], dbias[:] = 0, 0
    for i in range(n_rows):
        mu, r = mean[i], rstd[i]
        sum_dn = x.dtype.type(0)
        sum_dn_n = x.dtype.type(0)
        for j in range(d):
            n = (x[i, j] - mu) * r
            dn = weight[j] * dy[i, j]  # (5)
            sum_dn += dn
            sum_dn_n += dn * n
            dweight[j] += dy[i, j] * n  # (4)
            dbias[j] += dy[i, j]
        mean_dn = sum_dn / x.dtype.type(d)
        mean_dn_n = sum_dn_n / x.dtype.type(d)
        for j in range(d):
            n = (x[i, j] - mu) * r
            dx[i, j] = r * (weight[j] * dy[i, j] - mean_dn - n * mean_dn_n)  # (7), from (6)
        if len(onto) > 0:
            for j in range(d):
                dx[i, j] += onto[i, j]


def check_eps(place, eps):
    """Return ``eps`` as a float; raise TypeError or ValueError unless it is a number from 0 to 1e30."""
    return check_number(place, "eps", eps, "a number from 0 to 1e30", lambda eps: 0 <= eps <= 1e30)


def layer_norm(x, weight, bias, eps=1e-5):
    """Return w (x - mean) / sqrt(variance + eps) + b, over the last axis.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    weight, bias : array (D,), the dtype of x
    eps : float
        Added to the variance: a constant row gives ``bias`` and a finite gradient. It may be 0 where no row is
        constant.

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
    Squares in (1) may overflow or underflow; such rows are computed with a scale. Results are right for numbers up to
    half the largest of the dtype and, with an ``eps`` of 0, down to its smallest normal number.
    """
    check_float("layer_norm", x=x, weight=weight, bias=bias)
    check_axes("layer_norm", "x", x, "(..., D)")
    eps = check_eps("layer_norm", eps)
    for name, array in (("weight", weight), ("bias", bias)):
        check_shape("layer_norm", name, array, x.shape[-1:], "x of shape", x.shape)
    x_rows = rows(x)
    y = empty_like(x_rows)
    mean, rstd = empty(len(x_rows), x.dtype), empty(len(x_rows), x.dtype)
    _forward(y, mean, rstd, x_rows, contiguous(weight), contiguous(bias), x.dtype.type(eps), *RANGE[x.dtype])
    return y.reshape(x.shape), Saved(x, weight, mean, rstd)


def layer_norm_call(y, x, weight, bias, eps):
    """Return the loop that writes (3) of rows x (N, D) into y, and its arguments, for a program: `tinytx.calls.bound`."""
    mean, rstd = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    return _forward, y, mean, rstd, x, weight, bias, x.dtype.type(eps), *RANGE[x.dtype]


def layer_norm_backward(dy, saved, *, onto=None):
    """Return (dx, dweight, dbias).

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    onto : array (..., D), optional
        The gradient of x along another path, such as a residual connection beside the norm; dx is the sum of both.
    """
    x, weight, mean, rstd = saved
    check_gradient("layer_norm_backward", dy, x.shape, x.dtype, "x of shape", x.shape)
    x_rows = rows(x)
    dx = empty_like(x_rows)
    dweight, dbias = empty(weight.shape, x.dtype), empty(weight.shape, x.dtype)
    _backward(dx, dweight, dbias, rows(dy), x_rows, contiguous(weight), mean, rstd, check_onto("layer_norm_backward", onto, x))
    return dx.reshape(x.shape), dweight, dbias
