"""Attention for long sequences once more in plain NumPy, with the weights of all pairs, and softmaxes put together: see `plain`."""

import math

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
    dscores = seen * (dy @ v.swapaxes(2, 3) - (dy * y).sum(axis=3, keepdims=True)) / d  # (5)
    da, db, dv = dscores @ b, dscores.swapaxes(2, 3) @ a, (scores / d).swapaxes(2, 3) @ dy  # (6), (7)
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
