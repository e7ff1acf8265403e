r"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762), in tiles.

Derivation
----------
For one head, with T queries, S keys and values, c = 1/sqrt(K) and an additive mask that is 0 or minus infinity,

    A = c Q K^T                  scores, (T, S)                          (1)
    P = softmax(A) by rows       weights, (T, S)                         (2)
    Y = P V                      output, (T, K)                          (3)

(3) and (1) are products, (2) is the softmax of ``softmax.py``, so backward is

    dV = P^T dY                                                          (4)
    dP = dY V^T                                                          (5)
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr)                              (6)
    dQ = c dA K                                                          (7)
    dK = c dA^T Q                                                        (8)

In (4) and (8) the T axis is summed: every query that looked at a key adds to its gradient. Dropout with mask m
multiplies P by m/(1-p) in (3) and (4), and dP by the same in (5); the P in (6) stays the undropped one.

Tiles. P has T x S elements for each head, and they need never exist together. A row of P depends on one row of Q only,
so ``BLOCK`` queries at a time are taken through (1) to (3), over few enough heads to stay in cache. What is kept is,
for each query, its largest score m_t and Z_t = sum_s e^(A_ts - m_t), from which backward makes the tile again:

    P_ts = e^(A_ts - m_t) / Z_t.                                         (9)

Memory is linear in T (Dao et al. 2022, arXiv:2205.14135, argue it whole). Under a causal mask a block stops at the last
key that its last query may see, which skips half of the products.

Masked positions count for nothing, whatever is in them. A masked score is never read, and where P is 0 the products
leave out what it multiplies, so that 0 times NaN is 0. A query whose keys are all masked has output 0 and gradient 0,
and 1/Z is kept as 0.
"""

import math
from itertools import chain
from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, hash_element, hash_row, kernel, row_max
from tinytx.ops.dropout import threshold
from tinytx.shapes import check_float, check_probability, check_shape

BLOCK, LONG_BLOCK, LONG = 64, 128, 1024  # queries in a tile, and in one of a sequence of 1,024 or more
TILE = 1 << 17  # elements of a tile, about: half a megabyte of float32

_NO_MASK, _NO_ROWS = np.empty((0, 0, 0), bool), np.empty(0, np.int64)
_QUIET = np.errstate(invalid="ignore", over="ignore")  # NaN in masked positions is no news


class Saved(NamedTuple):
    """Arrays that exist anyway, and two numbers for each query and head."""

    q: np.ndarray  # (B, H, T, K)
    k: np.ndarray  # (B, H, S, K)
    v: np.ndarray  # (B, H, S, K)
    largest: np.ndarray  # (B, H, T), m / c in (9)
    inverse: np.ndarray  # (B, H, T), 1 / Z
    mask: np.ndarray | None
    causal: bool
    dropout: tuple  # p, key, first row


class Tile(NamedTuple):
    """Some batch rows, some heads, a block of queries, and how many keys the block's last query may see."""

    batch: slice
    heads: slice
    queries: slice
    n_keys: int

    @property
    def q(self):
        return self.batch, self.heads, self.queries

    @property
    def k(self):
        return self.batch, self.heads, slice(self.n_keys)


@kernel
def _softmax_tile(a, largest, inverse, mask, masked, first, scale, key, bit, keep_scale, rows_of):
    """Turn a tile of Q K^T (G, t, s) into P by (1) and (2), with dropout as in (3), and write m / c and 1 / Z."""
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            row = a[g, t]
            seen = max(0, min(s_size, first + t + 1))
            if masked:
                for s in range(seen):
                    row[s] = row[s] if mask[g, t, s] else a.dtype.type(-np.inf)
            m = row_max(row, seen)
            if m == -np.inf:
                seen = 0
            z = zero
            for s in range(seen):
                row[s] = exp((row[s] - m) * scale)
                z += row[s]
            r = a.dtype.type(1) / z if seen else zero
            largest[g, t], inverse[g, t] = m, r
            for s in range(seen):
                row[s] *= r * keep_scale
            for s in range(seen, s_size):
                row[s] = zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(seen):
                    row[s] = row[s] if hash_element(bits, s) >= bit else zero


@kernel
def _softmax_tile_backward(a, dp, largest, inverse, mask, masked, first, scale, key, bit, keep_scale, rows_of):
    """Turn tiles of Q K^T and dY V^T into the dropped P of (4), and c dA of (7) and (8)."""
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            row, drow = a[g, t], dp[g, t]
            m, r = largest[g, t], inverse[g, t]
            seen = max(0, min(s_size, first + t + 1)) if r != 0 else 0
            if masked:
                for s in range(seen):
                    row[s] = row[s] if mask[g, t, s] else a.dtype.type(-np.inf)
                    drow[s] = drow[s] if mask[g, t, s] else zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(seen):
                    drow[s] = drow[s] * keep_scale if hash_element(bits, s) >= bit else zero  # (5)
            inner = zero
            for s in range(seen):
                row[s] = exp((row[s] - m) * scale) * r  # (9)
                inner += row[s] * drow[s]
            for s in range(seen):
                drow[s] = row[s] * (drow[s] - inner) * scale  # (6)
            if bit:
                for s in range(seen):
                    row[s] = row[s] * keep_scale if hash_element(bits, s) >= bit else zero
            for s in range(seen, s_size):
                row[s] = zero
                drow[s] = zero


def _product(p, x, *, out, add=False):
    """Write p @ x into ``out``, or add it; a 0 in p leaves out the row of x that it multiplies, even NaN or infinity."""
    y = np.matmul(p, x, out=None if add else out)
    if not np.isfinite(y.sum()):
        finite = np.isfinite(x)
        touched = np.matmul(p != 0, ~finite)
        y[...] = np.where(touched, y, p @ np.where(finite, x, x.dtype.type(0)))
    if add:
        out += y


def _groups(saved):
    """Return lists of tiles, each list with all queries of some heads: what one list writes, no other touches."""
    b, h, t, _ = saved.q.shape
    s = saved.k.shape[2]
    block = max(1, min(BLOCK if t < LONG else LONG_BLOCK, t))
    heads = max(1, min(h, TILE // max(1, block * s)))
    batch = max(1, min(b, TILE // max(1, block * s * h))) if heads == h else 1
    queries = [slice(t0, min(t0 + block, t)) for t0 in range(0, t, block)]
    keys = [max(0, min(s, at.stop + s - t)) if saved.causal else s for at in queries]
    return [
        [Tile(slice(b0, min(b0 + batch, b)), slice(h0, min(h0 + heads, h)), *at) for at in zip(queries, keys)]
        for b0 in range(0, b, batch)
        for h0 in range(0, h, heads)
    ]


def _kernel_arguments(saved, tile, shape):
    """Return the arguments that both kernels share, for a tile of ``shape`` (batch, heads, t, s)."""
    s = shape[3]
    b, h, n_queries, _ = saved.q.shape
    dtype = saved.q.dtype.type
    p, key, first_row = saved.dropout
    mask, rows_of = _NO_MASK, _NO_ROWS
    if saved.mask is not None:
        whole = np.broadcast_to(saved.mask, (b, h, n_queries, saved.k.shape[2]))
        mask = _flat(np.array(whole[tile.q][..., :s], order="C"))
    if key is not None:  # the row, among the B H T of the whole batch's weights, that each head of the tile starts at
        heads = (first_row + np.arange(b)[tile.batch, None]) * h + np.arange(h)[tile.heads]
        rows_of = (heads * n_queries + tile.queries.start).ravel()
    first = tile.queries.start + saved.k.shape[2] - n_queries if saved.causal else s
    bit = threshold(p) if key is not None else np.uint32(0)
    keep_scale = dtype(1 / (1 - p)) if key is not None else dtype(1)
    scale = dtype(1 / math.sqrt(saved.q.shape[3]))
    return mask, saved.mask is not None, first, scale, np.uint64(key or 0), bit, keep_scale, rows_of


def _scores(saved, tile):
    """Return Q K^T of a tile, contiguous."""
    return np.matmul(saved.q[tile.q], saved.k[tile.k].swapaxes(2, 3), order="C")  # (1), c later


def attention(q, k, v, *, mask=None, causal=False, dropout=0.0, key=None, first_row=0, run=map):
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
    run : function (f, groups)
        Calls f for each group of heads: `map`, or one that does so in several threads.

    Returns
    -------
    y : array (B, H, T, K), laid out in memory like q
    saved : Saved

    Notes
    -----
    Beside arrays of q's and k's size, memory is one tile of about ``BLOCK`` x S elements.
    """
    check_float("attention", q=q, k=k, v=v)
    check_probability("attention", "dropout", dropout)
    if q.ndim != 4 or k.ndim != 4 or k.shape[:2] != q.shape[:2] or k.shape[3] != q.shape[3]:
        raise ValueError(f"attention: q {q.shape} and k {k.shape} do not fit: expected (B, H, T, K) and (B, H, S, K)")
    check_shape("attention", "v", v, k.shape, "k of shape", k.shape)
    if mask is not None:
        mask = np.asarray(mask)
        full = (*q.shape[:3], k.shape[2])
        if mask.dtype != bool or np.broadcast_shapes(mask.shape, full) != full:
            raise ValueError(f"attention: mask is {mask.dtype} of shape {mask.shape}, expected bool that fits {full}")
    largest, inverse = np.empty(q.shape[:3], q.dtype), np.empty(q.shape[:3], q.dtype)
    saved = Saved(q, k, v, largest, inverse, mask, causal, (dropout, key if dropout else None, first_row))
    y = np.empty_like(q)

    @_QUIET
    def attend(tiles):
        for tile in tiles:
            p, largest[tile.q], inverse[tile.q] = _weights(saved, tile)
            _product(p, v[tile.k], out=y[tile.q])  # (3)

    list(run(attend, _groups(saved)))
    return y, saved


def _weights(saved, tile):
    """Return the (dropped) weights of a tile, and m / c and 1 / Z of its queries."""
    a = _scores(saved, tile)
    largest, inverse = np.empty(a.shape[:3], a.dtype), np.empty(a.shape[:3], a.dtype)
    _softmax_tile(_flat(a), _flat(largest), _flat(inverse), *_kernel_arguments(saved, tile, a.shape))
    return a, largest, inverse


def _flat(tile):
    """Join the batch and head axes: (batch, heads, ...) -> (G, ...), a view of a contiguous array."""
    return np.ascontiguousarray(tile).reshape(tile.shape[0] * tile.shape[1], *tile.shape[2:])


@_QUIET
def attention_weights(saved):
    """Return P (B, H, T, S), after dropout, for pictures: made again from what backward keeps."""
    b, h, t, _ = saved.q.shape
    weights = np.zeros((b, h, t, saved.k.shape[2]), saved.q.dtype)
    for tile in chain(*_groups(saved)):
        weights[tile.q][..., : tile.n_keys] = _weights(saved, tile)[0]
    return weights


def attention_backward(dy, saved, *, run=map):
    """Return (dq, dk, dv), laid out in memory like q, k and v.

    Parameters
    ----------
    dy : array (B, H, T, K), any strides
    saved : Saved
    run
        As for `attention`.
    """
    q, k, v = saved.q, saved.k, saved.v
    check_shape("attention_backward", "dy", dy, q.shape, "q of shape", q.shape)
    dq, dk, dv = (np.empty_like(x) if q.size else np.zeros_like(x) for x in (q, k, v))

    @_QUIET
    def attend(tiles):
        for tile in reversed(tiles):  # the last block of queries sees every key: it writes, and the others add
            p = _scores(saved, tile)
            da = np.matmul(dy[tile.q], v[tile.k].swapaxes(2, 3), order="C")  # (5)
            kept = _flat(saved.largest[tile.q]), _flat(saved.inverse[tile.q])
            _softmax_tile_backward(_flat(p), _flat(da), *kept, *_kernel_arguments(saved, tile, p.shape))
            add = tile is not tiles[-1]
            _product(p.swapaxes(2, 3), dy[tile.q], out=dv[tile.k], add=add)  # (4)
            _product(da, k[tile.k], out=dq[tile.q])  # (7)
            _product(da.swapaxes(2, 3), q[tile.q], out=dk[tile.k], add=add)  # (8)

    list(run(attend, _groups(saved)))
    return dq, dk, dv
