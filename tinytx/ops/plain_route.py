"""Which experts a token is sent to, once more in plain NumPy: see `plain`."""

import numpy as np


def _softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def route(logits, n_chosen, *, renormalise=True):
    """Return the weights of the likeliest experts."""
    p = _softmax(logits)
    sent = (-logits).argsort(axis=-1, kind="stable")[..., :n_chosen, None] == np.arange(logits.shape[-1])  # (..., k, X), one-hot
    w = (sent * p[..., None, :]).sum(axis=-1)  # (1)
    total = w.sum(axis=-1, keepdims=True) if renormalise else np.ones_like(w[..., :1])
    return w / total, (p, sent, w / total, total, renormalise)  # (2)


def route_backward(dy, saved):
    """Return dlogits."""
    p, sent, w, total, renormalise = saved
    dw = (dy - np.sum(dy * w, axis=-1, keepdims=True) * renormalise) / total  # of p as it is: the quotient of (2)
    dp = (sent * dw[..., None]).sum(axis=-2)
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))  # (3)


def balance(logits, experts):
    """Return X sum_i f_i P_i of each text."""
    (_, t, x), p = logits.shape, _softmax(logits)
    f = (experts[..., None] == np.arange(x)).sum(axis=(1, 2)).astype(p.dtype) / p.dtype.type(t)  # (B, X)
    return x * np.sum(f * p.mean(axis=1), axis=-1), (f, p)  # (5)


def balance_backward(dy, saved):
    """Return dlogits."""
    f, p = saved
    dp = (dy[:, None] * f * p.dtype.type(p.shape[2] / p.shape[1]))[:, None]
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))  # (6)
