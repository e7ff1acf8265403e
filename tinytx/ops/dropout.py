r"""Dropout (Srivastava et al. 2014), with masks that are computed and never stored.

Derivation
----------
With a mask m of zeros (probability p) and ones,

    y = x m / (1 - p),                                                   (1)

so that the expected value of y is x. m does not depend on x, so ∂y/∂x = m / (1 - p), element by element, and

    dx = dy m / (1 - p).                                                 (2)

m depends on a key and on the element's place: row n of the whole batch, column d. Its bits come from a hash and not
from a generator with a state. So the backward computes the mask again instead of storing it, a resumed run has the same
masks as an uninterrupted one, and a thread with some rows of the batch computes the bits of those rows only.

Rows may share a mask: with ``repeat`` = T, n is the number of a sequence, and its T positions have one mask, which is
new in each step. So a recurrent net cannot average the noise away over time (variational or locked dropout: Gal and
Ghahramani 2016, 1512.05287; Merity et al. 2017, 1708.02182).

The same in plain NumPy: ``dropout`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import ROWS, check_probability, check_whole
from tinytx.kernel import hash_element, hash_row, kernel
from tinytx.shapes import check_axes, check_float, check_gradient, rows


class Saved(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype
    p: float
    key: int
    first_row: int
    repeat: int


@kernel
def _apply(y, x, key, first_row, repeat, threshold, scale):
    for n in range(x.shape[0]):
        bits = hash_row(key, first_row + n // repeat)
        for d in range(x.shape[1]):
            keep = hash_element(bits, d) >= threshold
            y[n, d] = x[n, d] * scale if keep else x.dtype.type(0)  # (1), (2)


def threshold(p):
    """Return the number that an element's 32 random bits must reach for the element to stay."""
    return np.uint32(min(round(p * 2**32), 2**32 - 1))


def check_mask_key(place, key, first_row):
    """Return key and first row as ints; raise TypeError or ValueError if the hash cannot take them."""
    return check_whole(place, "key", key, 0, 2**64 - 1), check_whole(place, "first_row", first_row, *ROWS)


def dropout(x, p, key, first_row=0, repeat=1):
    """Return x with each element zeroed with probability p, the others divided by 1 - p.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    p : float in [0, 1)
    key : int, 64 bits
        Names the mask: `Tape.dropout_key` gives one for each site and step.
    first_row : int
        The index in the whole batch of x's first row, counting the rows of D elements.
    repeat : int
        Consecutive rows that have one mask, which ``first_row`` counts as one.

    Returns
    -------
    y : array, shape of x
    saved : Saved
        Without the mask: the backward computes it again.
    """
    check_float("dropout", x=x)
    check_axes("dropout", "x", x, "(..., D)")
    place, repeat = check_mask_key("dropout", key, first_row), check_whole("dropout", "repeat", repeat, 1, ROWS[1])
    saved = Saved(x.shape, x.dtype, check_probability("dropout", "p", p), *place, repeat)
    return dropout_backward(x, saved), saved


def dropout_backward(dy, saved):
    """Return dx: by (1) and (2) the forward and the backward are the same map."""
    shape, dtype, p, key, first_row, repeat = saved
    check_gradient("dropout_backward", dy, shape, dtype, "x of shape", shape)
    dy_rows = rows(dy)
    dx = np.empty_like(dy_rows)
    scale = dy.dtype.type(1 / (1 - p))
    _apply(dx, dy_rows, np.uint64(key), np.int64(first_row), np.int64(repeat), threshold(p), scale)
    return dx.reshape(dy.shape)
