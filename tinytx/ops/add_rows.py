r"""Add rows: weighted rows of a matrix, each added into a row of the result; `select_rows` in the other direction.

Derivation
----------
A token n has k places, each with a weight w_nj: of the experts that it was sent to (``route.py``). Slot k n + j is place j of
token n. Row i of x, (m, D), belongs to slot_i, and so to

    token_i = floor(slot_i / k),   place_i = slot_i - k token_i.

Each token gets the sum of its rows:

    y_nd = sum_j sum_{i : slot_i = k n + j} w_nj x_id
         = sum_{i : token_i = n} w_{n, place_i} x_id.                    (1)

With k = 1 and all weights 1 this is y = E^T x, E being the one-hot matrix of ``select_rows.py``, whose backward is thus this
forward, and the other way round. (1) is linear in x and in w, so

    dx_id = w_{token_i, place_i} dy_{token_i, d},                        (2)
    dw_nj = sum_{i : slot_i = k n + j} sum_d dy_nd x_id.                 (3)

A token without a row is 0, and a weight without a row gets 0.

Example: two tokens, k = 2, w = 0.5 0.5 / 0.9 0.1, and x = 10 / 20 of the slots 1 and 2: the first token gets 0.5 * 10 = 5, the
second 0.9 * 20 = 18. With dy = 1 / 2: dx = 0.5 / 1.8, and dw = 0 10 / 40 0.

The same in plain NumPy: ``add_rows`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_shape, contiguous
from tinytx.shapes import rows as as_matrix


class Saved(NamedTuple):
    x: np.ndarray
    weights: np.ndarray
    slots: np.ndarray


@kernel
def _forward(y, x, weights, slots):
    k = weights.shape[1]
    for i in range(x.shape[0]):
        n, j = slots[i] // k, slots[i] % k
        for d in range(x.shape[1]):
            y[n, d] += weights[n, j] * x[i, d]  # (1)


@kernel
def _backward(dx, dweights, dy, x, weights, slots):
    k = weights.shape[1]
    for i in range(x.shape[0]):
        n, j = slots[i] // k, slots[i] % k
        for d in range(x.shape[1]):
            dx[i, d] = weights[n, j] * dy[n, d]  # (2)
            dweights[n, j] += dy[n, d] * x[i, d]  # (3)


def add_rows(x, weights, slots):
    """Return for each token the weighted sum of its rows.

    Parameters
    ----------
    x : array (m, D), float32 or float64
    weights : array (..., k), the dtype of x
        Of each token's places.
    slots : integers (m,)
        The place of each row, counted through ``weights``; several rows may have one.

    Returns
    -------
    y : array (..., D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit each other, or a slot is out of range.
    """
    check_float("add_rows", x=x, weights=weights)
    check_axes("add_rows", "x", x, "(m, D)")
    check_axes("add_rows", "weights", weights, "(..., k)")
    slots = check_ids("add_rows", slots, weights.size, what="slot")
    check_shape("add_rows", "slots", slots, x.shape[:1], "x of shape", x.shape)
    x, weights = contiguous(x), contiguous(weights)
    y = np.zeros((*weights.shape[:-1], x.shape[1]), x.dtype)
    _forward(as_matrix(y), x, as_matrix(weights), slots)
    return y, Saved(x, weights, slots)


def add_rows_backward(dy, saved):
    """Return (dx, dweights).

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    """
    x, weights, slots = saved
    check_gradient("add_rows_backward", dy, (*weights.shape[:-1], x.shape[1]), x.dtype, "weights and x")
    dx, dweights = np.empty_like(x), np.zeros_like(weights)
    _backward(dx, as_matrix(dweights), as_matrix(dy), x, as_matrix(weights), slots)
    return dx, dweights
