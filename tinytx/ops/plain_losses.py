"""Losses in plain NumPy: part of ``plain.py``."""

import numpy as np


def _log_softmax(x):
    """Return ln p and p of each row: (0) of cross_entropy.py."""
    shifted = x - x.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    z = e.sum(axis=-1, keepdims=True)
    return shifted - np.log(z), e / z


def _one_hot(targets, v):
    """Return a matrix with a row [v = t] for each target."""
    return (np.arange(v) == targets[:, None]).astype(float)


def binary_cross_entropy(logits, targets, *, ignore_index=-100, count=None):
    """Return the mean of ln(1 + e^x) - t x over the bits that count."""
    targets = np.asarray(targets)
    counts = targets != ignore_index
    share = counts / logits.dtype.type(max(np.sum(counts) if count is None else count, 1))  # 1/N, or 0: not counted
    losses = np.maximum(logits, 0) - targets * logits + np.log1p(np.exp(-np.abs(logits)))  # (2)
    return np.sum(share * losses), (logits, targets, share)  # (4)


def binary_cross_entropy_backward(dloss, saved):
    """Return dlogits."""
    logits, targets, share = saved
    return dloss * share * (1 / (1 + np.exp(-logits)) - targets)  # (3), (4)


def cross_entropy(logits, targets, *, ignore_index=-100, label_smoothing=0.0, count=None):
    """Return the mean of - sum_v q_v ln p_v over the rows that count."""
    v, targets = logits.shape[-1], np.ravel(targets)
    log_p, p = _log_softmax(logits.reshape(-1, v))
    counts = (targets != ignore_index)[:, None]
    q = ((1 - label_smoothing) * _one_hot(targets, v) + label_smoothing / v).astype(logits.dtype)  # (1)
    share = counts / logits.dtype.type(max(np.sum(counts) if count is None else count, 1))  # 1/N, or 0: not counted
    return -np.sum(share * q * log_p), (p, q, share, logits.shape)  # (2), (4)


def cross_entropy_backward(dloss, saved):
    """Return dlogits."""
    p, q, share, shape = saved
    return (p.dtype.type(dloss) * share * (p - q)).reshape(shape)  # (3), (4)


def linear_cross_entropy(x, weight, targets, *, chunk=None, **options):
    """Return the cross-entropy of x W, of which all rows are one chunk."""
    loss, loss_saved = cross_entropy(x @ weight, targets, **options)  # (1)
    return loss, (x, weight, loss_saved)


def linear_cross_entropy_backward(dloss, saved):
    """Return (dx, dweight)."""
    x, weight, loss_saved = saved
    dlogits = cross_entropy_backward(dloss, loss_saved)  # (..., V)
    d, v = weight.shape
    return dlogits @ weight.T, x.reshape(-1, d).T @ dlogits.reshape(-1, v)  # (2), (3)


def glove_loss(w, c, bias_w, bias_c, words, contexts, x, *, x_max=100.0, alpha=0.75, count=None):
    """Return the mean of f (s - ln X)^2."""
    i, j = np.asarray(words), np.asarray(contexts)
    error = np.sum(w[i] * c[j], axis=1) + bias_w[i] + bias_c[j] - np.log(x)  # (1)
    f = np.minimum(1, x / x_max) ** alpha / (len(x) if count is None else count)  # (2)
    return np.sum(f * error**2), (w, c, i, j, f * error)  # (3)


def glove_loss_backward(dloss, saved):
    """Return (dw, dc, dbias_w, dbias_c)."""
    w, c, i, j, weighted = saved
    g = dloss * 2 * weighted  # (4)
    gradients = np.zeros_like(w), np.zeros_like(c), np.zeros_like(w[:, 0]), np.zeros_like(c[:, 0])
    np.add.at(gradients[0], i, g[:, None] * c[j])  # (5)
    np.add.at(gradients[1], j, g[:, None] * w[i])
    np.add.at(gradients[2], i, g)  # (6)
    np.add.at(gradients[3], j, g)
    return gradients


def kl_divergence(logits, targets, *, pad_id, label_smoothing=0.0, count=None):
    """Return the mean of sum_v q_v (ln q_v - ln p_v) over the rows whose target is not padding."""
    v, targets = logits.shape[-1], np.ravel(targets)
    log_p, p = _log_softmax(logits.reshape(-1, v))
    counts = (targets != pad_id)[:, None]
    hit = _one_hot(targets, v)
    q = ((1 - label_smoothing) * hit + label_smoothing / max(v - 2, 1) * (1 - hit)).astype(logits.dtype)  # (1)
    q[:, pad_id] = 0
    log_q = np.log(q, where=q > 0, out=np.zeros_like(q))  # 0 ln 0 = 0
    share = counts / logits.dtype.type(max(np.sum(counts) if count is None else count, 1))  # 1/N, or 0: padding
    return np.sum(share * q * (log_q - log_p)), (p, q, share, logits.shape)  # (3), (5)


def kl_divergence_backward(dloss, saved):
    """Return dlogits."""
    p, q, share, shape = saved
    return (p.dtype.type(dloss) * share * (p - q)).reshape(shape)  # (4), (5)


def soft_cross_entropy(scores, distribution, mask=None, *, count=None):
    """Return the mean of - sum_s G_s ln A_s over the rows that have mass."""
    mass = distribution.sum(axis=-1, keepdims=True)  # M
    allowed = np.broadcast_to(True if mask is None else mask, scores.shape) & (mass > 0)
    read = np.where(allowed.any(axis=-1, keepdims=True), np.where(allowed, scores, -np.inf), 0)
    log_a, a = _log_softmax(read)  # (1)
    n = max(np.count_nonzero(mass) if count is None else count, 1)
    loss = -np.sum(distribution * np.where(distribution > 0, log_a, 0)) / n  # (2), (4)
    return loss, (a.astype(scores.dtype), distribution, mass, n)


def soft_cross_entropy_backward(dloss, saved):
    """Return dscores."""
    a, distribution, mass, n = saved
    return a.dtype.type(dloss / n) * (mass * a - distribution)  # (3), (4)


def logistic_rows(h, table, rows, labels, *, count=None):
    """Return the mean over vectors of sum_k [ln(1 + e^s_k) - t_k s_k], without the rows that are -1."""
    rows, labels = np.asarray(rows), np.asarray(labels)
    s = np.einsum("nd,nkd->nk", h, table[rows])  # (1)
    asked = (rows >= 0) / h.dtype.type(len(h) if count is None else count)
    return np.sum(asked * (np.logaddexp(0, s) - labels * s)), (h, table, rows, labels, s, asked)  # (2)


def logistic_rows_backward(dloss, saved):
    """Return (dh, dtable)."""
    h, table, rows, labels, s, asked = saved
    g = dloss * asked * (1 / (1 + np.exp(-s)) - labels)  # (3)
    dtable = np.zeros_like(table)
    np.add.at(dtable, rows, g[:, :, None] * h[:, None])  # (5); what is added to row -1 is 0
    return np.einsum("nk,nkd->nd", g, table[rows]), dtable  # (4)


def tsne(y, p, *, exaggeration=1.0):
    """Return the divergence of the map y, (N, 2), from the nearness p, (N, N)."""
    difference = y[:, None] - y[None]  # (N, N, 2)
    squared = np.sum(difference**2, axis=2)
    w = (1 - np.eye(len(y))) / (1 + squared)  # (1)
    log_p = np.log(p, where=p > 0, out=np.zeros_like(p))
    loss = np.sum(p * (log_p + exaggeration * np.log1p(squared))) + np.log(w.sum())  # (3)
    return loss, (difference, w, p, exaggeration)


def tsne_backward(dloss, saved):
    """Return dy (N, 2)."""
    difference, w, p, exaggeration = saved
    force = exaggeration * p * w - w * w / w.sum()  # (N, N)
    return 4 * dloss * np.einsum("ij,ijk->ik", force, difference)  # (4)


def squared_error(y, targets, *, count=None):
    """Return the mean squared distance of vectors (..., D) from their targets."""
    n = np.prod(y.shape[:-1]) if count is None else count
    return np.sum((y - targets) ** 2) / n, (y, targets, n)  # (1)


def squared_error_backward(dloss, saved):
    """Return dy."""
    y, targets, n = saved
    return dloss * 2 * (y - targets) / n  # (2)
