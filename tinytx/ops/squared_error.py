r"""The squared error: how far predicted vectors are from the true ones.

Derivation
----------
For N vectors y_n with targets t_n, the mean of the squared distances,

    L = (1/N) sum_n sum_i (y_ni - t_ni)^2.                               (1)

Each number is in one square, so

    ∂L/∂y_ni = 2 (y_ni - t_ni) / N,   dy_ni = dL 2 (y_ni - t_ni) / N.    (2)

With numbers
------------
>>> loss, saved = squared_error(np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[0.0, 2.0], [0.0, 0.0]]))
>>> loss, squared_error_backward(1.0, saved).tolist()
(5.0, [[1.0, 0.0], [0.0, 3.0]])

The same in plain NumPy: ``squared_error`` in ``plain.py``.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.shapes import check_axes, check_float, check_shape


def squared_error(y, targets, *, count=None):
    """Return the mean squared distance of vectors from their targets.

    Parameters
    ----------
    y : array (..., D), float32 or float64
    targets : array (..., D), the dtype of y
    count : int, optional
        N in (1), at least 1. The default is the number of vectors. A shard of a batch gives the number of the whole batch.

    Returns
    -------
    loss : float
    saved : tuple
        y - targets, and N.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or there are no vectors and no ``count`` is given.
    """
    place = "squared_error"
    check_float(place, y=y, targets=targets)
    check_axes(place, "y", y, "(..., D)")
    check_shape(place, "targets", targets, y.shape, "y of shape", y.shape)
    count = check_whole(place, "count", math.prod(y.shape[:-1]) if count is None else count)
    difference = y - targets
    return float(np.sum(difference * difference, dtype=np.float64)) / count, (difference, count)  # (1)


def squared_error_backward(dloss, saved):
    """Return dy.

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : tuple
    """
    difference, count = saved
    return difference * difference.dtype.type(2 * check_number("squared_error_backward", "dloss", dloss) / count)  # (2)
