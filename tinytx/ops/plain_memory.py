"""The memory of a Neural Turing Machine in plain NumPy: part of ``plain.py``."""

import numpy as np

from tinytx.ops.addressing import EPS
from tinytx.ops.plain_route import _softmax


def _softmax_backward(dy, y):
    return y * (dy - np.sum(dy * y, axis=-1, keepdims=True))


def _sigma(a):
    return 1 / (1 + np.exp(-a))


def address(k, strength, gate, shift, sharpness, before, memory):
    """Return each head's weights (B, H, N) of the rows of a memory (B, N, W)."""
    d = np.linalg.norm(k, axis=2)[:, :, None] * np.linalg.norm(memory, axis=2)[:, None] + EPS
    cosine = k @ memory.swapaxes(1, 2) / d  # (1)
    beta, g, gamma = (f[:, :, None] for f in (np.log1p(np.exp(strength)), _sigma(gate), 1 + np.log1p(np.exp(sharpness))))
    c = _softmax(beta * cosine)  # (2)
    v = g * c + (1 - g) * before  # (3)
    p, far = _softmax(shift), shift.shape[2] // 2
    u = sum(p[:, :, j, None] * np.roll(v, j - far, axis=2) for j in range(shift.shape[2]))  # (4)
    w = _softmax(gamma * np.log(u))  # (5)
    return w, (k, strength, sharpness, before, memory, d, cosine, beta, g, gamma, c, v, p, u, w)


def address_backward(dy, saved):
    """Return (dk, dstrength, dgate, dshift, dsharpness, dbefore, dmemory)."""
    k, strength, sharpness, before, memory, d, cosine, beta, g, gamma, c, v, p, u, w = saved
    a = _softmax_backward(dy, w)  # (6)
    du, dsharpness = gamma * a / u, np.sum(a * np.log(u), axis=2) * _sigma(sharpness)  # (7)
    moves = [j - p.shape[2] // 2 for j in range(p.shape[2])]
    dv = sum(p[:, :, j, None] * np.roll(du, -move, axis=2) for j, move in enumerate(moves))  # (8)
    dp = np.stack([np.sum(du * np.roll(v, move, axis=2), axis=2) for move in moves], axis=2)  # (9)
    dgate = np.sum(g * (1 - g) * dv * (c - before), axis=2)  # (10)
    e = _softmax_backward(g * dv, c)  # (11)
    dstrength, dcosine = _sigma(strength) * np.sum(e * cosine, axis=2), beta * e  # (12)
    k_norm, rows = np.linalg.norm(k, axis=2)[:, :, None], np.linalg.norm(memory, axis=2)[:, None]
    dk = (dcosine / d) @ memory - np.sum(dcosine * cosine * rows / d, axis=2, keepdims=True) * k / k_norm  # (13)
    by_row = np.sum(dcosine * cosine * k_norm / d, axis=1)[:, :, None]
    dmemory = (dcosine / d).swapaxes(1, 2) @ k - by_row * memory / rows.swapaxes(1, 2)  # (14)
    return dk, dstrength, dgate, _softmax_backward(dp, p), dsharpness, (1 - g) * dv, dmemory


def read_memory(w, memory):
    """Return the mean of the rows of a memory (B, N, W) with weights (B, H, N)."""
    return np.einsum("bhn,bnm->bhm", w, memory), (w, memory)  # (1)


def read_memory_backward(dy, saved):
    """Return (dw, dmemory)."""
    w, memory = saved
    return np.einsum("bhm,bnm->bhn", dy, memory), np.einsum("bhn,bhm->bnm", w, dy)  # (2)


def write_memory(memory, w, erase, add):
    """Return the memory (B, N, W) after one head with weights (B, N) has written."""
    w, e, a = w[:, :, None], _sigma(erase)[:, None], add[:, None]
    return memory * (1 - w * e) + w * a, (memory, w, e, a)  # (3)


def write_memory_backward(dy, saved):
    """Return (dmemory, dw, derase, dadd)."""
    memory, w, e, a = saved
    derase = -np.sum(w * dy * memory * e * (1 - e), axis=1)  # (6)
    return dy * (1 - w * e), np.sum(dy * (a - memory * e), axis=2), derase, np.sum(w * dy, axis=1)  # (4), (5)
