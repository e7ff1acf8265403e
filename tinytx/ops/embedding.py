r"""Embedding: row ids[n] of a table, for each n.

Derivation
----------
The rows picked are a product with the one-hot matrix E, whose row n has its 1 at ids_n:

    y_nd = W_{ids_n, d} = sum_v [ids_n = v] W_vd,                        (1)
    E_nv = [ids_n = v],   y = E W,

and so the gradient is that of a product, by (3) of ``linear.py``:

    dW = E^T dy.

In it row v collects the gradients of all places n that picked v:

    dW_vd = sum_{n : ids_n = v} dy_nd.                                   (2)

An id that occurs twice gets two contributions: (2) adds, it does not assign. E is never formed. Ids are integers and
have no gradient.

The same in plain NumPy: ``embedding`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.recording import beforehand, empty
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_shape, contiguous, rows


class Saved(NamedTuple):
    """The ids say where (2) adds; of the table only its shape and dtype are needed."""

    ids: np.ndarray
    weight_shape: tuple
    dtype: np.dtype


@kernel
def _gather(y, ids, weight):
    for n in range(len(ids)):
        row, out = weight[ids[n]], y[n]
        for d in range(len(out)):
            out[d] = row[d]  # (1)


@kernel
def _scatter_add(dweight, ids, dy):
    for n in range(ids.shape[0]):
        v = ids[n]
        for d in range(dy.shape[1]):
            dweight[v, d] += dy[n, d]  # (2)


def embedding(ids, weight):
    """Return the rows of ``weight`` that ``ids`` name.

    Parameters
    ----------
    ids : integers (...), each in 0..V-1
    weight : array (V, D), float32 or float64

    Returns
    -------
    y : array (..., D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If ids are not integers, one is out of range (the message has its position and value), or ``weight`` is not a
        float array (V, D).
    """
    check_float("embedding", weight=weight)
    check_axes("embedding", "weight", weight, "(V, D)")
    ids = beforehand(check_ids, "embedding", ids, len(weight))
    y = empty((*ids.shape, weight.shape[1]), weight.dtype)
    _gather(y.reshape(ids.size, weight.shape[1]), ids.reshape(-1), contiguous(weight))
    return y, Saved(ids, weight.shape, weight.dtype)


def embedding_backward(dy, saved, out=None):
    """Return dweight (V, D), or add it into ``out`` and return that: most of its rows are zero.

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    out : C-contiguous array (V, D), optional
    """
    ids, shape, dtype = saved
    check_gradient("embedding_backward", dy, (*ids.shape, shape[1]), dtype, "ids of shape", ids.shape)
    dweight = np.zeros(shape, dy.dtype) if out is None else out
    check_float("embedding_backward", dy=dy, out=dweight)
    check_shape("embedding_backward", "out", dweight, shape, "the table of shape", shape)
    if not dweight.flags.carray:
        raise ValueError("embedding_backward: out is not C-contiguous, aligned and writeable: give such an array")
    _scatter_add(dweight, ids.ravel(), rows(dy))
    return dweight
