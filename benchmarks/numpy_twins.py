"""Every operation once more in plain NumPy, as the derived formulas read: what ops.py compares the kernels with.

Same arguments, same results as `tinytx.ops`; numbers in comments are those of the derivation in the operation's file.
Sums, exponentials and comparisons are NumPy's own passes over whole arrays, and attention keeps all T x T weights.
"""

import math

import numpy as np

C, A = math.sqrt(2 / math.pi), 0.044715


def linear(x, weight, bias):
    """Return x W + b."""
    return x @ weight + bias, (x, weight)  # (1)


def linear_backward(dy, saved):
    """Return (dx, dweight, dbias)."""
    x, weight = saved
    x_rows, dy_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return dy @ weight.T, x_rows.T @ dy_rows, dy_rows.sum(axis=0)  # (2) to (4)


def layer_norm(x, weight, bias, eps=1e-5):
    """Return w n + b, n being x normalised over its last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + x.dtype.type(eps))  # (2)
    n = centred * r
    return weight * n + bias, (n, r, weight)  # (3)


def layer_norm_backward(dy, saved):
    """Return (dx, dweight, dbias)."""
    n, r, weight = saved
    rows = tuple(range(dy.ndim - 1))
    dn = weight * dy  # (5)
    dx = r * (dn - dn.mean(axis=-1, keepdims=True) - n * np.mean(dn * n, axis=-1, keepdims=True))  # (7)
    return dx, np.sum(dy * n, axis=rows), np.sum(dy, axis=rows)  # (4)


def erf(x):
    """Return the error function, of which NumPy has none: Abramowitz and Stegun 1964, 7.1.26, right to 1.5e-7."""
    t = 1 / (1 + x.dtype.type(0.3275911) * np.abs(x))
    p = x.dtype.type(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = p * t + x.dtype.type(coefficient)
    return np.sign(x) * (1 - p * t * np.exp(-x * x))


def gelu(x):
    """Return x P(x)."""
    below = (1 + erf(x * x.dtype.type(math.sqrt(0.5)))) / 2
    return x * below, (x, below)  # (1)


def gelu_backward(dy, saved):
    """Return dx."""
    x, below = saved
    return dy * (below + x * np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi)))  # (2)


def gelu_tanh(x):
    """Return x (1 + tanh u) / 2."""
    tanh = np.tanh(x.dtype.type(C) * (x + x.dtype.type(A) * x * x * x))
    return x * (1 + tanh) / 2, (x, tanh)


def gelu_tanh_backward(dy, saved):
    """Return dx."""
    x, tanh = saved
    du = x.dtype.type(C) * (1 + x.dtype.type(3 * A) * x * x)
    return dy * (1 + tanh + x * (1 - tanh * tanh) * du) / 2  # (4), with 2 s = 1 + tanh u


def relu(x):
    """Return max(x, 0)."""
    return np.maximum(x, 0), x  # (1)


def relu_backward(dy, saved):
    """Return dx."""
    return dy * (saved > 0)  # (2)


def softmax(x):
    """Return the softmax over the last axis."""
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)  # (1)
    return y, y


def softmax_backward(dy, saved):
    """Return dx."""
    return saved * (dy - np.sum(dy * saved, axis=-1, keepdims=True))  # (3)


def attention(q, k, v):
    """Return causal attention of (B, H, T, K), with T = S."""
    c, t = q.dtype.type(1 / math.sqrt(q.shape[-1])), q.shape[-2]
    a = c * (q @ k.swapaxes(-1, -2))  # (1)
    a[..., ~np.tri(t, dtype=bool)] = -np.inf
    p, _ = softmax(a)  # (2)
    return p @ v, (q, k, v, p, c)  # (3)


def attention_backward(dy, saved):
    """Return (dq, dk, dv)."""
    q, k, v, p, c = saved
    da = c * softmax_backward(dy @ v.swapaxes(-1, -2), p)  # (5), (6)
    return da @ k, da.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy  # (7), (8), (4)


def dropout(x, p, rng):
    """Return x with each element zeroed with probability p; the mask is kept, since a generator cannot go back."""
    mask = (rng.random(x.shape, dtype=np.float32) >= p) * x.dtype.type(1 / (1 - p))  # (1)
    return x * mask, mask


def dropout_backward(dy, saved):
    """Return dx."""
    return dy * saved  # (2)


def embedding(ids, weight):
    """Return the rows that ids name."""
    return weight[ids], (ids, weight.shape)  # (1)


def embedding_backward(dy, saved):
    """Return dweight."""
    ids, shape = saved
    dweight = np.zeros(shape, dy.dtype)
    np.add.at(dweight, ids, dy)  # (2): an assignment would count an id that occurs twice once
    return dweight


def cross_entropy(logits, targets):
    """Return the mean of -ln p_t."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    z = e.sum(axis=-1, keepdims=True)
    picked = np.take_along_axis(shifted, targets[..., None], axis=-1)
    return np.mean(np.log(z) - picked), (e / z, targets)  # (2)


def cross_entropy_backward(saved):
    """Return dlogits."""
    p, targets = saved
    dlogits = p / targets.size
    dlogits.reshape(targets.size, -1)[np.arange(targets.size), targets.ravel()] -= p.dtype.type(1 / targets.size)
    return dlogits  # (3), (4)
