r"""Long short-term memory, a whole sequence of it (Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000).

Derivation
----------
A recurrent layer reads a sequence from left to right. It carries two vectors of R numbers along: h, which it also puts
out, and the cell c. With h' and c' for those of the position before, * for products of elements and
s(a) = 1 / (1 + e^-a), it computes at each position

    z = x Wx + h' Wh + b,     cut into four parts z_i, z_f, z_g, z_o     (1)
    i = s(z_i),  f = s(z_f),  g = tanh(z_g),  o = s(z_o)                 (2)
    c = f * c' + i * g                                                   (3)
    h = o * u,   u = tanh(c).                                            (4)

The gates i, f and o say how much of g goes into the cell, how much of the cell stays, and how much of it shows.

Backward goes from the last position to the first. h of a position moves the loss in two ways: as the output y of this
position, and through (1) of the next one. So dh is the sum of dy and of what the next position sends back by (10); at
the last position, of the gradient of the final h. The same holds for c, by (9). By (4) and (3), and the slopes
∂s/∂a = s (1 - s) and ∂tanh/∂a = (1 - tanh) (1 + tanh),

    dc += dh * o * (1 - u) * (1 + u)                                     (5)
    dz_o = dh * u * o * (1 - o)                                          (6)
    dz_i = dc * g * i * (1 - i)                                          (7)
    dz_f = dc * c' * f * (1 - f),   dz_g = dc * i * (1 - g) * (1 + g)    (8)
    dc' = dc * f                                                         (9)
    dh' = dz Wh^T.                                                       (10)

All positions use the same weights, so their gradients are sums over positions and rows. With the rows of all positions
below each other, they are those of a linear map, (2) to (4) of ``linear.py``, and need no loop:

    dX = dZ Wx^T,   dWx = X^T dZ,   dWh = H'^T dZ,   db = sum dZ.        (11)

The h and c before the first position have gradients too: what (10) and (9) send there. Backpropagation through time is
truncated by not using them: the next part of a long text begins with the last h and c of this one as constants.

At padding (the mask is False) nothing happens: h and c stay as they are, and y is 0. Backward sends dh and dc through
unchanged, and dz is 0, so that (11) needs no mask.

What is kept: the gates of (2), and h and c of all positions. u is computed again.

With numbers
------------
Weights of 0 and large biases: i, f and o are 1, and g is tanh(b_g) = 0.6. The cell counts 0.6 for each position:

>>> bias = np.array([40.0, 40.0, np.arctanh(0.6), 40.0])
>>> (y, h, c), saved = lstm(np.ones((1, 3, 1)), np.zeros((1, 4)), np.zeros((1, 4)), bias)
>>> np.arctanh(y).round(4).tolist(), c.round(4).tolist()
([[[0.6], [1.2], [1.8]]], [[1.8]])

A loss that grows by 1 with the last c grows by 1 with the first one, and by 1 - 0.6^2 with z_g at each position:

>>> dy = np.zeros((1, 3, 1)), np.zeros((1, 1)), np.ones((1, 1))
>>> *_, dbias, dh, dc = lstm_backward(dy, saved)
>>> dbias.round(4).tolist(), dh.tolist(), dc.tolist()  # db_g = 3 * 0.64
([0.0, 0.0, 1.92, 0.0], [[0.0]], [[1.0]])

The same in plain NumPy: ``lstm`` in ``plain.py``, from ``plain_recurrent.py``. Below, time is the first axis of every array, so that a position is
one block of memory.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, kernel
from tinytx.ops.linear import product
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, check_shape, contiguous, rows


class Saved(NamedTuple):
    x: np.ndarray  # (T, B, D)
    weight_x: np.ndarray  # (D, 4 R)
    weight_h: np.ndarray  # (R, 4 R)
    gates: np.ndarray  # (T, B, 4 R): i, f, g and o of (2)
    h: np.ndarray  # (T + 1, B, R), at 0 the one before the first position
    c: np.ndarray  # (T + 1, B, R)
    mask: np.ndarray  # (T, B), bool


@kernel
def _squash(z, product, bias):
    """Turn a row's x Wx into its gates; tanh a is 2 s(2 a) - 1."""
    units, one, two = z.size // 4, z.dtype.type(1), z.dtype.type(2)
    for part in range(4):  # i, f, g, o
        slope = two if part == 2 else one
        for k in range(part * units, (part + 1) * units):
            a = z[k] + product[k] + bias[k]  # (1)
            z[k] = slope / (one + exp(-slope * a)) - (slope - one)  # (2)


@kernel
def _forward(h, c, z, product, bias, h_before, c_before, mask):
    """Take one position: ``z`` holds x Wx and becomes the gates, ``product`` is h' Wh."""
    units = h.shape[1]
    one, two = h.dtype.type(1), h.dtype.type(2)
    for n in range(h.shape[0]):
        _squash(z[n], product[n], bias)
        if mask[n]:
            for k in range(units):
                c[n, k] = z[n, units + k] * c_before[n, k] + z[n, k] * z[n, 2 * units + k]  # (3)
            for k in range(units):
                h[n, k] = z[n, 3 * units + k] * (two / (one + exp(-two * c[n, k])) - one)  # (4)
        else:
            c[n] = c_before[n]
            h[n] = h_before[n]


@kernel
def _backward(dz, dh, dc, dy, gates, c, c_before, mask):
    """Go back through one position: ``dh`` ends as 0 where (10) will be added to it, and ``dc`` as (9)."""
    units = dh.shape[1]
    one, two, zero = dh.dtype.type(1), dh.dtype.type(2), dh.dtype.type(0)
    for n in range(dh.shape[0]):
        if not mask[n]:
            dz[n] = zero
            continue
        for k in range(units):
            u, o = two / (one + exp(-two * c[n, k])) - one, gates[n, 3 * units + k]
            dh_here = dh[n, k] + dy[n, k]
            dc[n, k] += dh_here * o * (one - u) * (one + u)  # (5)
            dz[n, 3 * units + k] = dh_here * u * o * (one - o)  # (6)
        for k in range(units):
            i, g = gates[n, k], gates[n, 2 * units + k]
            dz[n, k] = dc[n, k] * g * i * (one - i)  # (7)
            dz[n, 2 * units + k] = dc[n, k] * i * (one - g) * (one + g)  # (8)
        for k in range(units):
            f = gates[n, units + k]
            dz[n, units + k] = dc[n, k] * c_before[n, k] * f * (one - f)  # (8)
            dc[n, k] *= f  # (9)
        dh[n] = zero


def lstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None):
    """Return the outputs of all positions, and the final h and c.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, 4 R), the dtype of x
        Its columns are those of i, f, g and o, in this order (PyTorch's).
    weight_h : array (R, 4 R), the dtype of x
    bias : array (4 R,), the dtype of x
    h, c : array (B, R), the dtype of x, optional
        Output and cell before the first position: those that the part before ended with, or 0.
    mask : boolean array that broadcasts to (B, T), optional
        False at padding.

    Returns
    -------
    (y, h, c) : arrays (B, T, R), (B, R) and (B, R)
        y is 0 at padding. h and c are those of each row's last position.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    h, c, mask = _checked(x, weight_x, weight_h, bias, h, c, mask)
    (b, t, _), units = x.shape, len(weight_h)
    x, mask, bias, weight_h = (contiguous(array) for array in (x.swapaxes(0, 1), mask.T, bias, weight_h))
    gates = product(rows(x), weight_x).reshape(t, b, 4 * units)  # x Wx of (1)
    hs, cs = np.empty((t + 1, b, units), x.dtype), np.empty((t + 1, b, units), x.dtype)
    hs[0], cs[0], z = h, c, np.empty((b, 4 * units), x.dtype)
    for step in range(t):
        np.matmul(hs[step], weight_h, out=z)  # h' Wh of (1)
        _forward(hs[step + 1], cs[step + 1], gates[step], z, bias, hs[step], cs[step], mask[step])
    y = hs[1:].swapaxes(0, 1).copy()
    y[~mask.T] = 0
    return (y, hs[t].copy(), cs[t].copy()), Saved(x, weight_x, weight_h, gates, hs, cs, mask)


def _checked(x, weight_x, weight_h, bias, h, c, mask):
    """Return h, c and a mask (B, T), with 0 for an h or a c that is None; raise TypeError or ValueError."""
    given = {name: array for name, array in (("h", h), ("c", c)) if array is not None}
    check_float("lstm", x=x, weight_x=weight_x, weight_h=weight_h, bias=bias, **given)
    check_axes("lstm", "x", x, "(B, T, D)")
    check_axes("lstm", "weight_h", weight_h, "(R, 4 R)")
    (b, t, d), units = x.shape, len(weight_h)
    both = "x and weight_h of shapes", x.shape, "and", weight_h.shape
    check_shape("lstm", "weight_h", weight_h, (units, 4 * units), "its first axis")
    check_shape("lstm", "weight_x", weight_x, (d, 4 * units), *both)
    check_shape("lstm", "bias", bias, (4 * units,), "weight_h of shape", weight_h.shape)
    for name, array in given.items():
        check_shape("lstm", name, array, (b, units), *both)
    mask = np.broadcast_to(True if mask is None else check_mask("lstm", mask, (b, t)), (b, t))
    return *(np.zeros((b, units), x.dtype) if array is None else array for array in (h, c)), mask


def lstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc), the last two of the h and c before the first position.

    Parameters
    ----------
    dy : three arrays (B, T, R), (B, R) and (B, R)
        The gradients of y, and of the final h and c; None for one of these two that nothing uses.
    saved : Saved
    """
    x, weight_x, weight_h, gates, h, c, mask = saved
    (t, b, _), units = x.shape, len(weight_h)
    if not (isinstance(dy, tuple) and len(dy) == 3):
        raise TypeError("lstm_backward: dy is not (dy, dh, dc), expected because the forward returned (y, h, c)")
    dy, *final = dy
    dh, dc = (np.zeros((b, units), x.dtype) if array is None else array for array in final)
    for array, shape in ((dy, (b, t, units)), (dh, (b, units)), (dc, (b, units))):
        check_gradient("lstm_backward", array, shape, x.dtype, "what the forward returned")
    dy, dh, dc = contiguous(dy.swapaxes(0, 1)), dh.copy("C"), dc.copy("C")
    dz, weight, dh_before = np.empty_like(gates), contiguous(weight_h.T), np.empty_like(dh)
    for step in reversed(range(t)):
        _backward(dz[step], dh, dc, dy[step], gates[step], c[step + 1], c[step], mask[step])
        dh += np.matmul(dz[step], weight, out=dh_before)  # (10)
    dz_rows = rows(dz)  # (T B, 4 R)
    dx = product(dz_rows, weight_x.T).reshape(x.shape).swapaxes(0, 1).copy()  # (11)
    dweights = product(rows(x).T, dz_rows), product(rows(h[:t]).T, dz_rows)
    return dx, *dweights, np.ones(t * b, x.dtype) @ dz_rows, dh, dc
