"""Attention to some of the keys, once more in plain NumPy, as one softmax under a mask: see `plain`."""

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
