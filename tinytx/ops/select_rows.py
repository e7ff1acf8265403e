r"""Select rows: some positions of a batch of sequences, gathered into one matrix.

Derivation
----------
Write x, (B, T, D), as a matrix X of N = B·T rows. With the one-hot matrix E, the rows picked are a product, as an
embedding's are (``embedding.py``) with X in the place of the table:

    y_id = X_{rows_i, d} = sum_n [rows_i = n] X_nd,                      (1)
    E_in = [rows_i = n],   y = E X.

So, by (3) of ``linear.py``,

    dX = E^T dy:

a row of X collects the gradients of all places that picked it, and rows that were not picked get 0:

    dX_nd = sum_{i : rows_i = n} dy_id.                                  (2)

This saves most of the output layer's work in a masked language model. The loss is a sum over masked positions, and a
position's logits depend on its own row of X alone. So an output layer that reads only the n masked rows gives the same
loss and, by (2), the same gradients as one that reads all N rows, but computes n V logits instead of N V.

The same in plain NumPy: ``select_rows`` in ``plain.py``.
"""

from typing import NamedTuple

from tinytx.ops.embedding import embedding, embedding_backward
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_integers
from tinytx.shapes import rows as as_matrix


class Saved(NamedTuple):
    """The rows say where (2) adds; of x only its shape is needed."""

    picked: tuple  # what `embedding` saved of the rows
    x_shape: tuple


def select_rows(x, rows):
    """Return some rows of x as a matrix.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    rows : integers (n,), each in 0..N-1
        Rows of x as a matrix (N, D): position t of sequence b of a (B, T, D) is row b·T + t. A row may occur several
        times, or not at all; n may be 0.

    Returns
    -------
    y : array (n, D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If ``rows`` are not integers (n,), or one is out of range (the message has its position and value).
    """
    check_float("select_rows", x=x)
    check_axes("select_rows", "x", x, "(..., N, D)")
    rows = check_integers("select_rows", rows, "rows")
    check_axes("select_rows", "rows", rows, "(n,)")
    matrix = as_matrix(x)
    rows = check_ids("select_rows", rows, len(matrix), what="row")
    y, picked = embedding(rows, matrix)  # (1)
    return y, Saved(picked, x.shape)


def select_rows_backward(dy, saved):
    """Return dx, of x's shape: 0 in the rows that were not selected.

    Parameters
    ----------
    dy : array (n, D)
    saved : Saved
    """
    picked, x_shape = saved
    shape = (len(picked.ids), x_shape[-1])
    check_gradient("select_rows_backward", dy, shape, picked.dtype, "rows and x's width")
    return embedding_backward(dy, picked).reshape(x_shape)  # (2)
