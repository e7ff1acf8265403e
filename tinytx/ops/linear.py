r"""The linear map y = x W + b.

Derivation
----------
Write the rows of x as a matrix X of shape (N, d_in). Each output is a sum,

    Y_nj = sum_i X_ni W_ij + b_j.                                        (1)

A change of X_ni moves every Y_nj of its own row by W_ij, so by the chain rule dX_ni = sum_j dY_nj W_ij:

    dX = dY W^T.                                                         (2)

A change of W_ij moves Y_nj in every row n, by X_ni, so dW_ij = sum_n X_ni dY_nj:

    dW = X^T dY.                                                         (3)

And b_j is added to every row:

    db_j = sum_n dY_nj.                                                  (4)

The shapes allow no other order of the factors: (2) is (N, d_out)(d_out, d_in), (3) is (d_in, N)(N, d_out).
"""

from typing import NamedTuple

import numpy as np

from tinytx.shapes import check_float, check_shape, rows


class Saved(NamedTuple):
    """x and W stand in (2) and (3). Both exist already: keeping them costs a reference."""

    x: np.ndarray
    weight: np.ndarray
    has_bias: bool


def linear(x, weight, bias=None):
    """Return x W + b.

    Parameters
    ----------
    x : array (..., d_in), float32 or float64
    weight : array (d_in, d_out), the dtype of x
    bias : array (d_out,), optional

    Returns
    -------
    y : array (..., d_out)
    saved : Saved
        For `linear_backward`.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("linear", x=x, weight=weight, bias=bias)
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[0]:
        raise ValueError(f"linear: weight of shape {weight.shape} does not fit x of shape {x.shape}: x @ weight")
    y = rows(x) @ weight  # (1)
    if bias is not None:
        check_shape("linear", "bias", bias, weight.shape[1:], "weight of shape", weight.shape)
        y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), Saved(x, weight, bias is not None)


def linear_backward(dy, saved):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (..., d_out)
    saved : Saved
    """
    x, weight, has_bias = saved
    dy_rows, x_rows = rows(dy), rows(x)
    dx = (dy_rows @ weight.T).reshape(x.shape)  # (2)
    if weight.flags.c_contiguous:
        dweight = x_rows.T @ dy_rows  # (3)
    else:  # the transpose of a table of embeddings: (3) transposed, laid out in memory as that table is
        dweight = (dy_rows.T @ x_rows).T
    dbias = np.ones(len(dy_rows), dy.dtype) @ dy_rows if has_bias else None  # (4): a product sums faster than .sum
    return dx, dweight, dbias
