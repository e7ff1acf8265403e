r"""Attention over several sets of keys, put together from attention over each (Milakov and Gimelshein 2018).

Derivation
----------
Let the keys be cut into N sets. Over set i alone, `tinytx.ops.attention` gives for one query the output y_i, of numbers
y_ik, and l_i = ln sum_s e^(A_s), the sum over the keys of the set. The softmax over all keys divides by the sum of all sums,

    L = ln sum_i e^(l_i)                                                 (1)
    w_i = e^(l_i - L)             share of set i, the shares add up to 1    (2)
    Y_k = sum_i w_i y_ik          output over all keys                   (3)

because a weight of set i is e^(A_s - L) = w_i e^(A_s - l_i). The shares are a softmax of the l_i, so its backward,
(3) of ``softmax.py``, gives their gradients, with the gradient of w_i, which is the product a_i of dY and y_i, in the place
of dy:

    dy_ik = w_i dY_k,                                                    (4)
    a_i = sum_k dY_k y_ik,
    g_i = w_i (a_i - sum_j w_j a_j) = w_i (a_i - sum_k dY_k Y_k).        (5)

The second form of (5) follows from (3). L itself is an output too, for the next merge, and as ∂L/∂l_i = w_i, it adds a second part:

    dl_i = g_i + w_i dL.                                                 (6)

A set in which a query sees no key has l_i = -inf, so that w_i is 0. If it sees none in any set, Y is 0 and L is -inf.
``merge`` in ``plain.py`` is the short version.

With numbers
------------
Two sets with sums 1 and 3: shares 1/4 and 3/4.

>>> ys, lses = np.array([[[0.0]], [[4.0]]]), np.array([[0.0], [np.log(3)]])
>>> (y, lse), saved = merge(ys, lses)
>>> y.round(4).tolist(), np.exp(lse).round(4).tolist()
([[3.0]], [4.0])
>>> dys, dlses = merge_backward((np.ones((1, 1)), np.zeros(1)), saved)
>>> dys.round(4).ravel().tolist(), dlses.round(4).ravel().tolist()
([0.25, 0.75], [-0.75, 0.75])
"""

from typing import NamedTuple

import numpy as np

from tinytx.shapes import check_axes, check_float, check_gradient, check_shape


class Saved(NamedTuple):
    ys: np.ndarray  # (N, ..., W)
    shares: np.ndarray  # (N, ...), w of (2)
    y: np.ndarray  # (..., W)


def merge(ys, lses):
    """Return attention over all keys, from attention over N sets of them.

    Parameters
    ----------
    ys : array (N, ..., W), float32 or float64
        The output over each set, such as (N, B, H, T, W).
    lses : array (N, ...), the dtype of ys
        The log-sum-exp of each row over each set: what `tinytx.ops.attention` returns with ``log_sum_exp=True``.

    Returns
    -------
    (y, lse) : arrays (..., W) and (...)
        Output and log-sum-exp over all keys.
    saved : Saved
    """
    check_float("merge", ys=ys, lses=lses)
    check_axes("merge", "ys", ys, "(N, ..., W)")
    check_shape("merge", "lses", lses, ys.shape[:-1], "ys of shape", ys.shape)
    m = np.max(lses, axis=0, initial=-np.inf)
    shares = np.exp(lses - np.where(m == -np.inf, 0, m))
    z = shares.sum(axis=0)
    with np.errstate(divide="ignore"):
        lse = np.asarray(m + np.log(z))  # (1)
    shares /= np.where(z == 0, 1, z)  # (2)
    y = np.einsum("n...,n...k->...k", shares, ys)  # (3)
    return (y, lse), Saved(ys, shares, y)


def merge_backward(dy, saved):
    """Return (dys, dlses).

    Parameters
    ----------
    dy : pair of arrays (..., W) and (...)
        The gradients of y and of the log-sum-exp.
    saved : Saved
    """
    ys, shares, y = saved
    if not (isinstance(dy, tuple) and len(dy) == 2):
        raise TypeError("merge_backward: dy is not the pair (dy, dlse), expected because the forward returned (y, lse)")
    dy, dlse = dy
    check_gradient("merge_backward", dy, y.shape, y.dtype, "y of shape", y.shape)
    check_gradient("merge_backward", dlse, y.shape[:-1], y.dtype, "y of shape", y.shape)
    inner = np.einsum("...k,n...k->n...", dy, ys) - np.einsum("...k,...k->...", dy, y)
    return shares[..., None] * dy, shares * (inner + dlse)  # (4), (5) and (6)
