r"""The GELU and the linear map behind it, the second half of a feed-forward layer: y = f(x) W + b.

Derivation
----------
``gelu.py`` derives both forms of f, and ``linear.py`` the map. Here they follow each other, and f is written for "gelu_tanh":
row n of x has the activations g_n, with the logistic function s,

    c = sqrt(2 / pi),   a = 0.044715,
    s_ni = 1 / (1 + e^(-2 c (x_ni + a x_ni^3))),   g_ni = x_ni s_ni,     (1)
    y_nj = sum_i g_ni W_ij + b_j.                                        (2)

The map's backward ends where that of f begins:

    ∂g_ni/∂x_ni = s_ni + 2 x_ni s_ni (1 - s_ni) c (1 + 3 a x_ni^2),
    dg_ni = sum_j dy_nj W_ij,                                            (3)
    dx_ni = dg_ni (∂g_ni/∂x_ni),                                         (4)
    dW_ij = sum_n g_ni dy_nj,   db_j = sum_n dy_nj.                      (5)

With the other path r of a residual connection, ``onto``, the forward makes the sum where it makes y, as in ``linear.py``:

    y_nj = r_nj + sum_i g_ni W_ij + b_j,
    dr_nj = dy_nj (∂y_nj/∂r_nj) = dy_nj.                                 (6)

(5) needs g, and (4) needs s: with both in one loop, the exponential is computed once for the two of them, and x and dg are
read once. dx takes the place of dg. Each pass is one call of compiled code.

What is kept: x and W. g would be one more array of x's size.

The same in plain NumPy: ``gelu_linear`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, kernel, matmul, normal_cdf, plus, share
from tinytx.ops.gelu import DENSITY, FLAT, A, C
from tinytx.ops.linear import Product, in_parts
from tinytx.recording import empty, empty_like
from tinytx.shapes import check_float, check_gradient, check_onto, check_shape, contiguous, rows

FORMS = ("gelu", "gelu_tanh")


class Saved(NamedTuple):
    x: np.ndarray  # (..., d_in)
    weight: np.ndarray  # (d_in, d_out)
    has_bias: bool
    is_exact: bool


@kernel
def _edge(i, n, size):
    """Return the first row or column of part i of n: a multiple of 16, as many as BLAS takes at a time."""
    return size if i == n else size * i // n // 16 * 16


@kernel
def _forward(i, before, n, y, g, x, weight, bias, onto, is_exact):
    """Write part before + i of n of the rows of y; g gets the activations."""
    i += before
    start, stop, has_bias, has_more = _edge(i, n, len(x)), _edge(i + 1, n, len(x)), len(bias) > 0, len(onto) > 0
    half, low = x.dtype.type(0.5), x.dtype.type(-FLAT)
    one, c, a = x.dtype.type(1), x.dtype.type(-2 * C), x.dtype.type(A)
    flat, given = g[start:stop].reshape(-1), x[start:stop].reshape(-1)
    if is_exact:
        for j in range(given.size):
            v = low if given[j] < low else given[j]
            flat[j] = v * normal_cdf(v, exp(-half * v * v))
    else:
        for j in range(given.size):
            v = low if given[j] < low else given[j]
            flat[j] = v * (one / (one + exp(c * (v + a * v * v * v))))  # (1)
    if has_more:
        for row in range(start, stop):
            sums, more = y[row], onto[row]
            for j in range(len(sums)):
                sums[j] = more[j]
            for j in range(len(bias)):
                sums[j] += bias[j]  # (6)
    else:
        for row in range(start, stop):
            for j in range(len(bias)):
                y[row, j] = bias[j]
    matmul(g[start:stop], weight, y[start:stop], has_bias or has_more)  # (2), (6)


@kernel
def _backward(i, before, n, dx, dweight, dbias, g, dy, x, weight, is_exact):
    """Write part before + i of n of the columns of dx, and the rows of W's gradient that belong to them; some of the bias's."""
    i += before
    first, last = _edge(i, n, x.shape[1]), _edge(i + 1, n, x.shape[1])
    half, density, low = x.dtype.type(0.5), x.dtype.type(DENSITY), x.dtype.type(-FLAT)
    one, c, a, a3, zero = x.dtype.type(1), x.dtype.type(-2 * C), x.dtype.type(A), x.dtype.type(3 * A), x.dtype.type(0)
    matmul(dy, weight[first:last].T, dx[:, first:last])  # (3)
    for row in range(len(x)):
        d, active, given = dx[row, first:last], g[row, first:last], x[row, first:last]
        if is_exact:
            for j in range(given.size):
                e = exp(-half * given[j] * given[j])
                p = normal_cdf(given[j], e)
                active[j] = (low if given[j] < low else given[j]) * p
                d[j] *= p + (given[j] * density * e if e > 0 else zero)
        else:
            for j in range(given.size):
                s = one / (one + exp(c * (given[j] + a * given[j] * given[j] * given[j])))
                slope = s * (one - s) * c  # of s, c being -2 sqrt(2/pi); where it is 0, infinity may stand beside it
                active[j] = (low if given[j] < low else given[j]) * s  # (1)
                d[j] *= s - (given[j] * slope * (one + a3 * given[j] * given[j]) if slope < 0 else zero)  # (4)
    if len(dweight) > 0:
        matmul(g[:, first:last].T, dy, dweight[first:last])  # (5)
    first, last = _edge(i, n, len(dbias)), _edge(i + 1, n, len(dbias))
    sums = dbias[first:last]
    sums[:] = 0
    for row in range(len(dy) if len(sums) > 0 else 0):
        more = dy[row, first:last]
        for j in range(len(sums)):
            sums[j] = plus(sums[j], more[j])  # (5)


@kernel
def _share_forward(words, before, count, n, y, g, x, weight, bias, onto, is_exact):
    share(words, _forward, count, (before, n, y, g, x, weight, bias, onto, is_exact))


@kernel
def _share_backward(words, before, count, n, dx, dweight, dbias, g, dy, x, weight, is_exact):
    share(words, _backward, count, (before, n, dx, dweight, dbias, g, dy, x, weight, is_exact))


def gelu_linear(x, weight, bias=None, activation="gelu_tanh", *, onto=None):
    """Return f(x) W + b, or r + f(x) W + b.

    Parameters
    ----------
    x : array (..., d_in), float32 or float64
    weight : array (d_in, d_out), the dtype of x
    bias : array (d_out,), optional
    activation : {"gelu", "gelu_tanh"}
        The form of f.
    onto : array (..., d_out), optional
        r, such as the other path of a residual connection. Its gradient is that of y.

    Returns
    -------
    y : array (..., d_out)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or there is no such form.
    """
    check_float("gelu_linear", x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    if not isinstance(activation, str) or activation not in FORMS:
        raise ValueError(f"gelu_linear: activation is {activation!r}, expected one of {', '.join(FORMS)}")
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[0]:
        raise ValueError(f"gelu_linear: weight of shape {weight.shape} does not fit x of shape {x.shape}: f(x) @ weight")
    if bias is not None:
        check_shape("gelu_linear", "bias", bias, weight.shape[1:], "weight of shape", weight.shape)
    saved, x_rows = Saved(x, weight, bias is not None, activation == "gelu"), rows(x)
    more = check_onto("gelu_linear", onto, x, weight)
    y, g = empty((len(x_rows), weight.shape[1]), x.dtype), empty_like(x_rows)
    added = np.empty(0, x.dtype) if bias is None else contiguous(bias)
    size = x.size * weight.shape[1]
    in_parts(_share_forward, size, y, g, x_rows, contiguous(weight), added, more, saved.is_exact)
    return y.reshape(*x.shape[:-1], weight.shape[1]), saved


def gelu_linear_backward(dy, saved, *, frozen=False, unmade=False):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (..., d_out)
    saved : Saved
    frozen : bool
        Whether nobody asks for dweight: it is None then.
    unmade : bool
        Whether dweight is a `Product`, as of `linear_backward`.
    """
    x, weight, has_bias, is_exact = saved
    shape = (*x.shape[:-1], weight.shape[1])
    check_gradient("gelu_linear_backward", dy, shape, x.dtype, "x and weight of shapes", x.shape, "and", weight.shape)
    x_rows, dy_rows, is_made = rows(x), rows(dy), not (frozen or unmade)
    dx, g = empty_like(x_rows), empty_like(x_rows)
    dweight = empty((len(weight) if is_made else 0, weight.shape[1]), x.dtype)
    dbias = empty(weight.shape[1] if has_bias else 0, x.dtype)
    size = x.size * weight.shape[1] * (2 if is_made else 1)
    in_parts(_share_backward, size, dx, dweight, dbias, g, dy_rows, x_rows, contiguous(weight), is_exact)
    dweight = None if frozen else Product(g, dy_rows) if unmade else dweight
    return dx.reshape(x.shape), dweight, dbias if has_bias else None
