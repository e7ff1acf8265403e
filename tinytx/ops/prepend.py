r"""Prepend: the same learned rows in front of every sequence (the class token of Devlin et al. 2018 and Dosovitskiy et al. 2020).

Derivation
----------
Let W be n rows, (n, D). A sequence x, (T, D), becomes one of n + T positions, the rows of W and then its own:

    y_id = W_id,   y_{n+t, d} = x_td.                                    (1)

A row of x stands at one place, so its gradient is that place's:

    dx_td = ∂loss/∂x_td = dy_{n+t, d}                                    (2)

A row of W stands in every sequence, so its gradient is the sum over the batch of what stands at its place j = i:

    dW_id = sum_batch sum_j [i = j] dy_jd.                               (3)

What is kept: shapes alone, since (2) and (3) hold no number of x or W.

Example: W = 5, and the sequences 1 2 and 3 4 become 5 1 2 and 5 3 4. With dy = 10 20 30 and 40 50 60, dx is 20 30 and
50 60, and dW is 10 + 40 = 50.

The same in plain NumPy: ``prepend`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.shapes import check_axes, check_float, check_gradient


class Saved(NamedTuple):
    shape: tuple  # y's
    n: int
    dtype: np.dtype


def prepend(x, weight):
    """Return x with rows in front of each sequence.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight : array (n, D), the dtype of x

    Returns
    -------
    y : array (B, n + T, D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If the arrays have other axes, or another width.
    """
    check_float("prepend", x=x, weight=weight)
    check_axes("prepend", "x", x, "(B, T, D)")
    check_axes("prepend", "weight", weight, "(n, D)")
    if x.shape[2] != weight.shape[1]:
        raise ValueError(f"prepend: weight has shape {weight.shape}, expected (n, {x.shape[2]}) from x of shape {x.shape}")
    n = len(weight)
    y = np.concatenate([np.broadcast_to(weight, (len(x), *weight.shape)), x], axis=1)  # (1)
    return y, Saved(y.shape, n, x.dtype)


def prepend_backward(dy, saved):
    """Return (dx, dweight).

    Parameters
    ----------
    dy : array (B, n + T, D)
    saved : Saved
    """
    shape, n, dtype = saved
    check_gradient("prepend_backward", dy, shape, dtype, "x and weight")
    return dy[:, n:], dy[:, :n].sum(axis=0)  # (2), (3)
