r"""Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

Derivation
----------
Layer norm takes its mean over the features of a row; here each feature takes it over the rows. x is a column, one feature of
the N rows of a batch that are not padding; rows of all sequences and positions count alike:

    mu = (1/N) sum_t x_t,   v = (1/N) sum_t (x_t - mu)^2                 (1)
    r = 1 / sqrt(v + eps),  n_t = (x_t - mu) r                           (2)
    y_t = w n_t + b                                                      (3)

(the paper's gamma and beta are our w and b, its m is N). A column has one w and one b:

    dw = sum_t dy_t n_t,   db = sum_t dy_t,   dn_t = w dy_t.             (4)

(1) and (2) are those of ``layer_norm.py`` with the row's features i, j in the place of the rows t, s, so its (6) holds, and
x_s moves the loss through every row of the batch:

    ∂n_t/∂x_s = r ([t = s] - 1/N - n_t n_s / N),
    dx_s = sum_t dn_t ∂n_t/∂x_s = r (dn_s - mean(dn) - n_s mean(dn n)) = w r (dy_s - db/N - n_s dw/N).    (5)

w is the same for all rows, so it leaves the means, and the means are (4): backward needs no other sums. Padding is in no
sum and in no N, its y is 0, and it has no gradient. Two mistakes are easy: to divide by the N of all rows, padding too, and
by N - 1 in (1).

After training, a row's result shall not depend on the rows beside it. Then mu and v are given: those of the population,
constants for x, and of (5) the first term remains. They are inputs of (2) now:

    dx_t = w r dy_t,   dmu = -r w db,   dv = -(1/2) r^2 w dw,            (6)

because ∂n_t/∂mu = -r, and ∂n_t/∂v = (x_t - mu) (-r^3/2) = -n_t r^2/2.

How mu and v of the population are found: the paper's algorithm 2, `tinytx.layers.batch_norm.calibrate`.

With numbers
------------
The column has mu = 0 and v = 1, so that n = x, and the loss depends on the last row alone.

>>> x, one = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.ones(1)
>>> y, saved = batch_norm(x, 4 * one, one, eps=0.0)
>>> dx, dweight, dbias, _, _ = batch_norm_backward(np.array([[0.0], [0.0], [0.0], [1.0]]), saved)
>>> y.ravel().tolist(), dx.ravel().tolist()  # db/N = 1/4, dw/N = -1/4
([5.0, 5.0, -3.0, -3.0], [0.0, 0.0, -2.0, 2.0])
>>> dweight.tolist(), dbias.tolist()
([-1.0], [1.0])

The same in plain NumPy: ``batch_norm`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.ops.layer_norm import check_eps
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, check_shape, contiguous, rows


class Saved(NamedTuple):
    x: np.ndarray  # (..., D)
    weight: np.ndarray  # (D,)
    real: np.ndarray  # (rows,), bool
    mean: np.ndarray  # (D,)
    variance: np.ndarray  # (D,)
    r: np.ndarray  # (D,)
    n: int  # N, of which mean and variance were made; 0 if they were given


@kernel
def _statistics(mean, variance, x, real):
    """Write mu and v, float64; return N."""
    n = 0
    for i in range(x.shape[0]):
        if real[i]:
            n += 1
            for j in range(x.shape[1]):
                mean[j] += x[i, j]
    for j in range(x.shape[1]):
        mean[j] /= max(n, 1)
    for i in range(x.shape[0]):
        if real[i]:
            for j in range(x.shape[1]):
                variance[j] += (x[i, j] - mean[j]) * (x[i, j] - mean[j])
    for j in range(x.shape[1]):
        variance[j] /= max(n, 1)  # (1)
    return n


@kernel
def _forward(y, x, real, weight, bias, mean, r):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = weight[j] * ((x[i, j] - mean[j]) * r[j]) + bias[j] if real[i] else x.dtype.type(0)  # (3)


@kernel
def _sums(dweight, dbias, dy, x, real, mean, r):
    """Add up (4), in float64."""
    for i in range(x.shape[0]):
        if real[i]:
            for j in range(x.shape[1]):
                dweight[j] += dy[i, j] * ((x[i, j] - mean[j]) * r[j])
                dbias[j] += dy[i, j]


@kernel
def _backward(dx, dy, x, real, weight, mean, r, mean_dy_n, mean_dy):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            n = (x[i, j] - mean[j]) * r[j]
            dx[i, j] = weight[j] * r[j] * (dy[i, j] - mean_dy[j] - n * mean_dy_n[j]) if real[i] else x.dtype.type(0)  # (5)


def batch_norm(x, weight, bias, mean=None, variance=None, *, mask=None, eps=1e-5):
    """Return w (x - mean) / sqrt(variance + eps) + b, where each feature has its mean over the rows of the batch.

    Parameters
    ----------
    x : array (..., D), float32 or float64
        All axes but the last count rows.
    weight, bias : array (D,), the dtype of x
    mean, variance : array (D,), the dtype of x, optional
        Those of the population, in the place of the batch's.
    mask : boolean array that broadcasts to x's shape without D, optional
        True at real rows. Without it, all are. Padding gives 0 and is in no mean.
    eps : float
        Added to the variance: a constant feature gives ``bias`` and a finite gradient.

    Returns
    -------
    y : array (..., D)
    saved : Saved
        Its ``mean``, ``variance`` and ``n`` are those of (1).

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, a variance is negative, ``eps`` is out of range, only one of mean and variance
        is given, or neither is and there is no real row.

    Notes
    -----
    Sums are made in float64. They are right for float32 of any size, and for float64 whose squares are in its range.
    """
    given = {name: a for name, a in (("mean", mean), ("variance", variance)) if a is not None}
    check_float("batch_norm", x=x, weight=weight, bias=bias, **given)
    check_axes("batch_norm", "x", x, "(..., D)")
    eps, d = check_eps("batch_norm", eps), x.shape[-1:]
    for name, array in {"weight": weight, "bias": bias, **given}.items():
        check_shape("batch_norm", name, array, d, "x of shape", x.shape)
    if len(given) == 1:
        missing = "variance" if mean is not None else "mean"
        raise ValueError(f"batch_norm: {missing} is None and {next(iter(given))} is given, expected both or neither")
    real = np.ones(x.shape[:-1], bool)
    if mask is not None:
        real &= check_mask("batch_norm", mask, x.shape[:-1])
    x_rows, real, n = rows(x), real.reshape(-1), 0
    if given:
        if not (variance >= 0).all():
            raise ValueError(f"batch_norm: variance is {variance.min()} at its smallest, expected numbers of at least 0")
    else:
        mean, variance = np.zeros(d), np.zeros(d)
        n = _statistics(mean, variance, x_rows, real)
        if n == 0:
            raise ValueError(f"batch_norm: x has shape {x.shape} and no real row, expected at least one to take a mean of")
    r = (1 / np.sqrt(variance + np.float64(eps))).astype(x.dtype)  # (2)
    saved = Saved(x, weight, real, mean.astype(x.dtype), variance.astype(x.dtype), r, n)
    y = np.empty_like(x_rows)
    _forward(y, x_rows, real, contiguous(weight), contiguous(bias), saved.mean, r)
    return y.reshape(x.shape), saved


def batch_norm_backward(dy, saved):
    """Return (dx, dweight, dbias, dmean, dvariance); the last two are None with the batch's own mean and variance.

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    """
    x, weight, real, mean, variance, r, n = saved
    check_gradient("batch_norm_backward", dy, x.shape, x.dtype, "x of shape", x.shape)
    x_rows, dy_rows, d = rows(x), rows(dy), x.shape[-1]
    dweight, dbias = np.zeros(d), np.zeros(d)
    _sums(dweight, dbias, dy_rows, x_rows, real, mean, r)  # (4)
    means = [(total / n).astype(x.dtype) if n else np.zeros(d, x.dtype) for total in (dweight, dbias)]
    dx = np.empty_like(x_rows)
    _backward(dx, dy_rows, x_rows, real, contiguous(weight), mean, r, *means)
    given = (None, None) if n else (-r * weight * dbias, -r * r * weight * dweight / 2)  # (6)
    return dx.reshape(x.shape), *(total if total is None else total.astype(x.dtype) for total in (dweight, dbias, *given))
