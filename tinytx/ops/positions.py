r"""Positions: rows of a table, added to the rows of every sequence.

Derivation
----------
Position t of every sequence gets the same row of the table W, from row ``start`` on:

    y_td = x_td + W_{start + t, d}                                       (1)

∂y_td/∂x_td = 1, so x's gradient passes unchanged. A row of W was added in every sequence, so its gradient is a sum over the
batch; rows that no position used get 0:

    dx_td = dy_td,   dW_vd = sum_batch sum_{t : start + t = v} dy_td     (2)

What is kept: shapes and ``start``, since (2) holds no number of x or W.

The table is learned (GPT, BERT), or it is the sinusoids of Vaswani et al. 2017 (arXiv:1706.03762, section 3.5), whose
wave lengths grow geometrically from 2 pi to 10000 * 2 pi. Row p is that of position p:

    S_{p, 2i} = sin(p / 10000^(2i / D))                                  (3)
    S_{p, 2i+1} = cos(p / 10000^(2i / D))                                (4)

A much copied program takes 2i for i and so doubles the exponent: its column j, even or odd, has the angle p / 10000^(2j / D),

    S_pj = [mod(j, 2) = 0] sin(p / 10000^(2j / D)) + [mod(j, 2) = 1] cos(p / 10000^(2j / D))                (5)

Sine and cosine of a pair then have different wave lengths, and the longest is 10000^2 * 2 pi. Both are here, because a
model that was trained with one does not work with the other. Only the comparison with that program needs (5).

Marian and its translators have the columns of (3) and (4) in another order, all sines first and then all cosines:

    S_pi = sin(p / 10000^(2i / D)),   S_{p, D/2 + i} = cos(p / 10000^(2i / D))                              (6)

Of an image's patches, at row r and column c of a grid of w columns, half of the numbers say c and half of them r (Beyer et al.
2022, arXiv:2205.01580, the code in its appendix). With n = D/4 wave lengths from 2 pi to 10000 * 2 pi,

    f_k = 10000^(-k / (n - 1)),
    S_{r w + c, k} = sin(c f_k),   S_{r w + c, n + k} = cos(c f_k),
    S_{r w + c, 2n + k} = sin(r f_k),   S_{r w + c, 3n + k} = cos(r f_k)                                    (7)

n = 1 would be 0/0, so D is a multiple of 4 and at least 8.

The same in plain NumPy: ``add_positions`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import INT64, check_flag, check_sizes, check_whole
from tinytx.kernel import kernel
from tinytx.recording import empty
from tinytx.shapes import check_dtype, check_float, check_gradient, contiguous

FIRST = (-(2**31), 2**31)


class Saved(NamedTuple):
    x_shape: tuple
    table_shape: tuple
    start: int
    dtype: np.dtype


@kernel
def _add(y, x, table):
    """Write (1) of a batch, for the part of the table that starts at its first position."""
    for b in range(len(x)):
        for t in range(x.shape[1]):
            out, given, row = y[b, t], x[b, t], table[t]
            for d in range(len(out)):
                out[d] = given[d] + row[d]


@kernel
def _sum(dtable, dy, start):
    dtable[:] = 0
    for b in range(len(dy)):
        for t in range(dy.shape[1]):
            sums, more = dtable[start + t], dy[b, t]
            for d in range(len(sums)):
                sums[d] += more[d]  # (2)


def add_positions(x, table, start=0):
    """Return x with the rows ``start .. start + T - 1`` of ``table`` added to each sequence.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    table : array (max_len, D), the dtype of x
    start : int
        The position of x's first element: above 0 if earlier positions are in a cache.

    Returns
    -------
    y : array (B, T, D)
    saved : Saved

    Raises
    ------
    ValueError
        If the table is too short or too narrow.
    """
    check_float("add_positions", x=x, table=table)
    if x.ndim != 3 or table.ndim != 2 or x.shape[2] != table.shape[1]:
        raise ValueError(f"add_positions: table of shape {table.shape} does not fit x of shape {x.shape}, (B, T, D)")
    start = check_whole("add_positions", "start", start, *INT64)
    stop = start + x.shape[1]
    if not 0 <= start <= stop <= len(table):
        raise ValueError(f"add_positions: positions {start}..{stop - 1} exceed 0..{len(table) - 1}, those of the table")
    y = empty(x.shape, x.dtype)
    _add(y, contiguous(x), contiguous(table[start:stop]))
    return y, Saved(x.shape, table.shape, start, x.dtype)


def add_positions_backward(dy, saved):
    """Return (dx, dtable); dx is dy itself."""
    x_shape, shape, start, dtype = saved
    check_gradient("add_positions_backward", dy, x_shape, dtype, "x of shape", x_shape)
    dtable = empty(shape, dy.dtype)
    _sum(dtable, contiguous(dy), start)
    return dy, dtable


def sinusoidal_positions(max_len, d_model, dtype=np.float32, *, doubled=False, halves=False, first=0):
    """Return the table of positions.

    Parameters
    ----------
    max_len : int
        Number of positions.
    d_model : int
        Width D; an odd one ends with a sine.
    dtype : float32 or float64
        The table is computed in float64 and then rounded.
    doubled : bool
        Whether the angles are those of (5), not the paper's.
    halves : bool
        Whether the columns are in the order of (6), not the paper's.
    first : int
        The position of the first row, within +-2^31: below 0 where rows are of distances to both sides.

    Returns
    -------
    array (max_len, d_model)
    """
    check_sizes("sinusoidal_positions", max_len=max_len, d_model=d_model)
    first = check_whole("sinusoidal_positions", "first", first, *FIRST)
    dtype = check_dtype("sinusoidal_positions", dtype)
    doubled = check_flag("sinusoidal_positions", "doubled", doubled)
    halves = check_flag("sinusoidal_positions", "halves", halves)
    position, column = first + np.arange(max_len)[:, None], np.arange(d_model)
    pair = column if doubled else column // 2
    angle = position / 10000.0 ** (2 * pair / d_model)  # (max_len, D), (5)
    table = np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)  # (3), (4)
    return np.concatenate([table[:, 0::2], table[:, 1::2]], axis=1) if halves else table  # (6)


def sinusoidal_grid(n_rows, n_columns, d_model, dtype=np.float32):
    """Return the table of positions of a grid, row by row: (7).

    Parameters
    ----------
    n_rows, n_columns : int
    d_model : int
        Width D, a multiple of 4, at least 8.
    dtype : float32 or float64
        The table is computed in float64 and then rounded.

    Returns
    -------
    array (n_rows n_columns, d_model)

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """
    check_sizes("sinusoidal_grid", n_rows=n_rows, n_columns=n_columns, d_model=d_model)
    dtype = check_dtype("sinusoidal_grid", dtype)
    if d_model % 4 or d_model < 8:
        raise ValueError(f"sinusoidal_grid: d_model is {d_model}, expected a multiple of 4, at least 8")
    f = 10000.0 ** (-np.arange(d_model // 4) / (d_model // 4 - 1))
    row, column = (place.reshape(-1, 1) * f for place in np.mgrid[:n_rows, :n_columns])
    return np.concatenate([np.sin(column), np.cos(column), np.sin(row), np.cos(row)], axis=1).astype(dtype)  # (7)
