r"""Maxout: of each two neighbours the larger one (Goodfellow et al. 2013, arXiv:1302.4389).

Derivation
----------
A row of 2 L numbers becomes one of L, the larger of each two neighbours. With s_j for whether that is the second one,

    s_j = [x_{2j} < x_{2j+1}],   y_j = max(x_{2j}, x_{2j+1}) = (1 - s_j) x_{2j} + s_j x_{2j+1}.         (1)

After a linear map, y_j is the larger of two linear functions: convex, with a slope that the data choose, where a ReLU has
one of the two fixed at 0. Bahdanau et al. (2014, arXiv:1409.0473, appendix A.2.2) make each word's vector so.

A small change of x does not change s_j, so y_j moves as the larger number does, and that one gets the gradient:

    dx_{2j} = (1 - s_j) dy_j,   dx_{2j+1} = s_j dy_j.                    (2)

Where both are equal, there is a kink, and any way to share dy_j out between them is a subgradient. The first one gets all of
it. So that backward decides as forward did, s is kept, one byte for each y_j, and x is not.

A NaN of either makes y_j NaN, and gets its gradient.

With numbers
------------
>>> y, saved = maxout(np.array([[1.0, 3.0, 2.0, 2.0]]))
>>> y.tolist(), maxout_backward(np.array([[5.0, 7.0]]), saved).tolist()
([[3.0, 2.0]], [[0.0, 5.0, 7.0, 0.0]])

The same in plain NumPy: ``maxout`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import check_float, check_gradient, contiguous


class Saved(NamedTuple):
    second: np.ndarray  # (..., L), bool: s
    dtype: np.dtype


@kernel
def _forward(y, second, x):
    for j in range(y.size):
        first, other = x[2 * j], x[2 * j + 1]
        second[j] = first == first and not first >= other
        y[j] = other if second[j] else first  # (1)


@kernel
def _backward(dx, dy, second):
    for j in range(dy.size):
        s = np.int64(second[j])
        dx[2 * j + s], dx[2 * j + 1 - s] = dy[j], dy.dtype.type(0)  # (2)


def maxout(x):
    """Return the larger of each two neighbours in a row.

    Parameters
    ----------
    x : array (..., 2 L), float32 or float64

    Returns
    -------
    y : array (..., L)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If x is no such array, or its last axis is not a multiple of 2.
    """
    check_float("maxout", x=x)
    if not x.ndim or x.shape[-1] % 2:
        raise ValueError(f"maxout: x has shape {x.shape}, expected (..., 2 L): an even number of columns, for pairs of neighbours")
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    y, second = np.empty(shape, x.dtype), np.empty(shape, bool)
    _forward(y.reshape(-1), second.reshape(-1), contiguous(x).reshape(-1))
    return y, Saved(second, x.dtype)


def maxout_backward(dy, saved):
    """Return dx (..., 2 L).

    Parameters
    ----------
    dy : array (..., L)
    saved : Saved
    """
    second, dtype = saved
    check_gradient("maxout_backward", dy, second.shape, dtype, "half of x's columns")
    dx = np.empty((*second.shape[:-1], 2 * second.shape[-1]), dtype)
    _backward(dx.reshape(-1), contiguous(dy).reshape(-1), second.reshape(-1))
    return dx
