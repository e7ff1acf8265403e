"""Rows that are picked, pooled, mixed, dropped, added to, put in front or cut out of images, once more in plain NumPy: see `plain`."""

import math

import numpy as np

from tinytx.ops.dropout import dropout as hashed_dropout


def select_rows(x, rows):
    """Return some rows of x as a matrix."""
    return x.reshape(-1, x.shape[-1])[rows], (rows, x.shape)  # (1)


def select_rows_backward(dy, saved):
    """Return dx."""
    rows, shape = saved
    dx = np.zeros((math.prod(shape[:-1]), shape[-1]), dy.dtype)
    np.add.at(dx, rows, dy)  # (2): an assignment would count a row that was picked twice once
    return dx.reshape(shape)


def maxout(x):
    """Return the larger of each two neighbours in a row."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return pairs.max(axis=-1), pairs.argmax(axis=-1)[..., None]  # (1): the first of equal ones, and the first NaN


def maxout_backward(dy, saved):
    """Return dx."""
    dpairs = dy[..., None] * (saved == np.arange(2))  # (2)
    return dpairs.reshape(*dy.shape[:-1], -1)


def pool(x, kinds, *, mask=None):
    """Return one vector for each sequence; x is (B, T, D)."""
    real = np.broadcast_to(True if mask is None else mask, x.shape[:2])
    weights = [_pool_weights(x, real, kind).astype(x.dtype) for kind in kinds]
    return np.concatenate([np.sum(w * x, axis=1) for w in weights], axis=-1), weights  # (1), (2), (3), (4)


def pool_backward(dy, saved):
    """Return dx."""
    parts = np.split(dy[:, None], len(saved), axis=-1)
    return sum(w * part for w, part in zip(saved, parts, strict=True))  # (5), (6)


def _pool_weights(x, real, kind):
    """Return w (B, T, D), with which each kind of pooling is sum_t w x: shares of 1/n, or 1 at the position picked."""
    n = real.sum(axis=1)[:, None, None]
    if kind == "mean":
        return real[:, :, None] / np.maximum(n, 1) * np.ones(x.shape[2])
    t = np.arange(x.shape[1])[:, None]
    rank = np.where(real[:, :, None], {"first": -t, "last": t, "max": x}[kind] + 0 * x, -np.inf)
    return (t == rank.argmax(axis=1)[:, None]) & (n > 0)


def add_positions(x, table, start=0):
    """Return x, (B, T, D), with a row of the table added at each position."""
    return x + table[start : start + x.shape[1]], (table.shape, start)  # (1)


def add_positions_backward(dy, saved):
    """Return (dx, dtable)."""
    shape, start = saved
    dtable = np.zeros(shape, dy.dtype)
    dtable[start : start + dy.shape[1]] = dy.sum(axis=0)  # (2)
    return dy, dtable


def prepend(x, weight):
    """Return x, (B, T, D), with rows in front of each sequence."""
    return np.stack([np.vstack([weight, sequence]) for sequence in x]), len(weight)  # (1)


def prepend_backward(dy, saved):
    """Return (dx, dweight)."""
    return dy[:, saved:], dy[:, :saved].sum(axis=0)  # (2), (3)


def patches(images, size):
    """Return squares of images (B, H, W, C) as rows."""
    corners = [(i, j) for i in range(0, images.shape[1], size) for j in range(0, images.shape[2], size)]
    squares = [images[:, i : i + size, j : j + size] for i, j in corners]
    return np.stack([np.moveaxis(s, 3, 1).reshape(len(s), -1) for s in squares], axis=1), (images.shape, size, corners)  # (1)


def patches_backward(dy, saved):
    """Return dimages."""
    shape, size, corners = saved
    dimages = np.zeros(shape, dy.dtype)
    for n, (i, j) in enumerate(corners):
        square = dy[:, n].reshape(len(dy), shape[3], size, size)
        dimages[:, i : i + size, j : j + size] = np.moveaxis(square, 1, 3)  # (2)
    return dimages


def add_rows(x, weights, slots):
    """Return for each token the weighted sum of its rows."""
    k = weights.shape[-1]
    one_hot = (slots // k == np.arange(weights.size // k)[:, None]).astype(x.dtype)  # (N, m)
    w = weights.reshape(-1)[slots][:, None]
    return (one_hot @ (w * x)).reshape(*weights.shape[:-1], -1), (x, w, slots, one_hot, weights.shape)  # (1)


def add_rows_backward(dy, saved):
    """Return (dx, dweights)."""
    x, w, slots, one_hot, shape = saved
    dy = one_hot.T @ dy.reshape(-1, dy.shape[-1])  # (m, D), that of each row's token
    dweights = np.zeros(shape, dy.dtype)
    np.add.at(dweights.reshape(-1), slots, (dy * x).sum(axis=1))  # (3)
    return w * dy, dweights  # (2)


def conv1d(x, weight, bias=None, *, left=0, right=0, step=1, distance=1):
    """Return the convolution of each sequence (B, T, I) with K matrices (I, O)."""
    padded, k = np.pad(x, ((0, 0), (left, right), (0, 0))), np.arange(len(weight))
    places = np.arange(0, padded.shape[1] - distance * (len(weight) - 1), step)[:, None] + distance * k  # (T', K)
    y = np.einsum("btki,kio->bto", padded[:, places], weight) + (0 if bias is None else bias)  # (1)
    return y, (padded, weight, places, slice(left, left + x.shape[1]), bias is not None)


def conv1d_backward(dy, saved):
    """Return (dx, dweight, dbias)."""
    padded, weight, places, kept, has_bias = saved
    dpadded = np.zeros_like(padded)
    for t, read in enumerate(places):
        dpadded[:, read] += np.einsum("bo,kio->bki", dy[:, t], weight)  # (2)
    dweight = np.einsum("btki,bto->kio", padded[:, places], dy)  # (3)
    return dpadded[:, kept], dweight, dy.sum(axis=(0, 1)) if has_bias else None


def pair_sum(a, b):
    """Return the sum of each position of a (B, T, D) with each of b (B, S, D)."""
    return np.stack([a + b[:, j, None] for j in range(b.shape[1])], axis=2), None  # (1)


def pair_sum_backward(dy, saved):
    """Return (da, db)."""
    return np.einsum("btsd->btd", dy), np.einsum("btsd->bsd", dy)  # (2)


def compress(x, weight, *, mask=None):
    """Return weighted sums over the positions of each sequence; x is (B, H, S, K)."""
    real = np.broadcast_to(True if mask is None else mask, (len(x), x.shape[2]))
    each = np.broadcast_to(weight, (x.shape[1], *weight.shape[-2:]))[..., : x.shape[2]]  # a matrix for each head
    x = np.where(real[:, None, :, None], x, 0).astype(x.dtype)
    return np.einsum("hcs,bhsk->bhck", each, x), (x, each, real, weight)  # (1)


def compress_backward(dy, saved):
    """Return (dx, dweight)."""
    x, each, real, weight = saved
    dx = np.einsum("hcs,bhck->bhsk", each, dy) * real[:, None, :, None]  # (2)
    by_head = np.einsum("bhck,bhsk->hcs", dy, x)  # (3)
    dweight = np.zeros_like(weight)
    dweight[..., : x.shape[2]] = by_head if weight.ndim == 3 else by_head.sum(axis=0)
    return dx.astype(x.dtype), dweight


def batch_norm(x, weight, bias, mean=None, variance=None, *, mask=None, eps=1e-5):
    """Return w n + b, n being x normalised over the real rows of the batch."""
    real = np.broadcast_to(True if mask is None else mask, x.shape[:-1])
    n_rows = real.sum() if mean is None else math.inf  # of a population: no row moves its mean
    if mean is None:
        mean = x[real].mean(axis=0)
        variance = np.mean((x[real] - mean) ** 2, axis=0)  # (1)
    r = 1 / np.sqrt(variance + x.dtype.type(eps))
    n = (x - mean) * r  # (2)
    return real[..., None] * (weight * n + bias), (n, r, weight, real, n_rows)  # (3)


def batch_norm_backward(dy, saved):
    """Return (dx, dweight, dbias, dmean, dvariance)."""
    n, r, weight, real, n_rows = saved
    dy, n = real[..., None] * dy, real[..., None] * n
    rows = tuple(range(dy.ndim - 1))
    dweight, dbias = np.sum(dy * n, axis=rows), np.sum(dy, axis=rows)  # (4)
    dx = real[..., None] * weight * r * (dy - dbias / n_rows - n * dweight / n_rows)  # (5)
    given = (-r * weight * dbias, -r * r * weight * dweight / 2) if n_rows == math.inf else (None, None)  # (6)
    return dx, dweight, dbias, *given


def scalar_mix(layers, scores, gamma):
    """Return gamma sum_j w_j h_j of vectors (..., N, D), w the softmax of the scores (N,)."""
    w = np.exp(scores) / np.exp(scores).sum()  # (1)
    mean = sum(w[j] * layers[..., j, :] for j in range(len(w)))
    return gamma * mean, (layers, w, gamma, mean)  # (2)


def scalar_mix_backward(dy, saved):
    """Return (dlayers, dscores, dgamma)."""
    layers, w, gamma, mean = saved
    dlayers = np.stack([gamma * share * dy for share in w], axis=-2)  # (3)
    dw = np.array([np.sum(gamma * dy * layers[..., j, :]) for j in range(len(w))])
    return dlayers, w * (dw - np.sum(w * dw)), np.sum(dy * mean, keepdims=True).reshape(1)  # (5), (4)


def rotate(x, frequencies, start=0, *, neighbours=False, scale=1.0):
    """Return x (B, T, H, K) with each pair turned by its position's angle, and scaled."""
    turn = scale * np.exp(1j * np.arange(start, start + x.shape[1])[:, None] * frequencies)[:, None]  # (T, 1, n), cos + i sin
    return _turned(x, turn, neighbours), (turn, neighbours)


def rotate_backward(dy, saved):
    """Return dx: turned by the opposite angle."""
    turn, neighbours = saved
    return _turned(dy, turn.conj(), neighbours)  # (3), (4)


def _turned(x, turn, neighbours):
    """Multiply pairs, as complex numbers a + i b, with numbers of size ``scale``."""
    n, y = turn.shape[-1], x.copy()
    a, b = (slice(0, 2 * n, 2), slice(1, 2 * n, 2)) if neighbours else (slice(0, n), slice(n, 2 * n))
    product = (x[..., a] + 1j * x[..., b]) * turn
    y[..., a], y[..., b] = product.real, product.imag  # (1), (2)
    return y


def dropout(x, p, key, first_row=0, repeat=1):
    """Return x m / (1 - p); the bits of m are those of `tinytx.ops.dropout`, which makes m / (1 - p) out of ones."""
    kept, _ = hashed_dropout(np.ones_like(x), p, key, first_row, repeat)
    return x * kept, kept  # (1)


def dropout_backward(dy, saved):
    """Return dx."""
    return dy * saved  # (2)


def word_dropout(x, ids, p, key):
    """Return x m(v) / (1 - p); a word's bit is that of a row of `tinytx.ops.dropout` with one column."""
    words, where = np.unique(ids, return_inverse=True)
    kept = [hashed_dropout(np.ones((1, 1), x.dtype), p, key, int(word))[0][0, 0] for word in words]
    kept = np.array(kept, x.dtype)[where].reshape(*np.shape(ids), 1)
    return x * kept, kept  # (1)


def word_dropout_backward(dy, saved):
    """Return dx."""
    return dy * saved  # (2)
