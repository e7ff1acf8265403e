"""Recurrent operations, and the scores of their attention, in plain NumPy, for `tinytx.ops.plain`.

Each position of a recurrence is a few lines of whole rows.

Numbers in comments are those of the page of the cell; "recurrent" stands before those of ``recurrent.py``.
"""

import numpy as np


def rnn(x, weight_x, weight_h, bias, h=None, *, mask=None, reverse=False):
    """Return the outputs (B, T, R) of all positions, and the final h (B, R)."""
    h, mask, y = _start(h, x, weight_h), _mask(x, mask), np.zeros((*x.shape[:2], len(weight_h)), x.dtype)
    steps = []
    for t in _order(x, reverse):
        new = np.tanh(x[:, t] @ weight_x + h @ weight_h + bias)  # (1)
        steps.append((t, h, new))
        h = np.where(mask[:, t], new, h)
        y[:, t] = np.where(mask[:, t], h, 0)
    return (y, h), (x, weight_x, weight_h, mask, steps)


def rnn_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh)."""
    x, weight_x, weight_h, mask, steps = saved
    (dy, dh), total = _gradients(dy, x), _Sums(x, weight_x)
    for t, h, new in reversed(steps):
        here = mask[:, t]
        da = np.where(here, (dh + dy[:, t]) * (1 - new) * (1 + new), 0)  # (2)
        dh = np.where(here, da @ weight_h.T, dh)  # recurrent (3)
        total.add(t, h, da, da)
    return total.dx, *total.dweights, total.dbiases[0], dh


def gru(x, weight_x, weight_h, bias_x, bias_h, h=None, *, mask=None, reverse=False):
    """Return the outputs (B, T, R) of all positions, and the final h (B, R)."""
    h, mask, y = _start(h, x, weight_h), _mask(x, mask), np.zeros((*x.shape[:2], len(weight_h)), x.dtype)
    steps = []
    for t in _order(x, reverse):
        p_r, p_z, p_n = np.split(x[:, t] @ weight_x + bias_x, 3, axis=1)
        q_r, q_z, q_n = np.split(h @ weight_h + bias_h, 3, axis=1)  # (1)
        r, z = 1 / (1 + np.exp(-p_r - q_r)), 1 / (1 + np.exp(-p_z - q_z))  # (2)
        n = np.tanh(p_n + r * q_n)  # (3)
        steps.append((t, h, r, z, n, q_n))
        h = np.where(mask[:, t], (1 - z) * n + z * h, h)  # (4)
        y[:, t] = np.where(mask[:, t], h, 0)
    return (y, h), (x, weight_x, weight_h, mask, steps)


def gru_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias_x, dbias_h, dh)."""
    x, weight_x, weight_h, mask, steps = saved
    (dy, dh), total = _gradients(dy, x), _Sums(x, weight_x)
    for t, h, r, z, n, q_n in reversed(steps):
        here = mask[:, t]
        dh_here = np.where(here, dh + dy[:, t], 0)
        da_n, da_z = dh_here * (1 - z) * (1 - n) * (1 + n), dh_here * (h - n) * z * (1 - z)  # (5), (6)
        da_r = da_n * q_n * r * (1 - r)  # (7)
        dp, dq = np.concatenate([da_r, da_z, da_n], axis=1), np.concatenate([da_r, da_z, da_n * r], axis=1)  # (8)
        dh = np.where(here, dh_here * z + dq @ weight_h.T, dh)  # (9)
        total.add(t, h, dp, dq)
    return total.dx, *total.dweights, *total.dbiases, dh


def lstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None, reverse=False):
    """Return the outputs (B, T, R) of all positions, and the final h and c (B, R)."""
    h, c, mask = _start(h, x, weight_h), _start(c, x, weight_h), _mask(x, mask)
    y, steps = np.zeros((*x.shape[:2], len(weight_h)), x.dtype), []
    for t in _order(x, reverse):
        z = x[:, t] @ weight_x + h @ weight_h + bias  # (1)
        i, f, _, o = np.split(1 / (1 + np.exp(-z)), 4, axis=1)
        g = np.tanh(np.split(z, 4, axis=1)[2])  # (2)
        u = np.tanh(f * c + i * g)
        steps.append((t, h, c, i, f, g, o, u))
        c = np.where(mask[:, t], f * c + i * g, c)  # (3)
        h = np.where(mask[:, t], o * u, h)  # (4)
        y[:, t] = np.where(mask[:, t], h, 0)
    return (y, h, c), (x, weight_x, weight_h, mask, steps)


def lstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc)."""
    x, weight_x, weight_h, mask, steps = saved
    (dy, dh, dc), total = _gradients(dy, x), _Sums(x, weight_x)
    for t, h, c, i, f, g, o, u in reversed(steps):
        here = mask[:, t]
        dh_here = np.where(here, dh + dy[:, t], 0)
        dc_here = np.where(here, dc + dh_here * o * (1 - u) * (1 + u), 0)  # (5)
        dz_i, dz_f = dc_here * g * i * (1 - i), dc_here * c * f * (1 - f)  # (7), (8)
        dz_g, dz_o = dc_here * i * (1 - g) * (1 + g), dh_here * u * o * (1 - o)  # (8), (6)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
        dc = np.where(here, dc_here * f, dc)  # (9)
        dh = np.where(here, dz @ weight_h.T, dh)  # recurrent (3)
        total.add(t, h, dz, dz)
    return total.dx, *total.dweights, total.dbiases[0], dh, dc


def original_gru(x, weight_x, weight_h, bias, h=None, *, mask=None, reverse=False):
    """Return the outputs (B, T, R) of all positions, and the final h (B, R)."""
    h, mask, y = _start(h, x, weight_h), _mask(x, mask), np.zeros((*x.shape[:2], len(weight_h)), x.dtype)
    steps, (u_h, u_n) = [], np.split(weight_h, [2 * h.shape[1]], axis=1)
    for t in _order(x, reverse):
        p_r, p_z, p_n = np.split(x[:, t] @ weight_x + bias, 3, axis=1)  # (1)
        q_r, q_z = np.split(h @ u_h, 2, axis=1)
        r, z = 1 / (1 + np.exp(-p_r - q_r)), 1 / (1 + np.exp(-p_z - q_z))  # (2)
        v = np.where(mask[:, t], r * h, 0)  # (3)
        n = np.tanh(p_n + v @ u_n)  # (4)
        steps.append((t, h, r, z, n, v))
        h = np.where(mask[:, t], (1 - z) * n + z * h, h)  # (5)
        y[:, t] = np.where(mask[:, t], h, 0)
    return (y, h), (x, weight_x, u_h, u_n, mask, steps)


def original_gru_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh)."""
    x, weight_x, u_h, u_n, mask, steps = saved
    (dy, dh), total, du_n = _gradients(dy, x), _Sums(x, weight_x), 0
    for t, h, r, z, n, v in reversed(steps):
        here = mask[:, t]
        dh_here = np.where(here, dh + dy[:, t], 0)
        da_n, da_z = dh_here * (1 - z) * (1 - n) * (1 + n), dh_here * (h - n) * z * (1 - z)  # (6), (7)
        dv = da_n @ u_n.T
        da_r = dv * h * r * (1 - r)  # (8)
        dq = np.concatenate([da_r, da_z], axis=1)
        dh = np.where(here, dh_here * z + dv * r + dq @ u_h.T, dh)  # (9)
        total.add(t, h, np.concatenate([dq, da_n], axis=1), dq)
        du_n = du_n + v.T @ da_n  # recurrent (7)
    dweight_x, du_h = total.dweights
    return total.dx, dweight_x, np.concatenate([du_h, du_n], axis=1), total.dbiases[0], dh


def mlstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None, reverse=False):
    """Return the outputs (B, T, R) of all positions, and the final h and c (B, R)."""
    h, c, mask = _start(h, x, weight_h), _start(c, x, weight_h), _mask(x, mask)
    y, steps, units = np.zeros((*x.shape[:2], len(weight_h)), x.dtype), [], len(weight_h)
    w_mx, w_z, w_mh, u_m = (part for weight in (weight_x, weight_h) for part in np.split(weight, [units], axis=1))
    for t in _order(x, reverse):
        a, u = x[:, t] @ w_mx, h @ w_mh
        z = x[:, t] @ w_z + (a * u) @ u_m + bias  # (1), (2)
        i, f, _, o = np.split(1 / (1 + np.exp(-z)), 4, axis=1)
        g = np.tanh(np.split(z, 4, axis=1)[2])
        steps.append((t, h, c, a, u, i, f, g, o))
        c = np.where(mask[:, t], f * c + i * g, c)  # (3)
        h = np.where(mask[:, t], o * np.tanh(c), h)
        y[:, t] = np.where(mask[:, t], h, 0)
    return (y, h, c), (x, weight_x, w_mh, u_m, mask, steps)


def mlstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc)."""
    x, weight_x, w_mh, u_m, mask, steps = saved
    (dy, dh, dc), total, du_m = _gradients(dy, x), _Sums(x, weight_x), 0
    for t, h, c, a, u, i, f, g, o in reversed(steps):
        here, tanh_c = mask[:, t], np.tanh(f * c + i * g)
        dh_here = np.where(here, dh + dy[:, t], 0)
        dc_here = np.where(here, dc + dh_here * o * (1 - tanh_c) * (1 + tanh_c), 0)
        dz_i, dz_f = dc_here * g * i * (1 - i), dc_here * c * f * (1 - f)
        dz_g, dz_o = dc_here * i * (1 - g) * (1 + g), dh_here * tanh_c * o * (1 - o)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
        dc = np.where(here, dc_here * f, dc)
        dm = dz @ u_m.T
        da, du = np.where(here, dm * u, 0), np.where(here, dm * a, 0)  # (4)
        dh = np.where(here, du @ w_mh.T, dh)
        total.add(t, h, np.concatenate([da, dz], axis=1), du)  # (5)
        du_m = du_m + np.where(here, a * u, 0).T @ dz  # recurrent (7)
    (dweight_x, dw_mh), dbias = total.dweights, total.dbiases[0][len(w_mh) :]
    return total.dx, dweight_x, np.concatenate([dw_mh, du_m], axis=1), dbias, dh, dc


def _start(state, x, weight_h):
    return np.zeros((len(x), len(weight_h)), x.dtype) if state is None else state


def _mask(x, mask):
    return np.broadcast_to(True if mask is None else mask, x.shape[:2])[..., None]


def _order(x, reverse):
    return range(x.shape[1])[::-1] if reverse else range(x.shape[1])


def _gradients(dy, x):
    """Return the gradients of y and of the final states, zeros for one that is None."""
    dy, *final = dy
    units = next(array for array in (dy, *final) if array is not None).shape[-1]
    dy = np.zeros((*x.shape[:2], units), x.dtype) if dy is None else dy
    return dy, *(dy[:, 0] * 0 if array is None else array for array in final)


class _Sums:
    """The gradients of x, weights and biases, position by position: (4) of recurrent."""

    def __init__(self, x, weight_x):
        self.x, self.weight_x, self.dx, self.dweights, self.dbiases = x, weight_x, np.zeros_like(x), [0, 0], [0, 0]

    def add(self, t, h_before, dp, dq):
        """Add those of position t."""
        self.dx[:, t] = dp @ self.weight_x.T
        self.dweights = [self.dweights[0] + self.x[:, t].T @ dp, self.dweights[1] + h_before.T @ dq]
        self.dbiases = [self.dbiases[0] + dp.sum(axis=0), self.dbiases[1] + dq.sum(axis=0)]


def product_scores(q, k, *, scale=None):
    """Return c q_t . k_s of each query and each key."""
    c = q.dtype.type(q.shape[-1] ** -0.5 if scale is None else scale)
    return c * np.einsum("...tk,...sk->...ts", q, k), (q, k, c)  # (1)


def product_scores_backward(dy, saved):
    """Return (dq, dk)."""
    q, k, c = saved
    return c * np.einsum("...ts,...sk->...tk", dy, k), c * np.einsum("...ts,...tk->...sk", dy, q)  # (2)


def relative_scores(q, r, *, ahead=0, scale=None):
    """Return c q_t . r_d of each query (B, H, T, K) and each key; r (H, R, K) has the distances d from -ahead on."""
    n_queries, n_keys = q.shape[2], r.shape[1] - ahead
    c = q.dtype.type(q.shape[-1] ** -0.5 if scale is None else scale)
    row = ahead + n_keys - n_queries + np.arange(n_queries)[:, None] - np.arange(n_keys)  # of r, for each pair
    vectors = np.where(row[..., None] >= 0, r[:, np.maximum(row, 0)], 0)  # (H, T, S, K)
    return c * np.einsum("bhtk,htsk->bhts", q, vectors), (q, r.shape, row, vectors, c)  # (2)


def relative_scores_backward(dy, saved):
    """Return (dq, dr)."""
    q, shape, row, vectors, c = saved
    dr = np.zeros(shape, q.dtype)
    for t, s in np.argwhere(row >= 0):
        dr[:, row[t, s]] += c * np.einsum("bh,bhk->hk", dy[:, :, t, s], q[:, :, t])  # (4)
    return c * np.einsum("bhts,htsk->bhtk", dy, vectors), dr  # (4)


def segment_scores(q, u, kinds, *, scale=None):
    """Return c q_t . u_n of each query (B, H, T, K) and the kind n of each pair (1 or B, T, S); u is (H, N, K)."""
    c = q.dtype.type(q.shape[-1] ** -0.5 if scale is None else scale)
    picked = np.eye(u.shape[1], dtype=q.dtype)[np.broadcast_to(kinds, (len(q), *np.shape(kinds)[1:]))]  # (B, T, S, N)
    return c * np.einsum("bhtk,btsn,hnk->bhts", q, picked, u), (q, u, picked, c)  # (1)


def segment_scores_backward(dy, saved):
    """Return (dq, du)."""
    q, u, picked, c = saved
    dg = np.einsum("bhts,btsn->bhtn", dy, picked)  # (4)
    return c * np.einsum("bhtn,hnk->bhtk", dg, u), c * np.einsum("bhtn,bhtk->hnk", dg, q)  # (5)


def additive_scores(q, k, weight, *, mask=None):
    """Return the score of each query (B, H, T, A) with each key (B, G, S, A), -inf where the mask is False; weight is (H, A)."""
    keys = k.repeat(q.shape[1] // k.shape[1], axis=1)
    u = np.tanh(q[:, :, :, None] + keys[:, :, None])  # (1)
    mask = True if mask is None else mask
    return np.where(mask, np.sum(weight[:, None, None] * u, axis=-1), -np.inf), (u, weight, k.shape, mask)  # (2)


def additive_scores_backward(dy, saved):
    """Return (dq, dk, dweight)."""
    u, weight, shape, mask = saved
    dy = np.where(mask, dy, 0)
    g = dy[..., None] * weight[:, None, None] * (1 - u) * (1 + u)  # (3)
    dk = g.sum(axis=2).reshape(*shape[:2], -1, *shape[2:]).sum(axis=2)  # (4), over the heads of a group
    return g.sum(axis=3), dk, np.sum(dy[..., None] * u, axis=(0, 2, 3))  # (4)


def activation_penalty(raw, dropped, alpha, beta):
    """Return the penalty (B,) of outputs before and after dropout; both are (B, T, D)."""
    t, d = raw.shape[1:]
    s = np.diff(raw, axis=1)
    for_y, for_s = alpha / (t * d), beta / max(1, (t - 1) * d)
    penalty = for_y * np.sum(dropped**2, axis=(1, 2)) + for_s * np.sum(s**2, axis=(1, 2))  # (1)
    return penalty.astype(raw.dtype), (s, dropped, for_y, for_s)


def activation_penalty_backward(dy, saved):
    """Return (draw, ddropped)."""
    s, dropped, for_y, for_s = saved
    ds = np.pad(2 * for_s * dy[:, None, None] * s, ((0, 0), (1, 1), (0, 0)))  # 0 where there is no step
    return (ds[:, :-1] - ds[:, 1:]).astype(s.dtype), (2 * for_y * dy[:, None, None] * dropped).astype(s.dtype)  # (3), (2)
