r"""Cross-entropy between logits and target ids: the loss of a language model, in nats.

Derivation
----------
For one row x of V logits let L = ln sum_v e^(x_v) and p_v = e^(x_v - L), the softmax. With label smoothing epsilon
(Szegedy et al. 2015, arXiv:1512.00567) the target is the distribution

    q_v = (1 - epsilon) [v = t] + epsilon / V,                           (1)

and the row's loss is

    l = - sum_v q_v ln p_v = L - sum_v q_v x_v
      = L - (1 - epsilon) x_t - (epsilon / V) sum_v x_v.                 (2)

L is computed as m + ln sum_v e^(x_v - m), with m the largest logit: the logarithm of a probability that underflowed
never appears, and no small number is added to hide it. Since dL/dx_v = p_v,

    dl/dx_v = p_v - q_v.                                                 (3)

The loss is the mean over the N rows that count, those whose target is not ignore_index:

    loss = (1/N) sum l,   dx_nv = dloss (p_nv - q_nv) / N.               (4)

N must be the same in both halves of (4). Ignored rows are not read and get gradient 0; if all rows are ignored the
loss is 0.

What is kept: the logits, which exist already, and L for each row. p is one exponential away, and would be a second
array of (N, V).
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, kernel, row_max
from tinytx.shapes import check_float, check_ids, check_probability, check_shape, rows


class Saved(NamedTuple):
    logits: np.ndarray  # (..., V)
    targets: np.ndarray  # (N,)
    log_sum: np.ndarray  # (N,), L
    count: int
    ignore_index: int
    label_smoothing: float


@kernel
def _forward(losses, log_sum, logits, targets, ignore_index, smoothing):
    n_rows, v = logits.shape
    one = logits.dtype.type(1)
    for n in range(n_rows):
        if targets[n] == ignore_index:
            losses[n] = logits.dtype.type(0)
            log_sum[n] = logits.dtype.type(0)
            continue
        largest = row_max(logits[n], v)
        total = logits.dtype.type(0)
        for j in range(v):
            total += exp(logits[n, j] - largest)
        log_sum[n] = largest + math.log(total)
        losses[n] = log_sum[n] - (one - smoothing) * logits[n, targets[n]]  # (2)
        if smoothing > 0:
            mean = logits.dtype.type(0)
            for j in range(v):
                mean += logits[n, j]
            losses[n] -= smoothing * (mean / logits.dtype.type(v))


@kernel
def _backward(dlogits, logits, targets, log_sum, ignore_index, smoothing, scale):
    n_rows, v = logits.shape
    one = logits.dtype.type(1)
    for n in range(n_rows):
        if targets[n] == ignore_index:
            for j in range(v):
                dlogits[n, j] = logits.dtype.type(0)
            continue
        spread = smoothing / logits.dtype.type(v)
        for j in range(v):
            dlogits[n, j] = scale * (exp(logits[n, j] - log_sum[n]) - spread)  # (3) and (4)
        dlogits[n, targets[n]] -= scale * (one - smoothing)


def count_targets(targets, ignore_index=-100):
    """Return how many targets count."""
    return int(np.count_nonzero(np.asarray(targets) != ignore_index))


def cross_entropy(logits, targets, *, ignore_index=-100, label_smoothing=0.0, count=None):
    """Return the mean cross-entropy over the targets that count.

    Parameters
    ----------
    logits : array (..., V), float32 or float64
    targets : integers (...)
        The right class of each row, or ``ignore_index``.
    ignore_index : int
        Rows with this target do not count and are not read.
    label_smoothing : float in [0, 1)
        epsilon in (1).
    count : int, optional
        What (4) divides by. The default is the number of targets that count; a shard of a batch hands in the number of
        the whole batch, and its loss is then its share of the whole batch's.

    Returns
    -------
    loss : float
        In nats.
    saved : Saved

    Raises
    ------
    ValueError
        If a target is neither a class nor ``ignore_index``, or shapes do not fit.
    """
    check_float("cross_entropy", logits=logits)
    check_probability("cross_entropy", "label_smoothing", label_smoothing)
    v = logits.shape[-1]
    targets = check_ids("cross_entropy", targets, v, what="target", allowed=ignore_index)
    check_shape("cross_entropy", "targets", targets, logits.shape[:-1], f"logits of shape {logits.shape}")
    targets = targets.reshape(-1)
    losses, log_sum = np.empty(targets.shape, logits.dtype), np.empty(targets.shape, logits.dtype)
    smoothing = logits.dtype.type(label_smoothing)
    _forward(losses, log_sum, rows(logits), targets, np.int64(ignore_index), smoothing)
    count = count_targets(targets, ignore_index) if count is None else count
    loss = float(losses.sum(dtype=np.float64)) / max(count, 1)  # (4)
    return loss, Saved(logits, targets, log_sum, count, ignore_index, label_smoothing)


def cross_entropy_backward(saved, dloss=1.0):
    """Return dlogits (..., V).

    Parameters
    ----------
    saved : Saved
    dloss : float
        The gradient of whatever the loss is part of, with respect to the loss.
    """
    logits, targets, log_sum, count, ignore_index, label_smoothing = saved
    dtype = logits.dtype.type
    dlogits = np.empty(logits.shape, logits.dtype)
    scale = dtype(dloss / max(count, 1))
    _backward(
        rows(dlogits), rows(logits), targets, log_sum, np.int64(ignore_index), dtype(label_smoothing), scale
    )
    return dlogits
