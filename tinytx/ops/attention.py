r"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762), in tiles.

Derivation
----------
A query is a row of Q. It is compared with each key, a row of K: the score is their scalar product, times c. The softmax
turns a query's scores into weights; its output is the mean of the values, the rows of V, with these weights. A head is
one such computation; several are done side by side. For one, with T queries and S keys of width K, S values of width W,
a bias B, c = 1/sqrt(K) if no other scale is given, and some of the scores masked,

    A = c Q K^T + B,                    scores, (T, S)                   (1)
    P_ts = e^(A_ts) / sum_r e^(A_tr),   weights, (T, S)                  (2)
    Y = P V,                            output, (T, W)                   (3)

where a masked score counts as -inf, so that its weight is 0. Causal attention masks the keys behind a query: the last
query stands at the last key and sees all, the one before it all but the last, and so on. (1) and (3) are products of
two matrices, whose factors get gradients as in ``linear.py``: the left factor by (2) of that file, the right factor by
its (3). (2) is the softmax; (3) of ``softmax.py`` gives (6). So with dY = ∂loss/∂Y,

    dV = P^T dY                                                          (4)
    dP = dY V^T                                                          (5)
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr)                              (6)
    dQ = c dA K                                                          (7)
    dK = c dA^T Q                                                        (8)

In (4) and (8) the T axis is summed: every query that looked at a key adds to its gradient. Where H heads share the keys
and values of G groups (Ainslie et al. 2023, arXiv:2305.13245; head h reads group h // (H/G)), the heads of a group are
summed too, because all of them use the same keys and values.

The sum in (6) is a scalar product of two rows that exist anyway. By (5), and then (3):

    sum_r P_tr dP_tr = sum_r P_tr sum_w dY_tw V_rw = sum_w dY_tw Y_tw.   (9)

Dropout (``dropout.py``) sets each weight to 0 with probability p and divides the others by 1 - p. M is 0 where a
weight is dropped, and 1 elsewhere. P' takes the place of P in (3):

    P'_ts = P_ts M_ts / (1 - p),   Y = P' V,                             (13)
    dV = P'^T dY,   dP' = dY V^T,   dP_ts = dP'_ts M_ts / (1 - p),
    sum_r P_tr dP_tr = sum_r P'_tr dP'_tr = sum_w dY_tw Y_tw.            (14)

In (6) stand P and the dP of (14), not P' and dP'. The sum in (6) is still that of (9). In ``plain.py`` the array ``p``
is P, and ``kept`` is M / (1 - p).

The bias is added after the multiplication by c, so its gradient has no factor c. Where batch rows and heads share a
bias, the gradient is the sum over all scores that it is added to; likewise where queries or keys share it:

    dB_ts = sum_batch sum_heads dA_ts.                                   (11)

The logarithm of a row's sum is a second output on request, for ``merge.py``. Then A moves the loss through Y and
through L. The ways add up: to (6), the way through Y, comes dL_t P_ts, the way through L.

    L_t = ln sum_s e^(A_ts),   ∂L_t/∂A_ts = P_ts,
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr + dL_t).                      (12)

``attention`` in ``plain.py`` computes all this in a few lines of NumPy. For it, and for the exercise, nothing more is
needed. The rest of this page does without an array of P's size.

Tiles
-----
P has T x S elements for each head, and they need not exist at the same time. A tile is the part of P for a block of
queries and a block of keys (``attention_tiles.py``). A row of P needs its largest score m_t and a sum Z_t, over all keys,
and a tile has some of the keys only. So the tiles of a row are computed one after the other, and three results are kept
from tile to tile: the largest score m so far, Z, and the sum of e^(A_ts - m) V_s. If a tile has a larger score m', both
sums are multiplied by e^(m - m'). After the last tile Y is the second sum divided by Z (Milakov and Gimelshein 2018,
arXiv:1805.02867). m_t and Z_t are kept; from them backward computes any tile again:

    m_t = max_s A_ts,   Z_t = sum_s e^(A_ts - m_t),
    P_ts = e^(A_ts - m_t) / Z_t.                                         (10)

Memory is linear in T (Dao et al. 2022, arXiv:2205.14135). A pattern (``attention_patterns.py``) says which tiles exist.
Under the causal pattern a block of queries has no tile behind the last key that its last query may see, which skips
half of the products. Under a window of w keys the work grows with T w.

What stands at masked positions has no effect, not even NaN. A masked score is never read. Where P is 0 the products
leave out what it multiplies, so that 0 times NaN counts as 0. A query whose keys are all masked has output 0 and
gradient 0, and its 1/Z is kept as 0.

Names in the loops: ``a`` is a tile of Q K^T without c, and ``scale`` is c, so ``largest`` is m/c. With a bias ``a`` is
the whole of (1), and ``scale`` is 1. Query t of the tile sees the tile's keys ``first`` + t .. ``last`` + t. ``inner``
is (9). Dropout hashes an element's row and column in the whole batch's weights: ``rows_of`` is the first such row of
each head, ``column`` the tile's first key; ``bit`` is what an element's 32 random bits must reach for it to stay.

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

from itertools import chain

import numpy as np

from tinytx import workers
from tinytx.kernel import exp, hash_element, hash_row, kernel, row_max
from tinytx.ops.attention_patterns import FULL
from tinytx.ops.attention_products import QUIET, Columns, are_finite, product
from tinytx.ops.attention_saved import checked, flat
from tinytx.ops.attention_tiles import lists_of_rows
from tinytx.shapes import check_gradient

BLOCK, LONG_BLOCK = 64, 384  # queries in a tile: an eighth of the sequence, within these bounds
KEYS = 768  # keys in a tile, at most
TILE = 1 << 17  # elements of a tile of several heads, at most: half a megabyte of float32
LARGE = 1 << 26  # multiplications of Q K^T, of which CAUSAL leaves out half; larger ones use several threads


@kernel
def _softmax_tile(a, running, mask, masked, first, last, scale, key, bit, keep_scale, rows_of, column):
    """Turn a tile of Q K^T (G, t, s) into e^(A - m), dropped, and bring the running sums (4, G, t) up to date.

    Those are m / c, Z, 1 / Z, and what the sums of the tiles before are to be multiplied by.
    """
    largest, z, inverse, shrink = running[0], running[1], running[2], running[3]
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            start = max(0, min(s_size, first + t))
            stop = max(start, min(s_size, last + t + 1))
            row = a[g, t, start:stop]
            if masked:
                for s in range(len(row)):
                    row[s] = row[s] if mask[g, t, start + s] else a.dtype.type(-np.inf)
            before, m = largest[g, t], row_max(row, len(row))
            if before > m:
                m = before
            if m == -np.inf:
                stop = start
            total = zero
            for s in range(stop - start):
                row[s] = exp((row[s] - m) * scale)
                total += row[s]
            largest[g, t], shrink[g, t] = m, exp((before - m) * scale) if before != -np.inf else zero
            z[g, t] = z[g, t] * shrink[g, t] + total
            inverse[g, t] = a.dtype.type(1) / z[g, t] if m != -np.inf else zero
            a[g, t, :start] = zero
            a[g, t, stop:] = zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(stop - start):
                    row[s] = row[s] * keep_scale if hash_element(bits, column + start + s) >= bit else zero  # (13)


@kernel
def _softmax_tile_backward(
    a, dp, inner, largest, inverse, mask, masked, first, last, scale, key, bit, keep_scale, rows_of, column
):
    """Turn tiles of Q K^T and dY V^T into the dropped P of (4), and c dA of (7) and (8)."""
    g_size, t_size, s_size = a.shape
    zero = a.dtype.type(0)
    for g in range(g_size):
        for t in range(t_size):
            m, r, sum_p_dp = largest[g, t], inverse[g, t], inner[g, t]
            start = max(0, min(s_size, first + t))
            stop = max(start, min(s_size, last + t + 1)) if r != 0 else start
            row, drow = a[g, t, start:stop], dp[g, t, start:stop]
            if masked:
                for s in range(len(row)):
                    row[s] = row[s] if mask[g, t, start + s] else a.dtype.type(-np.inf)
                    drow[s] = drow[s] if mask[g, t, start + s] else zero
            if bit:
                bits = hash_row(key, rows_of[g] + t)
                for s in range(len(row)):
                    kept = keep_scale if hash_element(bits, column + start + s) >= bit else zero
                    p = exp((row[s] - m) * scale) * r  # (10)
                    row[s] = p * kept
                    drow[s] = p * (drow[s] * kept - sum_p_dp) * scale  # (14), (6)
            else:
                for s in range(len(row)):
                    row[s] = exp((row[s] - m) * scale) * r  # (10)
                    drow[s] = row[s] * (drow[s] - sum_p_dp) * scale  # (6)
            a[g, t, :start] = zero
            a[g, t, stop:] = zero
            dp[g, t, :start] = zero
            dp[g, t, stop:] = zero


def _lists(saved):
    """Return lists of rows of tiles, one list for each call of `workers.map`; no two lists write to the same memory."""
    (b, g, s), (h, t) = saved.k.shape[:3], saved.q.shape[1:3]
    parts = workers.count() if saved.q.size * s >= LARGE else 1
    together = saved.bias is not None and saved.bias.shape[0] < b
    lists = lists_of_rows((b, g, h // max(1, g), t), s, saved.pattern, parts, (BLOCK, LONG_BLOCK, KEYS, TILE), together)
    return lists if parts > 1 else [[row for rows in lists for row in rows]]


def _scores(saved, tile, columns):
    """Return Q K^T of a tile, contiguous, or with a bias the whole of (1); ``columns`` are those of K."""
    a = np.matmul(saved.heads(saved.q)[tile.q], columns.of(tile), order="C")  # (1), c later
    if saved.bias is not None:
        a *= a.dtype.type(saved.scale)
        a += saved.part(saved.bias, tile)  # (1)
    return a


def attention(
    q, k, v, bias=None, *, mask=None, pattern=FULL, scale=None, dropout=0.0, key=None, first_row=0,
    log_sum_exp=False,
):  # fmt: skip
    """Return softmax(scale q k^T + bias) v for each head.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    k : array (B, G, S, K), v : array (B, G, S, W), the dtype of q
        G divides H: as many heads stand next to each other in H share a group's keys and values. Any strides: heads
        need not be copied out of a (B, T, H K) array.
    bias : array (1 or B, 1 or H, 1 or T, 1 or S), the dtype of q, optional
        Added to the scaled scores.
    mask : boolean array that broadcasts to (B, H, T, S), optional
        True where attention is allowed. Keys' padding is (B, 1, 1, S).
    pattern : Pattern
        What each query may see by its place (`tinytx.ops.attention_patterns`). Under ``CAUSAL`` query t sees the keys
        up to S - T + t: the last query sees all, also where fewer queries than keys are given (decoding).
    scale : float, optional
        Above 0; 1 / sqrt(K) if not given.
    dropout : float in [0, 1), key : int or None, first_row : int
        Dropout of the weights, as in `tinytx.ops.dropout`, applied if ``key`` is given; ``first_row`` is the index in
        the whole batch of q's first row.
    log_sum_exp : bool
        Whether to return L of (12) too, the logarithm of each row's sum of e^score: -inf where a query sees no key.

    Returns
    -------
    y : array (B, H, T, W), laid out in memory like q; with ``log_sum_exp``, the pair of y and L (B, H, T)
    saved : Saved

    Notes
    -----
    Heads are shared out among `tinytx.workers`, where there is enough to do. Beside arrays of q's and k's size, each
    thread has one tile, backward two, of ``LONG_BLOCK`` x ``KEYS`` elements at most, and the mask's part. A bias with T
    and S axes is (T, S) elements, and so is its gradient for each of H heads.
    """
    saved = checked("attention", q, k, v, bias, mask, pattern, scale, (dropout, key, first_row), log_sum_exp)
    y, largest, inverse = map(saved.heads, (saved.y, saved.largest, saved.inverse))
    is_finite = are_finite(v, than=saved.y)

    def attend(rows):
        columns = Columns(k, q.shape[2])
        with np.errstate(**QUIET):
            for row in rows:
                at = row.tiles[0].q
                y_rows = y[at]
                running = np.zeros((4, *y_rows.shape[:3]), q.dtype)
                running[0] = -np.inf
                for tile in row.tiles:
                    e = _scores(saved, tile, columns)
                    _softmax_tile(flat(e), running.reshape(4, -1, e.shape[2]), *saved.kernel_arguments(tile, e.shape))
                    add = tile is not row.tiles[0]
                    if add:
                        y_rows *= running[3][..., None]
                    product(e, v[tile.k], is_finite, out=y_rows, add=add)  # (3), not divided by Z yet
                largest[at], inverse[at] = running[0], running[2]
                y_rows *= running[2][..., None]  # the division by Z in (2)

    workers.map(attend, _lists(saved))
    return ((saved.y, _log_sum_exp(saved)) if saved.log_sum_exp else saved.y), saved


def _log_sum_exp(saved):
    """Return L (B, H, T) of (12): m + ln Z."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(saved.inverse != 0, saved.kernel_scale * saved.largest - np.log(saved.inverse), -np.inf)


@np.errstate(**QUIET)
def attention_weights(saved):
    """Return P (B, H, T, S), after dropout, for pictures: made again from what backward keeps."""
    weights = np.zeros((*saved.q.shape[:3], saved.k.shape[2]), saved.q.dtype)
    columns = Columns(saved.k, saved.q.shape[2]), Columns(saved.v, saved.q.shape[2])
    for tile in chain(*(row.tiles for row in chain(*_lists(saved)))):
        part, _ = _tile_backward(saved, tile, saved.y, np.zeros_like(saved.largest), *columns)
        saved.heads(weights)[(*tile.q, tile.keys)] = part
    return weights


def _tile_backward(saved, tile, dy, inner, k_columns, v_columns):
    """Return the dropped P and c dA of a tile; with a bias dA."""
    p = _scores(saved, tile, k_columns)
    da = np.matmul(saved.heads(dy)[tile.q], v_columns.of(tile), order="C")  # (5)
    kept = (flat(saved.heads(array)[tile.q]) for array in (inner, saved.largest, saved.inverse))
    _softmax_tile_backward(flat(p), flat(da), *kept, *saved.kernel_arguments(tile, p.shape))
    return p, da


def attention_backward(dy, saved):
    """Return (dq, dk, dv), laid out in memory like q, k and v; and dbias behind them where there was a bias.

    Parameters
    ----------
    dy : array (B, H, T, W), any strides; where the forward returned y and L, a pair of such an array and dL (B, H, T)
    saved : Saved
    """
    q, k, v, bias = saved.q, saved.k, saved.v, saved.bias
    if saved.log_sum_exp and not (isinstance(dy, tuple) and len(dy) == 2):
        raise TypeError("attention_backward: dy is not the pair (dy, dL), expected because the forward returned (y, L)")
    dy, dl = dy if saved.log_sum_exp else (dy, None)
    check_gradient("attention_backward", dy, saved.y.shape, q.dtype, "y of shape", saved.y.shape)
    lists = _lists(saved)
    begun = any(row.begins for rows in lists for row in rows)
    dq, dk, dv = np.empty_like(q), *(np.empty_like(x) if begun else np.zeros_like(x) for x in (k, v))
    dbias = None if bias is None else np.zeros((len(bias), q.shape[1], *bias.shape[2:]), q.dtype)
    inner = np.einsum("bhtw,bhtw->bht", dy, saved.y)  # (9)
    if dl is not None:
        check_gradient("attention_backward", dl, inner.shape, q.dtype, "L of shape", inner.shape)
        inner -= dl  # (12)
    q_heads, dq_heads, dy_heads = map(saved.heads, (q, dq, dy))
    is_finite = are_finite(q, k, dy, than=saved.y)

    def attend(rows):
        columns = Columns(k, q.shape[2]), Columns(v, q.shape[2])
        with np.errstate(**QUIET):
            for row in reversed(rows):
                for tile in row.tiles:
                    p, da = _tile_backward(saved, tile, dy, inner, *columns)
                    if bias is not None:
                        _add_bias_gradient(saved.heads(dbias), da, tile)
                        da *= da.dtype.type(saved.scale)
                    add = not row.begins  # and the other heads of a group add, too
                    product(p.swapaxes(2, 3), dy_heads[tile.q], is_finite, out=dv[tile.k], add=add)  # (4)
                    product(da, k[tile.k], is_finite, out=dq_heads[tile.q], add=tile is not row.tiles[0])  # (7)
                    product(da.swapaxes(2, 3), q_heads[tile.q], is_finite, out=dk[tile.k], add=add)  # (8)

    workers.map(attend, lists)
    if bias is None:
        return dq, dk, dv
    return dq, dk, dv, dbias.sum(axis=1, keepdims=True) if bias.shape[1] < q.shape[1] else dbias  # (11)


def _add_bias_gradient(dbias, da, tile):
    """Add a tile of dA to dbias (1 or B, G, H/G, 1 or T, 1 or S): (11), without the sum over heads.

    Batch rows that share a bias are added one after the other, so that the sum does not depend on how they are cut
    into tiles and lists.
    """
    n_rows, _, _, t, s = dbias.shape
    batch, queries, keys = (
        at if n > 1 else slice(None) for at, n in ((tile.batch, n_rows), (tile.queries, t), (tile.keys, s))
    )
    part = dbias[batch, tile.groups, tile.head, queries, keys]
    shared = tuple(axis for axis in (2, 3) if part.shape[axis] != da.shape[axis])
    sums = da.sum(axis=shared, keepdims=True) if shared else da
    for b in range(len(sums)):
        part[b % len(part)] += sums[b]
