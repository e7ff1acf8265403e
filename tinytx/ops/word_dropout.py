r"""Word dropout: whole words disappear from a step (Gal and Ghahramani 2016, arXiv:1512.05287; Merity et al. 2017, 1708.02182).

Derivation
----------
Let x_n be the vector of word v_n, a row of the table of embeddings. With a mask m that has a zero (probability p) or a one
for each word of the vocabulary,

    y_n = x_n m_{v_n} / (1 - p).                                         (1)

So a word that is left out is left out wherever it stands, in all rows of a batch, as if its row of the table were 0. An
output layer that shares the table reads the table as it is. m does not depend on x, so
∂y_n/∂x_n = m_{v_n} / (1 - p), element by element, and

    dx_n = dy_n m_{v_n} / (1 - p).                                       (2)

The mask is a hash of key and id, computed again in backward: see ``dropout.py``. It needs no number of the first row, as a
thread with some rows of a batch must have the mask of all others.

The same in plain NumPy: ``word_dropout`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import INT64, check_probability
from tinytx.kernel import hash_element, hash_row, kernel
from tinytx.ops.dropout import check_mask_key, threshold
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_shape, rows


class Saved(NamedTuple):
    ids: np.ndarray
    shape: tuple  # of x
    dtype: np.dtype
    p: float
    key: int


@kernel
def _apply(y, x, ids, key, threshold, scale):
    for n in range(x.shape[0]):
        keep = hash_element(hash_row(key, ids[n]), 0) >= threshold
        for d in range(x.shape[1]):
            y[n, d] = x[n, d] * scale if keep else x.dtype.type(0)  # (1), (2)


def word_dropout(x, ids, p, key):
    """Return x with the vectors of some words zeroed, each word with probability p, the others divided by 1 - p.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    ids : integers (...), at least 0
        The word of each vector.
    p : float in [0, 1)
    key : int, 64 bits
        Names the mask: `Tape.dropout_key` gives one for each site and step.

    Returns
    -------
    y : array, shape of x
    saved : Saved
        Without the mask: the backward computes it again.

    Raises
    ------
    TypeError, ValueError
        If x is not a float array, ids do not fit it, or p or key are out of range.
    """
    check_float("word_dropout", x=x)
    check_axes("word_dropout", "x", x, "(..., D)")
    ids = check_ids("word_dropout", ids, INT64[1])
    check_shape("word_dropout", "ids", ids, x.shape[:-1], "x of shape", x.shape)
    key, _ = check_mask_key("word_dropout", key, 0)
    saved = Saved(ids, x.shape, x.dtype, check_probability("word_dropout", "p", p), key)
    return word_dropout_backward(x, saved), saved


def word_dropout_backward(dy, saved):
    """Return dx: by (1) and (2) the forward and the backward are the same map."""
    ids, shape, dtype, p, key = saved
    check_gradient("word_dropout_backward", dy, shape, dtype, "x of shape", shape)
    dy_rows = rows(dy)
    dx = np.empty_like(dy_rows)
    _apply(dx, dy_rows, ids.ravel(), np.uint64(key), threshold(p), dy.dtype.type(1 / (1 - p)))
    return dx.reshape(dy.shape)
