"""Attention for long sequences once more in plain NumPy, with the weights of all pairs, and softmaxes put together: see `plain`."""

import math
from functools import partial

import numpy as np

from tinytx.ops.dropout import dropout as hashed_dropout


def _seen(kind, n, stride, n_ends):
    """Return who sees whom among the two sets of keys: two boolean arrays (T, T)."""
    t, s = np.arange(n)[:, None], np.arange(n)
    if kind == "strided":
        near = t - s < stride
        return near & (s <= t), ~near & ((t - s) % stride == 0) & (s <= t)
    own = t // stride == s // stride
    return own & (s <= t), (s // stride < t // stride) & (s % stride >= stride - n_ends)


def kept_weights(q, kind, stride, n_ends, dropout, key, first_row):
    """Return what dropout multiplies each weight (B, H, T, T) by; each set of keys has a mask of its own rows and columns."""
    (b, h, n, _), t = q.shape, np.arange(q.shape[2])
    ends = np.flatnonzero(t % stride >= stride - n_ends)
    order = np.argsort(t % stride, kind="stable")
    queries, keys = (order, order) if kind == "strided" else (t, ends)
    near, far = (
        hashed_dropout(np.ones((b, h, n, n_keys), q.dtype), dropout, (key + i) % 2**64, first_row * h * n)[0]
        for i, n_keys in enumerate((n, len(keys)))
    )
    spread = np.ones((b, h, n, n), q.dtype)
    spread[:, :, queries[:, None], keys] = far
    return np.where(_seen(kind, n, stride, n_ends)[0], near, spread)


def sparse_attention(q, k, v, *, kind, stride, n_ends=1, scale=None, dropout=0.0, key=None, first_row=0):
    """Return causal attention to some of the keys; q is (B, H, T, K), k (B, G, T, K), v (B, G, T, W)."""
    groups = q.shape[1] // k.shape[1]
    k_all, v_all = np.repeat(k, groups, axis=1), np.repeat(v, groups, axis=1)
    near, far = _seen(kind, q.shape[2], stride, n_ends)
    c = q.dtype.type(1 / math.sqrt(q.shape[3]) if scale is None else scale)
    a = np.where(near | far, c * (q @ k_all.swapaxes(2, 3)), -np.inf)
    e = np.exp(a - a.max(axis=3, keepdims=True, initial=-np.inf))
    p = e / e.sum(axis=3, keepdims=True)
    kept = q.dtype.type(1)
    if dropout and key is not None:
        kept = kept_weights(q, kind, stride, n_ends, dropout, key, first_row)
    return (p * kept) @ v_all, (q, k_all, v_all, p, kept, c, groups)  # (1)


def sparse_attention_backward(dy, saved):
    """Return (dq, dk, dv)."""
    q, k, v, p, kept, c, groups = saved
    dv, dp = (p * kept).swapaxes(2, 3) @ dy, (dy @ v.swapaxes(2, 3)) * kept
    da = p * (dp - (p * dp).sum(axis=3, keepdims=True))
    dk, dv = (x.reshape(len(x), -1, groups, *x.shape[2:]).sum(axis=2) for x in (c * (da.swapaxes(2, 3) @ q), dv))
    return c * (da @ k), dk, dv


def windows_and_places(is_global, n, dilation, left, right):
    """Return who sees whom among the keys of a window, (B, H, T, T), and the numbers of the global places, lists of B arrays."""
    t, s = np.arange(is_global.shape[1])[:, None], np.arange(is_global.shape[1])
    steps = np.reshape(dilation, (-1, 1, 1))
    near = ((t - s) % steps == 0) & (t - s <= left * steps) & (s - t <= right * steps)
    return near & ~is_global[:, None, None], [np.flatnonzero(row)[:n] for row in is_global]


def kept_of_window(q, n, is_global, dilation, dropout, key, first_row):
    """Return what dropout multiplies each weight by: of windows and global keys (B, H, T, T), of global queries (B, H, G, T)."""
    (b, h, t, _), steps = q.shape, np.broadcast_to(dilation, (q.shape[1],))
    ones, kinds = partial(np.ones, dtype=q.dtype), sorted(set(steps.tolist()))
    kept = ones((b, h, t, t))

    def drop(number, shape):
        return hashed_dropout(ones(shape), dropout, (key + number) % 2**64, first_row * shape[1] * shape[2])[0]

    for number, step in enumerate(kinds):
        order, heads = np.argsort(np.arange(t) % step, kind="stable"), np.flatnonzero(steps == step)
        kept[:, heads[:, None, None], order[:, None], order] = drop(number, (b, len(heads), t, t))
    gathered = drop(len(kinds), (b, h, t, n)) if n else None
    for row, places in enumerate(np.flatnonzero(each)[:n] for each in is_global):
        kept[row][:, :, places] = gathered[row][:, :, : len(places)] if n else 0
    return kept, drop(len(kinds) + 1, (b, h, n, t)) if n else ones((b, h, 0, t))


def _softmax_of_seen(a, seen):
    """Return the softmax over what is seen; 0 where that is nothing."""
    a = np.where(seen, a, -np.inf)
    e = np.exp(a - a.max(axis=-1, keepdims=True, initial=-1e30))
    return e / np.where(seen.any(axis=-1, keepdims=True), e.sum(axis=-1, keepdims=True), 1)


def global_window_attention(
    q, k, v, q_global, k_global, v_global, is_global, *, left, right, dilation=1, mask=None, scale=None, dropout=0.0, key=None,
    first_row=0,
):  # fmt: skip
    """Return attention to a window and to global keys, and from global places to all; all but q_global are (B, H, T, K)."""
    n, c = q_global.shape[2], q.dtype.type(1 / math.sqrt(q.shape[3]) if scale is None else scale)
    near, places = windows_and_places(is_global, n, dilation, left, right)
    words = np.True_ if mask is None else mask
    p = _softmax_of_seen(c * (q @ k.swapaxes(2, 3)), (near | is_global[:, None, None]) & words)
    p_global = _softmax_of_seen(c * (q_global @ k_global.swapaxes(2, 3)), np.broadcast_to(words, (*q_global.shape[:3], q.shape[2])))
    kept = kept_global = q.dtype.type(1)
    if dropout and key is not None:
        kept, kept_global = kept_of_window(q, n, is_global, dilation, dropout, key, first_row)
    y, y_global = (p * kept) @ v, (p_global * kept_global) @ v_global  # (3)
    for row, at in enumerate(places):
        y[row][:, at] = y_global[row][:, : len(at)]  # (4)
    return y, ((q, k, v, p, kept, c, 1), (q_global, k_global, v_global, p_global, kept_global, c, 1), places)


def global_window_attention_backward(dy, saved):
    """Return (dq, dk, dv, dq_global, dk_global, dv_global)."""
    local, of_rows, places = saved
    dy, dy_global = dy.copy(), np.zeros((*of_rows[3].shape[:3], dy.shape[3]), dy.dtype)
    for row, at in enumerate(places):
        dy_global[row][:, : len(at)] = dy[row][:, at]
        dy[row][:, at] = 0
    return *sparse_attention_backward(dy, local), *sparse_attention_backward(dy_global, of_rows)  # (5), (6)


def meetings(buckets, chunk, causal):
    """Return n (B, H, T, T): in how many pairs of chunks each place meets each other; and the pairs, chunk by chunk."""
    b, h, _, t = buckets.shape
    places = np.argsort(buckets, axis=-1, kind="stable").reshape(b, h, -1, chunk)
    n = np.zeros((b, h, t, t))
    for row, head in np.ndindex(b, h):
        for i, own in enumerate(places[row, head]):
            for theirs in (places[row, head, i - 1], own):
                n[row, head, own[:, None], theirs] += 1  # no place is twice in a chunk
    return n * (np.tri(t, k=-1) if causal else 1 - np.eye(t))


def lsh_attention(q, k, v, buckets, *, chunk, causal=True, scale=None, dropout=0.0, key=None, first_row=0):
    """Return attention to places that meet by their buckets, as one softmax with n for each pair; all are (B, H, T, K)."""
    b, h, t, width = q.shape
    n = meetings(buckets, chunk, causal).astype(q.dtype)
    c = q.dtype.type(1 / math.sqrt(width) if scale is None else scale)
    a = np.where(n > 0, c * (q @ k.swapaxes(2, 3)), -np.inf)
    largest = a.max(axis=3, keepdims=True)
    alone = largest == -np.inf
    e = n * np.exp(a - np.where(alone, 0, largest))
    p = np.where(alone, 0, e / np.where(alone, 1, e.sum(axis=3, keepdims=True)))  # (2)
    kept = q.dtype.type(1)
    if dropout and key is not None:  # each meeting by itself: what stays of a pair is the share of its meetings that do
        kept = kept_meetings(q, buckets, chunk, dropout, key, first_row) / np.maximum(n, 1)
    own = np.where(alone, np.eye(t, dtype=q.dtype), 0)  # (5)
    return (p * kept + own) @ v, (q, k, v, p, kept, own, c)


def lsh_attention_backward(dy, saved):
    """Return (dq, dk, dv)."""
    q, k, v, p, kept, own, c = saved
    dp = (dy @ v.swapaxes(2, 3)) * kept
    da = p * (dp - (p * dp).sum(axis=3, keepdims=True))
    return c * (da @ k), c * (da.swapaxes(2, 3) @ q), (p * kept + own).swapaxes(2, 3) @ dy


def kept_meetings(q, buckets, chunk, dropout, key, first_row):
    """Return the sum over the meetings of each pair of what dropout multiplies its weight by: (B, H, T, T)."""
    (b, h, t, _), m = q.shape, chunk
    places = np.argsort(buckets, axis=-1, kind="stable").reshape(b, h, -1, m)
    n_chunks = places.shape[2]
    masks = hashed_dropout(np.ones((b, h * n_chunks, m, 2 * m), q.dtype), dropout, key, first_row * h * n_chunks * m)[0]
    masks, total = masks.reshape(b, h, n_chunks, m, 2 * m), np.zeros((b, h, t, t), q.dtype)
    for row, head, i in np.ndindex(b, h, n_chunks):
        own = places[row, head, i]
        for side, theirs in enumerate((places[row, head, i - 1], own)):
            total[row, head, own[:, None], theirs] += masks[row, head, i][:, side * m : (side + 1) * m]
    return total


def linear_attention(q, k, v, *, causal=True):
    """Return the mean of the values under products of features; all are (B, H, T, K)."""
    a, b = (np.where(x > 0, x + 1, np.exp(np.minimum(x, 0))).astype(x.dtype) for x in (q, k))  # (1)
    t, s = q.shape[2], k.shape[2]
    seen = np.tri(t, s, s - t, dtype=q.dtype) if causal else np.ones((t, s), q.dtype)
    scores = seen * (a @ b.swapaxes(2, 3))
    d = scores.sum(axis=3, keepdims=True)
    y = (scores / d) @ v  # (2)
    return y, (a, b, v, seen, scores, d, y)


def linear_attention_backward(dy, saved):
    """Return (dq, dk, dv)."""
    a, b, v, seen, scores, d, y = saved
    dscores = seen * (dy @ v.swapaxes(2, 3) - (dy * y).sum(axis=3, keepdims=True)) / d  # (4)
    da, db, dv = dscores @ b, dscores.swapaxes(2, 3) @ a, (scores / d).swapaxes(2, 3) @ dy  # (5), (7)
    return da * np.minimum(a, 1), db * np.minimum(b, 1), dv  # (8)


def merge(ys, lses):
    """Return attention over all keys, from attention over N sets of them: ys is (N, ..., W), lses (N, ...)."""
    lse = np.logaddexp.reduce(lses, axis=0)  # (1)
    shares = np.exp(lses - np.where(lse > -np.inf, lse, 0))  # (2)
    y = np.sum(shares[..., None] * ys, axis=0)  # (3)
    return (y, lse), (ys, shares, y)


def merge_backward(dy, saved):
    """Return (dys, dlses)."""
    (dy, dlse), (ys, shares, y) = dy, saved
    return shares[..., None] * dy, shares * (np.sum(dy * (ys - y), axis=-1) + dlse)  # (4), (5) and (6)
