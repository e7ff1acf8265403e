r"""Attention among neighbours that a hash finds (Kitaev, Kaiser, Levskaya 2020, Reformer, arXiv:2001.04451).

Derivation
----------
A softmax is nearly all in its largest scores, and those belong to keys that point where the query points. A rotation of
n/2 columns sorts vectors by direction. Put the same columns times -1 behind them, and call all of them R, one R for each round r
of which below: the bucket b_rt of q_t is the number of the largest of n products,

    u_rtl = sum_i q_ti R_ril,
    u_{r, t, b_rt} = max_l u_rtl,                                        (1)

and vectors that are close mostly fall into one bucket. Sort the places by (bucket, t), cut them into chunks of m, and let each
chunk attend to itself and to the chunk before: T 2m scores where all pairs are T^2. A neighbour that one rotation misses, another
finds. With several rotations, the *rounds*, let N_rts be how often t meets s in round r, which is 0 for a place and itself, and in
a causal model for later places. The output is one softmax over all meetings, with the scale c:

    n_ts = sum_r N_rts,   A_ts = c sum_i q_ti k_si,   o_t = [sum_s n_ts = 0],
    Z_t = o_t + sum_s n_ts e^(A_ts),
    W_rts = N_rts e^(A_ts) / Z_t                                         (2)

because each round gives its own softmax and the logarithm of its sum, and ``merge.py`` weighs the rounds by these sums. o_t is 1
where t meets nobody. A query is its own key (up to the length) in this model, and would mostly look at itself. So a place sees
itself only where it sees nothing else in any round, and there y_t = v_t:

    y_tj = sum_r sum_s W_rts v_sj + o_t v_tj
         = (sum_s n_ts e^(A_ts) v_sj) / Z_t + o_t v_tj                   (5)

The gradients of a round are those of ``attention.py`` for its rows in the order of its chunks, with dY and dL from ``merge.py``,
so that the rounds share the sum over all meetings:

    G_ts = sum_j dy_tj v_sj - sum_r sum_m W_rtm sum_j dy_tj v_mj
    dA_ts = sum_r W_rts G_ts

A place stands as a query once in each round, and as a key in two chunks of each, its own and the next:

    dq_ti = c sum_r sum_s W_rts G_ts k_si                                (3)
    dk_si = c sum_r sum_t W_rts G_ts q_ti,
    dv_sj = sum_r sum_t W_rts dy_tj + o_s dy_sj                          (4)

(1) and the order are piecewise constant: they have no gradient.

The chunk before the first one is the last of the last round, as in the authors' program. Causality is a mask by place, so no value
of a later word reaches an earlier one; but later words take part in the sort, and so in the choice of who meets whom.

The same in plain NumPy: ``lsh_attention`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import ROWS, check_flag, check_whole
from tinytx.ops.attention import attention, attention_backward
from tinytx.ops.attention_patterns import FULL
from tinytx.ops.attention_saved import checked
from tinytx.ops.merge import merge, merge_backward
from tinytx.shapes import check_axes, check_float, check_gradient, check_integers, check_shape


class Saved(NamedTuple):
    order: np.ndarray  # (B, H, R, T), the place at each rank
    rank: np.ndarray  # (B, H, R, T), its inverse
    chunk: int
    alone: np.ndarray  # (B, H, T), who sees itself
    rounds: tuple  # of attention among chunks
    merged: tuple
    q: np.ndarray
    v: np.ndarray


def lsh_buckets(x, rotations):
    """Return the bucket of each vector in each round; it has no gradient.

    Parameters
    ----------
    x : array (B, H, T, K), float32 or float64
    rotations : array (H, K, R, n/2), the dtype of x
        Random normal numbers, for each head and each of R rounds.

    Returns
    -------
    integers (B, H, R, T), each in 0..n-1

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.

    Examples
    --------
    >>> lsh_buckets(np.array([[[[1.0, 0.1], [-2.0, 0.1]]]]), np.eye(2).reshape(1, 2, 1, 2)).tolist()  # right, left
    [[[[0, 2]]]]
    """
    check_float("lsh_buckets", x=x, rotations=rotations)
    check_axes("lsh_buckets", "x", x, "(B, H, T, K)")
    check_axes("lsh_buckets", "rotations", rotations, "(H, K, R, n)")
    b, h, t, k = x.shape
    check_shape("lsh_buckets", "rotations", rotations, (h, k, *rotations.shape[2:]), "x of shape", x.shape)
    if not rotations.shape[3]:
        raise ValueError(f"lsh_buckets: rotations have shape {rotations.shape}, expected at least one column")
    rotated = (x @ rotations.reshape(h, k, -1)).reshape(b, h, t, *rotations.shape[2:]).swapaxes(2, 3)
    return np.concatenate([rotated, -rotated], axis=-1).argmax(axis=-1)  # (1)


def lsh_attention(q, k, v, buckets, *, chunk, causal=True, scale=None, dropout=0.0, key=None, first_row=0):
    """Return attention to the places of the same chunk and the one before, in the order of the buckets.

    Parameters
    ----------
    q, k : array (B, H, T, K), float32 or float64
    v : array (B, H, T, W), the dtype of q
    buckets : integers (B, H, R, T)
        The bucket of each place in R rounds: `lsh_buckets`.
    chunk : int
        m, a divisor of T.
    causal : bool
        Whether a place sees earlier ones alone.
    scale, dropout, key, first_row
        As for `tinytx.ops.attention`.

    Returns
    -------
    y : array (B, H, T, W)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or a number is out of its range.

    Notes
    -----
    R T 2m scores are computed, and as many booleans of a mask are kept; arrays of q's size are kept R times.
    """
    whole = checked("lsh_attention", q, k, v, None, None, FULL, scale, (dropout, key, first_row), True)
    (b, h, t, _), (p, key, first_row) = q.shape, whole.dropout
    check_shape("lsh_attention", "k", k, q.shape, "q of shape", q.shape)
    buckets = check_integers("lsh_attention", buckets, "buckets")
    if buckets.ndim != 4 or not buckets.shape[2]:
        raise ValueError(f"lsh_attention: buckets have shape {buckets.shape}, expected (B, H, R, T) with R at least 1")
    check_shape("lsh_attention", "buckets", buckets, (b, h, buckets.shape[2], t), "q of shape", q.shape)
    chunk, causal = check_whole("lsh_attention", "chunk", chunk, 1, ROWS[1]), check_flag("lsh_attention", "causal", causal)
    if t % chunk:
        raise ValueError(f"lsh_attention: chunk is {chunk}, expected a divisor of the {t} places of q of shape {q.shape}")
    order = np.argsort(buckets, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1)
    places = _chunks(order, chunk)  # (B, H R T/m, m)
    seen = _with_before(places, h)
    mask = seen[:, :, None] != places[..., None]
    if causal:
        mask &= seen[:, :, None] < places[..., None]
    heads = [_chunks(_sorted(x, order), chunk) for x in (q, k, v)]
    (y, lse), rounds = attention(
        heads[0], _with_before(heads[1], h), _with_before(heads[2], h), mask=mask, scale=whole.scale, dropout=p, key=key,
        first_row=first_row, log_sum_exp=True,
    )  # fmt: skip
    ys, lses = (_unsorted(x, rank) for x in (y, lse))
    (y, lse), merged = merge(np.moveaxis(ys, 2, 0), np.moveaxis(lses, 2, 0))  # (2)
    alone = lse == -np.inf
    y = np.where(alone[..., None], v, y)  # (5)
    return y, Saved(order, rank, chunk, alone, rounds, merged, q, v)


def lsh_attention_backward(dy, saved):
    """Return (dq, dk, dv).

    Parameters
    ----------
    dy : array (B, H, T, W)
    saved : Saved
    """
    order, rank, chunk, alone, rounds, merged, q, v = saved
    check_gradient("lsh_attention_backward", dy, (*q.shape[:3], v.shape[3]), q.dtype, "q and v of shapes", q.shape, "and", v.shape)
    of_itself = np.where(alone[..., None], dy, dy.dtype.type(0))
    dys, dlses = merge_backward((dy - of_itself, np.zeros(alone.shape, dy.dtype)), merged)
    dys, dlses = (_chunks(_reordered(np.moveaxis(x, 0, 2), order), chunk) for x in (dys, dlses))
    dq, dk, dv = attention_backward((dys, dlses), rounds)
    h = q.shape[1]
    dk, dv = (_without_before(x, h) for x in (dk, dv))  # (4)
    dq, dk, dv = (_unsorted(x, rank).sum(axis=2) for x in (dq, dk, dv))  # (3), (4)
    return dq, dk, dv + of_itself  # (5)


def _sorted(x, order):
    """(B, H, T, K) -> (B, H, R, T, K), in the order of each round."""
    return _reordered(x[:, :, None], order)


def _reordered(x, order):
    """(B, H, 1 or R, T) or (B, H, 1 or R, T, K) -> (B, H, R, T) or (B, H, R, T, K), in the order of each round."""
    first = np.arange(0, math.prod(x.shape[:4]), x.shape[3]).reshape(*x.shape[:3], 1)
    return np.take(x.reshape(-1, *x.shape[4:]), first + order, axis=0)  # whole vectors: take_along_axis takes numbers


def _unsorted(x, rank):
    """(B, H R T/m, m) or (B, H R T/m, m, K) -> (B, H, R, T) or (B, H, R, T, K), by place."""
    return _reordered(x.reshape(*rank.shape, *x.shape[3:]), rank)


def _chunks(x, chunk):
    """(B, H, R, T) or (B, H, R, T, K) -> (B, H R T/m, m) or (B, H R T/m, m, K)."""
    b, h, r, t = x.shape[:4]
    return x.reshape(b, h * r * (t // chunk), chunk, *x.shape[4:])


def _with_before(x, n_heads):
    """Put the chunk before in front of each, of the same head: (B, H N, m, ...) -> (B, H N, 2m, ...)."""
    apart = x.reshape(len(x), n_heads, -1, *x.shape[2:])
    return np.concatenate([np.roll(apart, 1, axis=2), apart], axis=3).reshape(*x.shape[:2], -1, *x.shape[3:])


def _without_before(dx, n_heads):
    """Return the gradient of what `_with_before` got: each chunk is there twice, by itself and in front of the next."""
    apart = dx.reshape(len(dx), n_heads, -1, 2, dx.shape[2] // 2, *dx.shape[3:])
    return (apart[:, :, :, 1] + np.roll(apart[:, :, :, 0], -1, axis=2)).reshape(*dx.shape[:2], -1, *dx.shape[3:])


def lsh_weights(q, k, buckets, *, chunk, causal=True, scale=1.0):
    """Return the weights (B, H, T, T) of (2) and (5), for pictures. The arguments are those of `lsh_attention`."""
    b, h, t, _ = q.shape
    places = _chunks(np.argsort(buckets, axis=-1, kind="stable"), chunk)
    seen = _with_before(places, h)
    n = np.zeros((b, h, t, t), q.dtype)
    rows, heads = np.arange(b)[:, None, None, None], np.repeat(np.arange(h), places.shape[1] // h)[:, None, None]
    np.add.at(n, (rows, heads, places[..., None], seen[:, :, None]), 1)  # n of (2)
    n *= (np.tri(t, k=-1) if causal else 1 - np.eye(t)).astype(q.dtype)
    a = np.where(n > 0, q.dtype.type(scale) * (q @ k.swapaxes(2, 3)), -np.inf)
    largest = a.max(axis=3, keepdims=True)
    alone = largest == -np.inf
    e = n * np.exp(a - np.where(alone, 0, largest))
    return np.where(alone, np.eye(t, dtype=q.dtype), e / np.where(alone, 1, e.sum(axis=3, keepdims=True)))
