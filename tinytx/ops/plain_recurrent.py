"""Recurrent operations in plain NumPy, for `tinytx.ops.plain`: each position is a few lines of whole rows."""

import numpy as np


def lstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None):
    """Return the outputs (B, T, R) of all positions, and the final h and c (B, R)."""
    (b, t, _), units = x.shape, len(weight_h)
    h, c = (np.zeros((b, units), x.dtype) if array is None else array for array in (h, c))
    mask = np.broadcast_to(True if mask is None else mask, (b, t))[..., None]
    y, steps = np.zeros((b, t, units), x.dtype), []
    for n in range(t):
        z = x[:, n] @ weight_x + h @ weight_h + bias  # (1)
        gates = 1 / (1 + np.exp(-z))
        i, f, _, o = np.split(gates, 4, axis=1)
        g = np.tanh(np.split(z, 4, axis=1)[2])  # (2)
        u = np.tanh(f * c + i * g)
        steps.append((h, c, i, f, g, o, u))
        c = np.where(mask[:, n], f * c + i * g, c)  # (3)
        h = np.where(mask[:, n], o * u, h)  # (4)
        y[:, n] = np.where(mask[:, n], h, 0)
    return (y, h, c), (x, weight_x, weight_h, mask, steps)


def lstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc)."""
    x, weight_x, weight_h, mask, steps = saved
    dy, dh, dc = (0 if array is None else array for array in dy)
    dx, dweight_x, dweight_h, dbias = np.zeros_like(x), 0, 0, 0
    for n, (h, c, i, f, g, o, u) in reversed([*enumerate(steps)]):
        here = mask[:, n]
        dh_here = np.where(here, dh + dy[:, n], 0)
        dc_here = np.where(here, dc + dh_here * o * (1 - u) * (1 + u), 0)  # (5)
        dz_i, dz_f = dc_here * g * i * (1 - i), dc_here * c * f * (1 - f)  # (7), (8)
        dz_g, dz_o = dc_here * i * (1 - g) * (1 + g), dh_here * u * o * (1 - o)  # (8), (6)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
        dc = np.where(here, dc_here * f, dc)  # (9)
        dh = np.where(here, dz @ weight_h.T, dh)  # (10)
        dx[:, n] = dz @ weight_x.T  # (11)
        dweight_x, dweight_h, dbias = dweight_x + x[:, n].T @ dz, dweight_h + h.T @ dz, dbias + dz.sum(axis=0)
    return dx, dweight_x, dweight_h, dbias, dh, dc
