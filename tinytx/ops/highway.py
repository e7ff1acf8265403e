r"""Highway: a share of a new array, and the rest of the old one (Srivastava, Greff and Schmidhuber 2015, arXiv:1505.00387).

Derivation
----------
x is what a layer reads, h what it makes of it, and a a gate, three arrays of one shape. Element by element, with the
logistic function s,

    s(a) = 1 / (1 + e^(-a)),   t = s(a),   c = 1 - t = s(-a),            (1)
    y = t h + c x.                                                       (2)

So t says how much is new, and c how much is carried along: where a is far below 0 the layer is the identity, whatever h
is. In the paper h = relu(x W + b) and a = x V + d, and d starts below 0, so that gradients reach the first of many layers.

x and h have the gradients of a sum with given shares,

    dx = c dy,   dh = t dy.                                              (3)

s'(a) = s(a) (1 - s(a)) = t c, and c falls as t rises, so that

    da = dy (h - x) t c.                                                 (4)

x is usually what h and a are made of, and then gets two more gradients through them: `tinytx.layers.Highway` adds
them up.

c is computed from -a. As 1 - t it would have lost its digits where t is near 1. Kept are x, h and a: backward computes t
and c a second time.

With numbers
------------
a = ln 3, so t = 3/4. With x = 1 and h = 5, y = 3.75 + 0.25. For dy = 16, (4) is 16 times 4 times 3/16:

>>> x, h, gate = np.array([1.0]), np.array([5.0]), np.array([np.log(3)])
>>> y, saved = highway(x, h, gate)
>>> y.round(12).tolist(), [gradient.round(12).tolist() for gradient in highway_backward(np.array([16.0]), saved)]
([4.0], [[4.0], [12.0], [12.0]])

The same in plain NumPy: ``highway`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, kernel
from tinytx.shapes import check_float, check_gradient, check_shape, contiguous, elementwise


class Saved(NamedTuple):
    x: np.ndarray
    h: np.ndarray
    gate: np.ndarray  # a


@kernel
def _forward(y, x, h, a):
    one = x.dtype.type(1)
    for i in range(x.size):
        t, c = one / (one + exp(-a[i])), one / (one + exp(a[i]))  # (1)
        y[i] = t * h[i] + c * x[i]  # (2)


@kernel
def _backward(dx, dh, da, dy, x, h, a):
    one = x.dtype.type(1)
    for i in range(x.size):
        t, c = one / (one + exp(-a[i])), one / (one + exp(a[i]))
        dx[i], dh[i] = c * dy[i], t * dy[i]  # (3)
        da[i] = dy[i] * (h[i] - x[i]) * t * c  # (4)


def highway(x, h, gate):
    """Return s(gate) h + s(-gate) x.

    Parameters
    ----------
    x : array, float32 or float64
        What is carried along.
    h, gate : array, shape and dtype of x
        What is new, and how much of it: half where the gate is 0.

    Returns
    -------
    y : array, shape of x
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    check_float("highway", x=x, h=h, gate=gate)
    check_shape("highway", "h", h, x.shape, "x of shape", x.shape)
    check_shape("highway", "gate", gate, x.shape, "x of shape", x.shape)
    return elementwise(_forward, x, h, gate), Saved(x, h, gate)


def highway_backward(dy, saved):
    """Return (dx, dh, dgate).

    Parameters
    ----------
    dy : array, shape of x
    saved : Saved
    """
    x, h, gate = (contiguous(array).reshape(-1) for array in saved)
    check_gradient("highway_backward", dy, saved.x.shape, x.dtype, "x of shape", saved.x.shape)
    dx, dh, da = (np.empty_like(x) for _ in range(3))
    _backward(dx, dh, da, contiguous(dy).reshape(-1), x, h, gate)
    return dx.reshape(dy.shape), dh.reshape(dy.shape), da.reshape(dy.shape)
