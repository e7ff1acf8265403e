"""Weights in 8 bits, once more in plain NumPy: part of ``plain.py``."""

import numpy as np


def quantize_rows(weight):
    """Return a matrix in 8 bits, and the step of each row."""
    steps = np.max(np.abs(weight), axis=1, initial=0) / 127
    return np.rint(weight / np.where(steps > 0, steps, 1)[:, None]).astype(np.int8), steps  # (1)


def quantized_linear(x, weight, steps, bias=None):
    """Return x W + b of weights in 8 bits, with inputs in 16."""
    most = min(32767, (2**31 - 1) // (127 * max(1, x.shape[-1])))
    t = np.max(np.abs(x), axis=-1, initial=0, keepdims=True) / most
    a = np.rint(x / np.where(t > 0, t, 1).astype(np.float64)).astype(int)  # (2)
    y = steps * t * (a @ weight.T.astype(int))  # (3)
    return y if bias is None else y + bias


def quantized_embedding(ids, weight, steps):
    """Return the rows of a table in 8 bits, one for each id."""
    return weight[ids] * steps[ids][..., None]
