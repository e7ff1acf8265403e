r"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762), in tiles.

Derivation
----------
For one head, with T queries, S keys and values of width K, c = 1/sqrt(K), and some of the scores masked,

    A = c Q K^T                  scores, (T, S)                          (1)
    P = softmax(A) by rows       weights, (T, S); 0 where masked         (2)
    Y = P V                      output, (T, K)                          (3)

(1) and (3) are products of two matrices, and both factors get a gradient as in ``linear.py``: the left one by its (2),
the right one by its (3). (2) is the softmax of ``softmax.py``, whose (3) becomes (6) here. So with dY = ∂loss/∂Y,

    dV = P^T dY                                                          (4)
    dP = dY V^T                                                          (5)
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr)                              (6)
    dQ = c dA K                                                          (7)
    dK = c dA^T Q                                                        (8)

In (4) and (8) the T axis is summed: every query that looked at a key adds to its gradient.

The sum in (6) is a scalar product of two rows that exist anyway. By (5), and then (3):

    sum_r P_tr dP_tr = sum_r P_tr sum_k dY_tk V_rk = sum_k dY_tk Y_tk.   (9)

Dropout puts P' = P m/(1-p) in the place of P in (3), with a mask m of zeros and ones (``dropout.py``). Then (4) has P',
(5) gives dP' = dY V^T, and dP = dP' m/(1-p) goes into (6), whose P stays the undropped one. (9) still holds, because
P_tr dP_tr = P_tr (m_tr/(1-p)) dP'_tr = P'_tr dP'_tr, and sum_r P'_tr V_rk is Y_tk.

This is all of the mathematics. ``attention`` in ``plain.py`` does it in plain NumPy, in a few lines; the rest of this
page is about never holding the whole of P.

Tiles
-----
P has T x S elements for each head, and they need never exist together. A tile is the part of P for a block of queries
and a block of keys (``attention_tiles.py``). A row of P needs its largest score m_t and its Z_t = sum_s e^(A_ts - m_t),
of which a tile knows only the part up to its own keys. So the tiles of a row carry along m, Z and the sum of
e^(A_ts - m_t) V_s: where a tile brings a larger score m', both sums shrink by e^(m - m'), and after the last tile Y is
the one divided by the other (Milakov and Gimelshein 2018, arXiv:1805.02867). m_t and Z_t are kept, from which backward
makes any tile again:

    P_ts = e^(A_ts - m_t) / Z_t.                                         (10)

Memory is linear in T (Dao et al. 2022, arXiv:2205.14135, argue it whole). Under a causal mask a block stops at the last
key that its last query may see, which skips half of the products.

Masked positions count for nothing, whatever is in them. A masked score is never read, and where P is 0 the products
leave out what it multiplies, so that 0 times NaN is 0. A query whose keys are all masked has output 0 and gradient 0,
and 1/Z is kept as 0.

Names in the loops: ``a`` is a tile of Q K^T without c, and ``scale`` is c, so ``largest`` is m/c. Under a causal mask,
query t of the tile sees the tile's keys 0 .. ``first`` + t. ``inner`` is (9). Dropout hashes an element's row and its
column in the whole batch's weights: ``rows_of`` is the first such row of each head of the tile, ``column`` the tile's
first key; ``bit`` is the number that an element's 32 random bits must reach for it to stay, and 0 without dropout.

With numbers
------------
One query and two keys, K = 1: the scores are (0, ln 3), so that P = (1/4, 3/4); by (9) the sum in (6) is 1 * 3.

>>> q, k, v = (np.array(x).reshape(1, 1, -1, 1) for x in ([1.0], [0.0, np.log(3)], [0.0, 4.0]))
>>> y, saved = attention(q, k, v)
>>> dq, dk, dv = attention_backward(np.ones((1, 1, 1, 1)), saved)
>>> y.round(4).ravel().tolist(), dv.round(4).ravel().tolist()
([3.0], [0.25, 0.75])
>>> dq.round(4).ravel().tolist(), dk.round(4).ravel().tolist()  # dP = (0, 4), dA = (-0.75, 0.75)
([0.824], [-0.75, 0.75])
"""

import math
from itertools import chain
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_flag, check_probability
from tinytx.kernel import exp, hash_element, hash_row, kernel, row_max
from tinytx.ops.attention_tiles import groups_of_tiles
from tinytx.ops.dropout import check_mask_key, threshold
from tinytx.shapes import check_float, check_gradient, check_mask, check_shape

BLOCK, LONG_BLOCK = 64, 384  # queries in a tile: an eighth of the sequence, within these bounds
KEYS = 768  # keys in a tile, at most
TILE = 1 << 17  # elements of a tile of several heads, at most: half a megabyte of float32

_NO_MASK, _NO_ROWS = np.empty((0, 0, 0), bool), np.empty(0, np.int64)
_QUIET = {"invalid": "ignore", "over": "ignore"}  # NaN in masked positions is no news


class Saved(NamedTuple):
    """Arrays that exist anyway, and two numbers for each query and head."""

    q: np.ndarray  # (B, H, T, K)
    k: np.ndarray  # (B, H, S, K)
    v: np.ndarray  # (B, H, S, K)
    y: np.ndarray  # (B, H, T, K)
    largest: np.ndarray  # (B, H, T), m / c in (10)
    inverse: np.ndarray  # (B, H, T), 1 / Z
    mask: np.ndarray | None
    causal: bool
    dropout: tuple  # p, key, first row


@kernel
def _softmax_tile(a, running, mask, masked, first, scale, key, bit, keep_scale, rows_of, column):
    """Turn a tile of Q K^T (G, t, s) into e^(A - m), dropped, and bring the running sums (4, G, t) up to date.

    Those are m / c, Z, 1 / Z, and what the sums of the tiles before are to be multiplied by.
    """
    largest, z, inverse, shrink = running[0], running[1], running[2], running[3]
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            row = a[g, t]
            seen = max(0, min(s_size, first + t + 1))
            if masked:
                for s in range(seen):
                    row[s] = row[s] if mask[g, t, s] else a.dtype.type(-np.inf)
            before, m = largest[g, t], row_max(row, seen)
            if before > m:
                m = before
            if m == -np.inf:
                seen = 0
            total = zero
            for s in range(seen):
                row[s] = exp((row[s] - m) * scale)
                total += row[s]
            largest[g, t], shrink[g, t] = m, exp((before - m) * scale) if before != -np.inf else zero
            z[g, t] = z[g, t] * shrink[g, t] + total
            inverse[g, t] = a.dtype.type(1) / z[g, t] if m != -np.inf else zero
            for s in range(seen, s_size):
                row[s] = zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(seen):
                    row[s] = row[s] * keep_scale if hash_element(bits, column + s) >= bit else zero


@kernel
def _softmax_tile_backward(a, dp, inner, largest, inverse, mask, masked, first, scale, key, bit, keep, rows_of, column):
    """Turn tiles of Q K^T and dY V^T into the dropped P of (4), and c dA of (7) and (8)."""
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            row, drow = a[g, t], dp[g, t]
            m, r, sum_p_dp = largest[g, t], inverse[g, t], inner[g, t]
            seen = max(0, min(s_size, first + t + 1)) if r != 0 else 0
            if masked:
                for s in range(seen):
                    row[s] = row[s] if mask[g, t, s] else a.dtype.type(-np.inf)
                    drow[s] = drow[s] if mask[g, t, s] else zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(seen):
                    kept = keep if hash_element(bits, column + s) >= bit else zero
                    p = exp((row[s] - m) * scale) * r  # (10)
                    row[s] = p * kept
                    drow[s] = p * (drow[s] * kept - sum_p_dp) * scale  # (5), (6)
            else:
                for s in range(seen):
                    row[s] = exp((row[s] - m) * scale) * r  # (10)
                    drow[s] = row[s] * (drow[s] - sum_p_dp) * scale  # (6)
            for s in range(seen, s_size):
                row[s] = zero
                drow[s] = zero


def _product(p, x, *, out, add=False):
    """Write p @ x into ``out``, or add it; where p is 0 it leaves out what it multiplies, even NaN or infinity."""
    y = np.matmul(p, x, out=None if add else out)
    if not np.isfinite(y.sum()):
        finite = np.isfinite(x)
        touched = np.matmul(p != 0, ~finite)
        y[...] = np.where(touched, y, p @ np.where(finite, x, x.dtype.type(0)))
    if add:
        out += y


def _groups(saved, parts=1):
    """Return lists of rows of tiles: what one list writes, no other touches."""
    sizes = BLOCK, LONG_BLOCK, KEYS, TILE
    return groups_of_tiles(saved.q.shape[:3], saved.k.shape[2], saved.causal, parts, sizes)


def _kernel_arguments(saved, tile):
    """Return the arguments that both kernels share."""
    b, h, n_queries, width = saved.q.shape
    n_keys, dtype = saved.k.shape[2], saved.q.dtype.type
    p, key, first_row = saved.dropout
    mask, rows_of = _NO_MASK, _NO_ROWS
    if saved.mask is not None:
        whole = np.broadcast_to(saved.mask, (b, h, n_queries, n_keys))
        mask = _flat(np.array(whole[tile.q][..., tile.keys], order="C"))
    if key is not None:  # the row, among the B H T of the whole batch's weights, that each head of the tile starts at
        heads = (first_row + np.arange(b)[tile.batch, None]) * h + np.arange(h)[tile.heads]
        rows_of = (heads * n_queries + tile.queries.start).ravel()
    column = tile.keys.start
    first = (tile.queries.start + n_keys - n_queries if saved.causal else n_keys) - column
    bit = threshold(p) if key is not None else np.uint32(0)
    keep_scale = dtype(1 / (1 - p)) if key is not None else dtype(1)
    scale = dtype(1 / math.sqrt(width) if width else 1)  # of no terms every score is 0
    return mask, saved.mask is not None, first, scale, np.uint64(key or 0), bit, keep_scale, rows_of, column


def _scores(saved, tile):
    """Return Q K^T of a tile, contiguous."""
    return np.matmul(saved.q[tile.q], saved.k[tile.k].swapaxes(2, 3), order="C")  # (1), c later


def attention(q, k, v, *, mask=None, causal=False, dropout=0.0, key=None, first_row=0, parts=1, run=map):
    """Return softmax(q k^T / sqrt(K)) v for each head.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    k, v : array (B, H, S, K), the dtype of q
        Any strides: heads need not be copied out of a (B, T, H K) array.
    mask : boolean array that broadcasts to (B, H, T, S), optional
        True where attention is allowed. Keys' padding is (B, 1, 1, S).
    causal : bool
        Query t sees the keys up to S - T + t: the last query sees all, also where fewer queries than keys are given
        (decoding).
    dropout : float in [0, 1), key : int or None, first_row : int
        Dropout of the weights, as in `tinytx.ops.dropout`, applied if ``key`` is given; ``first_row`` is the index in
        the whole batch of q's first row.
    parts : int
        How many calls ``run`` makes side by side: heads are shared out evenly where there are enough, and enough to do.
    run : function (f, groups)
        Calls f for each group: `map`, or one that does so in ``parts`` threads.

    Returns
    -------
    y : array (B, H, T, K), laid out in memory like q
    saved : Saved

    Notes
    -----
    Beside arrays of q's and k's size, each thread has one tile, backward two, of ``LONG_BLOCK`` x ``KEYS`` elements at
    most, and the mask's part.
    """
    check_float("attention", q=q, k=k, v=v)
    dropout = check_probability("attention", "dropout", dropout)
    if q.ndim != 4 or k.ndim != 4 or k.shape[:2] != q.shape[:2] or k.shape[3] != q.shape[3]:
        raise ValueError(f"attention: q {q.shape} and k {k.shape} do not fit: expected (B, H, T, K) and (B, H, S, K)")
    check_shape("attention", "v", v, k.shape, "k of shape", k.shape)
    if mask is not None:
        mask = check_mask("attention", mask, (*q.shape[:3], k.shape[2]))
    causal, key = check_flag("attention", "causal", causal), key if dropout else None
    key, first_row = check_mask_key("attention", key, first_row) if key is not None else (None, 0)
    y = np.empty_like(q)
    largest, inverse = np.empty(q.shape[:3], q.dtype), np.empty(q.shape[:3], q.dtype)
    saved = Saved(q, k, v, y, largest, inverse, mask, causal, (dropout, key, first_row))

    def attend(rows):
        with np.errstate(**_QUIET):
            for tiles in rows:
                at = tiles[0].q
                y_rows = y[at]
                running = np.zeros((4, *y_rows.shape[:3]), q.dtype)
                running[0] = -np.inf
                for tile in tiles:
                    e = _scores(saved, tile)
                    _softmax_tile(_flat(e), running.reshape(4, -1, e.shape[2]), *_kernel_arguments(saved, tile))
                    add = tile is not tiles[0]
                    if add:
                        y_rows *= running[3][..., None]
                    _product(e, v[tile.k], out=y_rows, add=add)  # (3), but for Z
                largest[at], inverse[at] = running[0], running[2]
                y_rows *= running[2][..., None]

    list(run(attend, _groups(saved, parts)))
    return y, saved


def _flat(tile):
    """Join the batch and head axes: (batch, heads, ...) -> (G, ...), a view of a contiguous array."""
    return np.ascontiguousarray(tile).reshape(tile.shape[0] * tile.shape[1], *tile.shape[2:])


@np.errstate(**_QUIET)
def attention_weights(saved):
    """Return P (B, H, T, S), after dropout, for pictures: made again from what backward keeps."""
    weights = np.zeros((*saved.q.shape[:3], saved.k.shape[2]), saved.q.dtype)
    for tile in chain(*chain(*_groups(saved))):
        weights[(*tile.q, tile.keys)], _ = _tile_backward(saved, tile, saved.y, np.zeros_like(saved.largest))
    return weights


def _tile_backward(saved, tile, dy, inner):
    """Return the dropped P and c dA of a tile."""
    p = _scores(saved, tile)
    da = np.matmul(dy[tile.q], saved.v[tile.k].swapaxes(2, 3), order="C")  # (5)
    kept = (_flat(array[tile.q]) for array in (inner, saved.largest, saved.inverse))
    _softmax_tile_backward(_flat(p), _flat(da), *kept, *_kernel_arguments(saved, tile))
    return p, da


def attention_backward(dy, saved, *, parts=1, run=map):
    """Return (dq, dk, dv), laid out in memory like q, k and v.

    Parameters
    ----------
    dy : array (B, H, T, K), any strides
    saved : Saved
    parts, run
        As for `attention`.
    """
    q, k, v = saved.q, saved.k, saved.v
    check_gradient("attention_backward", dy, q.shape, q.dtype, "q of shape", q.shape)
    dq, dk, dv = (np.empty_like(x) if q.size else np.zeros_like(x) for x in (q, k, v))

    inner = np.einsum("bhtk,bhtk->bht", dy, saved.y)  # (9)

    def attend(rows):
        with np.errstate(**_QUIET):
            for tiles in reversed(rows):  # the last block of queries sees every key: it writes, and the others add
                for tile in tiles:
                    p, da = _tile_backward(saved, tile, dy, inner)
                    add = tiles is not rows[-1]
                    _product(p.swapaxes(2, 3), dy[tile.q], out=dv[tile.k], add=add)  # (4)
                    _product(da, k[tile.k], out=dq[tile.q], add=tile is not tiles[0])  # (7)
                    _product(da.swapaxes(2, 3), q[tile.q], out=dk[tile.k], add=add)  # (8)

    list(run(attend, _groups(saved, parts)))
    return dq, dk, dv
