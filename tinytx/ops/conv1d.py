r"""Convolution along a sequence: the same linear map of K neighbouring positions, at every place.

Derivation
----------
x is (T, I), the weight W is K matrices (I, O), the bias b is (O,). z is x with ``left`` rows of zeros in front of it and
``right`` rows behind it. With a step s from output to output and a distance d between the positions that are read, output t
reads z at the places s t, s t + d, s t + 2 d, .., each through a matrix of its own:

    z_ui = sum_{v : left + v = u} x_vi,
    y_to = b_o + sum_k sum_i z_{s t + d k, i} W_kio                      (1)

The last place that is read is s (T' - 1) + d (K - 1), which is below T + left + right. So the number of outputs is

    T' = floor((T + left + right - d (K - 1) - 1) / s) + 1

For each k, (1) is a product of matrices: rows s t + d k of z, (T', I), with W_k. So its gradients are those of ``linear.py``,
(2) and (3) there: place u of z hears of all outputs t that read it through some k; a matrix W_k hears of all outputs
of all rows of the batch, and so does b:

    dz_ui = sum_k sum_{t : s t + d k = u} sum_o dy_to W_kio              (2)
    dW_kio = sum_batch sum_t z_{s t + d k, i} dy_to,   db_o = sum_batch sum_t dy_to      (3)

dx is dz without the rows at its ends: zeros that are added have no gradient.

    dx_vi = dz_{left + v, i}                                             (4)

(1) turns nothing around: it is what signal processing calls cross-correlation, and deep learning convolution. K is 3 to
7 in practice; K products of slices need no array of K copies of x. What is kept: z and W.

With numbers
------------
K = 2, I = O = 1, W = (1, 10): each output is an element plus ten times the next. dW_k sums the elements that W_k met.

>>> x, weight = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), np.array([1.0, 10.0]).reshape(2, 1, 1)
>>> y, saved = conv1d(x, weight)
>>> dx, dweight, _ = conv1d_backward(np.ones((1, 2, 1)), saved)
>>> y.ravel().tolist(), dx.ravel().tolist(), dweight.ravel().tolist()
([21.0, 32.0], [1.0, 11.0, 10.0], [3.0, 5.0])

The same in plain NumPy: ``conv1d`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.ops.linear import product
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape, rows


class Saved(NamedTuple):
    padded: np.ndarray  # z
    weight: np.ndarray
    has_bias: bool
    left: int
    n: int  # T
    step: int
    distance: int

    @property
    def n_out(self):
        """T', the number of outputs."""
        return (self.padded.shape[1] - self.distance * (len(self.weight) - 1) - 1) // self.step + 1

    def read(self, padded, k):
        """Return the rows of z, or of its gradient, that W_k meets: (B, T', I), a view."""
        first = self.distance * k
        return padded[:, first : first + self.step * (self.n_out - 1) + 1 : self.step]


def conv1d(x, weight, bias=None, *, left=0, right=0, step=1, distance=1):
    """Return the convolution of each sequence.

    Parameters
    ----------
    x : array (B, T, I), float32 or float64
    weight : array (K, I, O), the dtype of x
    bias : array (O,), optional
    left, right : int
        Rows of zeros in front of the sequence and behind it, at most ``distance`` (K - 1). As many in front as that: an
        output reads no later position.
    step, distance : int
        From output to output (stride), and between the positions that are read (dilation); at least 1.

    Returns
    -------
    y : array (B, T', O)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, a number is out of range, or a sequence is too short to be read once.
    """
    check_float("conv1d", x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    check_axes("conv1d", "x", x, "(B, T, I)")
    check_axes("conv1d", "weight", weight, "(K, I, O)")
    check_shape("conv1d", "weight", weight, (len(weight), x.shape[2], weight.shape[2]), "x of shape", x.shape)
    step, distance = check_whole("conv1d", "step", step), check_whole("conv1d", "distance", distance)
    (b, n, _), reach = x.shape, distance * (len(weight) - 1) + 1
    left, right = (check_whole("conv1d", name, m, 0, max(0, reach - 1)) for name, m in (("left", left), ("right", right)))
    if len(weight) < 1 or n + left + right < reach:
        facts = f"x of shape {x.shape} has {n + left + right} positions with the zeros at its ends"
        raise ValueError(f"conv1d: {facts}, expected at least {reach} for weight of shape {weight.shape}, of which K is at least 1")
    padded = np.pad(x, ((0, 0), (left, right), (0, 0))) if left or right else x
    saved = Saved(padded, weight, bias is not None, left, n, step, distance)
    y = np.zeros((b * saved.n_out, weight.shape[2]), x.dtype)
    if bias is not None:
        check_shape("conv1d", "bias", bias, weight.shape[2:], "weight of shape", weight.shape)
        y += bias
    for k, matrix in enumerate(weight):
        y += product(rows(saved.read(padded, k)), matrix)  # (1)
    return y.reshape(b, saved.n_out, weight.shape[2]), saved


def conv1d_backward(dy, saved):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (B, T', O)
    saved : Saved
    """
    padded, weight, has_bias, left, n, _, _ = saved
    shape = len(padded), saved.n_out, weight.shape[2]
    check_gradient("conv1d_backward", dy, shape, padded.dtype, "x and weight of shapes", padded.shape, "and", weight.shape)
    dpadded, dweight, dy_rows = np.zeros_like(padded), np.empty_like(weight, order="C"), rows(dy)
    for k, matrix in enumerate(weight):
        saved.read(dpadded, k)[...] += product(dy_rows, matrix.T).reshape(*shape[:2], len(matrix))  # (2)
        dweight[k] = product(rows(saved.read(padded, k)).T, dy_rows)  # (3)
    return dpadded[:, left : left + n], dweight, dy_rows.sum(axis=0) if has_bias else None  # (4), (3)
