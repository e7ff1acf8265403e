r"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762), in tiles.

Derivation
----------
A query is a row of Q. It is compared with each key, a row of K: the score is their scalar product, times c. The softmax turns a query's scores into
weights; its output is the mean of the values, the rows of V, with these weights. A head is one such computation; several are done side by side. For
one, with T queries and S keys of width K, S values of width W, a bias B, c = 1/sqrt(K) if no other scale is given, and some of the scores masked,

    A = c Q K^T + B,                    scores, (T, S)                   (1)
    P_ts = e^(A_ts) / sum_r e^(A_tr),   weights, (T, S)                  (2)
    Y = P V,                            output, (T, W)                   (3)

where a masked score counts as -inf, so that its weight is 0. Causal attention masks the keys behind a query: the last query stands at the last key
and sees all, the one before it all but the last, and so on. (1) and (3) are products of two matrices, whose factors get gradients as in
``linear.py``: the left factor by (2) of that file, the right factor by its (3). (2) is the softmax; (3) of ``softmax.py`` gives (6). So with dY =
∂loss/∂Y,

    dV = P^T dY                                                          (4)
    dP = dY V^T                                                          (5)
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr)                              (6)
    dQ = c dA K                                                          (7)
    dK = c dA^T Q                                                        (8)

In (4) and (8) the T axis is summed: every query that looked at a key adds to its gradient. Where H heads share the keys and values of G groups
(Ainslie et al. 2023, arXiv:2305.13245; head h reads group h // (H/G)), the heads of a group, which all use the same ones, are summed too:

    dV_sw = sum_heads sum_t P_ts dY_tw,   dK_sk = c sum_heads sum_t dA_ts Q_tk.      (15)

The sum in (6) is a scalar product of two rows that exist anyway. By (5), and then (3):

    sum_r P_tr dP_tr = sum_r P_tr sum_w dY_tw V_rw = sum_w dY_tw Y_tw.   (9)

Dropout (``dropout.py``) sets each weight to 0 with probability p and divides the others by 1 - p. M is 0 where a weight is dropped, and 1 elsewhere.
P' takes the place of P in (3):

    P'_ts = P_ts M_ts / (1 - p),   Y = P' V,                             (13)
    dV = P'^T dY,   dP' = dY V^T,   dP_ts = dP'_ts M_ts / (1 - p),
    sum_r P_tr dP_tr = sum_r P'_tr dP'_tr = sum_w dY_tw Y_tw.            (14)

In (6) stand P and the dP of (14), not P' and dP'. The sum in (6) is still that of (9). In ``plain.py`` the array ``p`` is P, and ``kept`` is M / (1 -
p).

The bias is added after the multiplication by c, so its gradient has no factor c. Where batch rows and heads share a bias, the gradient is the sum
over all scores that it is added to; likewise where queries or keys share it:

    dB_ts = sum_batch sum_heads dA_ts.                                   (11)

The logarithm of a row's sum is a second output on request, for ``merge.py``. Then A moves the loss through Y and through L. The ways add up: to (6),
the way through Y, comes dL_t P_ts, the way through L.

    L_t = ln sum_s e^(A_ts),   ∂L_t/∂A_ts = P_ts,
    dA_ts = P_ts (dP_ts - sum_r P_tr dP_tr + dL_t).                      (12)

``attention`` in ``plain.py`` computes all this in a few lines of NumPy. For it, and for the exercise, nothing more is needed. The rest of this page
does without an array of P's size.

Tiles
-----
P has T x S elements for each head, and they need not exist at the same time. A tile is the part of P for a block of queries and a block of keys
(``attention_tiles.py``). A row of P needs its largest score m_t and a sum Z_t, over all keys, and a tile has some of the keys only. So the tiles of a
row are computed one after the other, and three results are kept from tile to tile: the largest score m so far, Z, and the sum of e^(A_ts - m) V_s. If
a tile has a larger score m', both sums are multiplied by e^(m - m'). After the last tile Y is the second sum divided by Z (Milakov and Gimelshein
2018, arXiv:1805.02867). m_t and Z_t are kept; from them backward computes any tile again:

    m_t = max_s A_ts,   Z_t = sum_s e^(A_ts - m_t),
    P_ts = e^(A_ts - m_t) / Z_t.                                         (10)

Memory is linear in T (Dao et al. 2022, arXiv:2205.14135). A pattern (``attention_patterns.py``) says which tiles exist. Under the causal pattern a
block of queries has no tile behind the last key that its last query may see, which skips half of the products. Under a window of w keys the work
grows with T w. One call of a loop computes a list of tiles.

What stands at masked positions has no effect, not even NaN. A masked score is never read. Where P is 0 the products leave out what it multiplies, so
that 0 times NaN counts as 0. A query whose keys are all masked has output 0 and gradient 0, and its 1/Z is kept as 0.

Names in the loops: ``a`` is a tile of Q K^T without c, and ``scale`` is c, so ``largest`` is m/c. With a bias ``a`` is the whole of (1), and
``scale`` is 1. t counts all queries of a head, s the keys that ``row`` holds, a row of the tile from the first to the last key that its query may
see. ``inner`` is (9). Dropout hashes an element's row and column in all weights; ``bit`` is what its 32 random bits must reach for it to stay.

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

import numpy as np

from tinytx.kernel import exp, hash_element, hash_row, kernel, line, matmul, row_max, share, wide
from tinytx.ops.attention_patterns import FULL
from tinytx.ops.attention_saved import checked, walk
from tinytx.recording import empty_like
from tinytx.shapes import check_gradient


@kernel
def _transpose(columns, x):
    """Write x (S, K) into columns (K, S), or (K, 0): by rows that lie in one piece BLAS multiplies up to twice as fast."""
    for first in range(0, columns.shape[1], 64):
        for j in range(x.shape[1]):
            for s in range(first, min(first + 64, columns.shape[1])):
                columns[j, s] = x[s, j]


@kernel
def _is_finite(x):
    total = x.dtype.type(0)
    for i in range(len(x)):
        row = line(x[i])
        for j in range(len(row)):
            total += row[j]
    return abs(total) < np.inf  # math.isfinite asks whether x - x is 0, which reassociation may take for granted


@kernel
def _product(p, x, out, add, is_finite):
    """Write p x into out, or add it; where p is 0 what it multiplies is left out, even if x is not finite."""
    if is_finite:
        return matmul(p, x, out, add)
    for t in range(len(out)):
        row = line(out[t])
        for j in range(len(row)):
            row[j] = row[j] if add else x.dtype.type(0)
        for s in range(len(x)):
            if p[t, s] != 0:
                for j in range(len(row)):
                    row[j] += p[t, s] * x[s, j]


@kernel
def _numbers(tile):
    """Return what `attention_tiles` says of a tile, in its order."""
    return tile[0], tile[1], tile[2], tile[3], tile[4], tile[5], tile[6], tile[7], tile[8], tile[9] != 0, tile[10] != 0, tile[11] == 0


@kernel
def _finish_row(row, bias, mask, place, c, b, h, t, s):
    """Turn a query's part of Q K^T, from key s on, into scores: with a bias it is c times as much plus the bias; masked ones are -inf."""
    if bias.size:
        more = line(bias[b, h, t, s : s + len(row)])
        for i in range(len(row)):
            row[i] = row[i] * c + more[i]  # (1)
    if mask.size:
        s -= place[3]
        seen = line(mask[b - place[0], h - place[1], t - place[2], s : s + len(row)])
        for i in range(len(row)):
            row[i] = row[i] if seen[i] else row.dtype.type(-np.inf)


@kernel
def _attend(i, y, largest, inverse, rooms, edges, tiles, q, k, v, bias, mask, place, c, key, bit, keep_scale, first_row):
    """Compute y, m / c and 1 / Z of part i of the tiles, one after the other.

    Between two tiles of the same queries ``inverse`` is Z. ``copied`` are the batch row and the group of which there are ``columns``.
    """
    wide()
    columns, tile, part, copied = rooms[0][i], rooms[1][i], rooms[2][i], rooms[3][i]
    zero, one, minus_infinity = q.dtype.type(0), q.dtype.type(1), q.dtype.type(-np.inf)
    is_few, scale = columns.shape[1] == 0, c if bias.size == 0 else one
    for n in range(edges[i], edges[i + 1]):
        b, g, h, t0, t1, s0, s1, left, right, opens, closes, _ = _numbers(tiles[n])
        if copied[0] != b or copied[1] != g:
            _transpose(columns, k[b, g])
            copied[0], copied[1] = b, g
        a, y_part, values = tile[: t1 - t0, : s1 - s0], part[: t1 - t0], v[b, g, s0:s1]
        matmul(q[b, h, t0:t1], k[b, g, s0:s1].T if is_few else columns[:, s0:s1], a)  # (1), c later
        for t in range(t0, t1):
            start = max(0, min(s1 - s0, left + t - t0))
            stop = max(start, min(s1 - s0, right + t - t0 + 1))
            whole = line(a[t - t0])
            row = whole[start:stop]
            _finish_row(row, bias, mask, place, c, b, h, t, s0 + start)
            before, m, total = minus_infinity if opens else largest[b, h, t], row_max(row, len(row)), zero
            m = before if before > m or before != before else m  # a NaN stays
            stop = start if m == -np.inf else stop
            for s in range(stop - start):
                row[s] = exp((row[s] - m) * scale)
                total += row[s]
            shrink = exp((before - m) * scale) if before != -np.inf else zero
            largest[b, h, t], inverse[b, h, t] = m, (zero if opens else inverse[b, h, t] * shrink) + total
            whole[:start], whole[stop:] = zero, zero
            if not opens:
                y_row = line(y[b, h, t])
                for j in range(len(y_row)):
                    y_row[j] *= shrink
            if bit:
                bits = hash_row(key, ((first_row + b) * q.shape[1] + h) * q.shape[2] + t)
                for s in range(stop - start):
                    row[s] = row[s] * keep_scale if hash_element(bits, s0 + start + s) >= bit else zero  # (13)
        matmul(a, values, y_part)  # (3), not divided by Z yet
        for t in range(t0, t1):
            y_row, row, total = line(y[b, h, t]), line(y_part[t - t0]), zero
            for j in range(len(row)):
                total += row[j]
            is_finite = abs(total) < np.inf
            if not is_finite:  # and no False that is written out, which would be one more type of arguments
                _product(a[t - t0 : t - t0 + 1], values, y_part[t - t0 : t - t0 + 1], is_finite, is_finite)
            if closes:
                inverse[b, h, t] = one / inverse[b, h, t] if largest[b, h, t] != -np.inf else zero
            factor = inverse[b, h, t] if closes else one  # the division by Z in (2)
            for j in range(len(row)):
                y_row[j] = ((zero if opens else y_row[j]) + row[j]) * factor


@kernel(outputs=8)
def _attend_parts(y, largest, inverse, columns, tile, part, copied, words, edges, tiles, q, k, v, bias, mask, place, c, key, bit, keep_scale, first_row):
    """Do it for all parts of the tiles, of which threads that are awake take some; each has arrays of its own to compute in."""
    given = (columns, tile, part, copied), edges, tiles, q, k, v, bias, mask, place, c, key, bit, keep_scale, first_row
    share(words, _attend, len(edges) - 1, (y, largest, inverse) + given)


@kernel
def _attend_backward(
    i, dq, dk, dv, dbias, rooms, edges, tiles, q, k, v, y, dy, dl, largest, inverse, bias, mask, place, c, key, bit, keep_scale, first_row,
):
    """Add the gradients of part i of the tiles, from its last tile to its first.

    ``copied`` are a batch row, a group, whether its keys are finite, and whether a tile's queries and its part of dY are.
    """
    wide()
    columns, v_columns, tile, d_tile, inner, copied = rooms[0][i], rooms[1][i], rooms[2][i], rooms[3][i], rooms[4][i], rooms[5][i]
    zero, is_few, scale = q.dtype.type(0), columns.shape[1] == 0, c if bias.size == 0 else q.dtype.type(1)
    for n in range(edges[i + 1] - 1, edges[i] - 1, -1):
        b, g, h, t0, t1, s0, s1, left, right, _, closes, add = _numbers(tiles[n])
        keys, values, queries, dys = k[b, g, s0:s1], v[b, g, s0:s1], q[b, h, t0:t1], dy[b, h, t0:t1]
        if copied[0] != b or copied[1] != g:
            _transpose(columns, k[b, g])
            _transpose(v_columns, v[b, g])
            copied[0], copied[1], copied[2] = b, g, _is_finite(k[b, g])
            if add:
                dk[b, g], dv[b, g] = zero, zero
        if closes:
            for t in range(t0, t1):
                y_row, dy_row, total = line(y[b, h, t]), line(dy[b, h, t]), zero
                for j in range(len(y_row)):
                    total += dy_row[j] * y_row[j]  # (9)
                inner[t] = total - dl[b, h, t] if dl.size else total  # (12)
            copied[3], copied[4] = _is_finite(queries), _is_finite(dys)
        p, da = tile[: t1 - t0, : s1 - s0], d_tile[: t1 - t0, : s1 - s0]
        matmul(queries, keys.T if is_few else columns[:, s0:s1], p)  # (1), c later
        matmul(dys, values.T if is_few else v_columns[:, s0:s1], da)  # (5)
        for t in range(t0, t1):
            m, r, sum_p_dp = largest[b, h, t], inverse[b, h, t], inner[t]
            start = max(0, min(s1 - s0, left + t - t0))
            stop = max(start, min(s1 - s0, right + t - t0 + 1)) if r != 0 else start
            whole, d_whole = line(p[t - t0]), line(da[t - t0])
            row, drow = whole[start:stop], d_whole[start:stop]
            _finish_row(row, bias, mask, place, c, b, h, t, s0 + start)
            if mask.size:
                for s in range(len(row)):
                    drow[s] = drow[s] if row[s] != -np.inf else zero
            if bit:
                bits = hash_row(key, ((first_row + b) * q.shape[1] + h) * q.shape[2] + t)
                for s in range(len(row)):
                    kept = keep_scale if hash_element(bits, s0 + start + s) >= bit else zero
                    p_ts = exp((row[s] - m) * scale) * r  # (10)
                    row[s] = p_ts * kept
                    drow[s] = p_ts * (drow[s] * kept - sum_p_dp) * scale  # (14), (6)
            else:
                for s in range(len(row)):
                    row[s] = exp((row[s] - m) * scale) * r  # (10)
                    drow[s] = row[s] * (drow[s] - sum_p_dp) * scale  # (6)
            if mask.size and not abs(m * r + sum_p_dp) < np.inf:  # a NaN is kept from keys that the query does not see: e^(-inf - NaN) is one, too
                seen = line(mask[b - place[0], h - place[1], t - place[2], s0 + start - place[3] : s0 + stop - place[3]])
                for s in range(len(row)):
                    row[s], drow[s] = (row[s] if seen[s] else zero), (drow[s] if seen[s] else zero)
            whole[:start], d_whole[:start] = zero, zero
            whole[stop:], d_whole[stop:] = zero, zero
            if bias.size:
                sums = line(dbias[min(b, len(dbias) - 1), h, min(t, dbias.shape[2] - 1), s0:s1])
                for s in range(len(sums)):
                    sums[s] += d_whole[s]  # (11)
                    d_whole[s] *= c
        _product(p.T, dys, dv[b, g, s0:s1], add, copied[4] != 0)  # (4), (15)
        _product(da, keys, dq[b, h, t0:t1], not closes, copied[2] != 0)  # (7)
        _product(da.T, queries, dk[b, g, s0:s1], add, copied[3] != 0)  # (8), (15)


@kernel(outputs=11)
def _attend_backward_parts(
    dq, dk, dv, dbias, columns, v_columns, tile, d_tile, inner, copied, words, edges, tiles, q, k, v, y, dy, dl, largest, inverse, bias, mask,
    place, c, key, bit, keep_scale, first_row,
):
    rooms, given = (columns, v_columns, tile, d_tile, inner, copied), (q, k, v, y, dy, dl, largest, inverse, bias, mask, place)
    share(words, _attend_backward, len(edges) - 1, (dq, dk, dv, dbias, rooms, edges, tiles) + given + (c, key, bit, keep_scale, first_row))


def attention(q, k, v, bias=None, *, mask=None, pattern=FULL, scale=None, dropout=0.0, key=None, first_row=0, log_sum_exp=False):
    """Return softmax(scale q k^T + bias) v for each head.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    k : array (B, G, S, K), v : array (B, G, S, W), the dtype of q
        G divides H: as many heads stand next to each other in H share a group's keys and values. Any strides: heads need not be copied.
    bias : array (1 or B, 1 or H, 1 or T, 1 or S), the dtype of q, optional
        Added to the scaled scores.
    mask : boolean array that broadcasts to (B, H, T, S), optional
        True where attention is allowed. Keys' padding is (B, 1, 1, S).
    pattern : Pattern
        What each query may see by its place (`tinytx.ops.attention_patterns`). Under ``CAUSAL`` query t sees the keys up to S - T + t.
    scale : float, optional
        Above 0; 1 / sqrt(K) if not given.
    dropout : float in [0, 1), key : int or None, first_row : int
        Dropout of the weights, as in `tinytx.ops.dropout`, applied if ``key`` is given; ``first_row`` is the index in the whole batch of q's first row.
    log_sum_exp : bool
        Whether to return L of (12) too, the logarithm of each row's sum of e^score: -inf where a query sees no key.

    Returns
    -------
    y : array (B, H, T, W), laid out in memory like q; with ``log_sum_exp``, the pair of y and L (B, H, T)
    saved : Saved

    Notes
    -----
    Heads are shared out among `tinytx.workers`, where there is enough to do, and threads that are awake. Beside arrays of q's and k's size each
    thread has one tile, backward two, and the mask's part. The gradient of a bias with T and S axes is (T, S) elements for each of H heads.
    """
    saved = checked("attention", q, k, v, bias, mask, pattern, scale, (dropout, key, first_row), log_sum_exp)
    columns, _, tile = saved.rooms
    walk(_attend_parts, saved, (saved.y, saved.largest, saved.inverse), (q, k, v), (columns, tile, (tile[0], v.shape[3])))
    return ((saved.y, saved.sums()) if saved.log_sum_exp else saved.y), saved


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
    dy, dl = dy if saved.log_sum_exp else (dy, np.empty((0, 0, 0), q.dtype))
    check_gradient("attention_backward", dy, saved.y.shape, q.dtype, "y of shape", saved.y.shape)
    if saved.log_sum_exp:
        check_gradient("attention_backward", dl, q.shape[:3], q.dtype, "L of shape", q.shape[:3])
    dq, dk, dv = map(empty_like if q.shape[1] and q.shape[2] else np.zeros_like, (q, k, v))
    dbias = np.zeros((0,) * 4 if bias is None else (len(bias), q.shape[1], bias.shape[2], k.shape[2]), q.dtype)
    inputs, (columns, v_columns, tile) = (q, k, v, saved.y, dy, dl, saved.largest, saved.inverse), saved.rooms
    walk(_attend_backward_parts, saved, (dq, dk, dv, dbias), inputs, (columns, v_columns, tile, tile, (q.shape[2],)), backwards=True)
    shared = tuple(axis for axis in (1, 3) if bias is not None and bias.shape[axis] < dbias.shape[axis])
    return (dq, dk, dv) if bias is None else (dq, dk, dv, dbias.sum(axis=shared, keepdims=True) if shared else dbias)  # (11)
