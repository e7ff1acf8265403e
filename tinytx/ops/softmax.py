r"""Softmax over the last axis, with a mask.

Derivation
----------
A mask says which elements of a row are allowed; without one, all are. Over the allowed elements j of a row,

    y_i = e^(x_i) / sum_j e^(x_j) = e^(x_i - m) / sum_j e^(x_j - m),     (1)

for any number m, because e^(-m) cancels. To show this, the small example takes some m that is not the row's maximum.
The code takes the maximum: no exponent is positive then, so nothing overflows. That m depends on x, but y does not
depend on m, so the derivative may take m for a constant. Masked elements are 0, and so is a row in which all are
masked: there is no 0/0.

Write [i = j] for the number that is 1 if i = j and 0 otherwise. Take the logarithm of (1) and its derivative:

    ln y_i = x_i - ln sum_k e^(x_k),
    ∂ ln y_i/∂x_j = [i = j] - e^(x_j) / sum_k e^(x_k) = [i = j] - y_j.

Since ∂ ln y_i/∂x_j = (1/y_i) ∂y_i/∂x_j, multiplying by y_i gives

    ∂y_i/∂x_j = y_i ([i = j] - y_j).                                     (2)

x_j moves the loss through every y_i of its row. With dy_i = ∂loss/∂y_i (see ``linear.py``) the chain rule says

    dx_j = sum_i dy_i (∂y_i/∂x_j) = dy_j y_j - sum_i dy_i y_i y_j
         = y_j (dy_j - sum_i dy_i y_i).                                  (3)

(3) needs only y. Where y_j = 0, dx_j = 0 too, so masked elements get exactly 0. Since the y add up to 1, a row's dx add
up to 0: adding a constant to a whole row does not change its softmax.

With numbers
------------
>>> y, saved = softmax(np.log([[1.0, 2.0, 1.0]]))
>>> y.round(4).tolist()
[[0.25, 0.5, 0.25]]
>>> softmax_backward(np.array([[1.0, 0.0, 0.0]]), saved).round(4).tolist()  # sum_i dy_i y_i = 0.25
[[0.1875, -0.125, -0.0625]]

The same in plain NumPy: ``softmax`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import exp, kernel, row_max
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, rows


@kernel
def _forward(y, x, mask):
    for n in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[n, j] = x[n, j] if mask[n, j] else x.dtype.type(-np.inf)  # a masked NaN is not read
        largest = row_max(y[n], x.shape[1])
        if largest == -np.inf:
            for j in range(x.shape[1]):
                y[n, j] = x.dtype.type(0)
        else:
            total = x.dtype.type(0)
            for j in range(x.shape[1]):
                y[n, j] = exp(y[n, j] - largest)
                total += y[n, j]
            for j in range(x.shape[1]):
                y[n, j] /= total  # (1)


@kernel
def _backward(dx, dy, y):
    for n in range(y.shape[0]):
        inner = y.dtype.type(0)
        for j in range(y.shape[1]):
            inner += dy[n, j] * y[n, j] if y[n, j] != 0 else y.dtype.type(0)
        for j in range(y.shape[1]):
            dx[n, j] = y[n, j] * (dy[n, j] - inner) if y[n, j] != 0 else y.dtype.type(0)  # (3), from (2)


def softmax(x, mask=None):
    """Return the softmax of each row of x over the elements that ``mask`` allows.

    Parameters
    ----------
    x : array (..., S), float32 or float64
    mask : boolean array that broadcasts to x's shape, optional
        True where an element is allowed.

    Returns
    -------
    y : array, shape of x
        0 where masked; all 0 in a row that is masked completely.
    saved : array
        y itself.
    """
    check_float("softmax", x=x)
    check_axes("softmax", "x", x, "(..., S)")
    allowed = np.broadcast_to(check_mask("softmax", True if mask is None else mask, x.shape), x.shape)
    y = np.empty(x.shape, x.dtype)
    _forward(rows(y), rows(x), rows(allowed))
    return y, y


def softmax_backward(dy, saved):
    """Return dx, exactly 0 where masked."""
    check_gradient("softmax_backward", dy, saved.shape, saved.dtype, "y of shape", saved.shape)
    dx = np.empty(saved.shape, saved.dtype)
    _backward(rows(dx), rows(dy), rows(saved))
    return dx
