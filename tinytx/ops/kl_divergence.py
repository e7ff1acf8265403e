r"""The Kullback-Leibler divergence between smoothed targets and a softmax: label smoothing without padding.

Derivation
----------
For one row x of V logits, let p be the softmax, and m and Z as in ``cross_entropy.py``:

    p_v = e^(x_v) / sum_u e^(x_u),   m = max_v x_v,   Z = sum_v e^(x_v - m),
    ln p_v = (x_v - m) - ln Z.                                           (0)

There the smoothed target is spread over all V words. Here, as in the Annotated Transformer (Rush 2018), padding gets no
probability, and the target gets no share of epsilon. Only the V - 2 other words do:

    s = epsilon / (V - 2),   q_v = (1 - epsilon) [v = t] + s [t != v != pad].    (1)

([t != v != pad] is 1 if v is neither of them, and 0 otherwise.) They add up to 1. The row's loss is the divergence of p
from q, with 0 ln 0 = 0 for padding,

    h = (1 - epsilon) ln(1 - epsilon) + epsilon ln s,                    (2)
    l = sum_{v : v != pad} q_v (ln q_v - ln p_v)
      = h + ln Z - (1 - epsilon) (x_t - m) - s sum_{v : t != v != pad} (x_v - m),   (3)

in which h, the negative entropy of q, is a constant: without it (3) is a cross-entropy, with it the loss is 0 exactly
where p = q, whatever epsilon is. By (0) with m = 0, and since the q_u add up to 1,

    l = h + ln sum_u e^(x_u) - sum_u q_u x_u,
    ∂/∂x_v ln sum_u e^(x_u) = p_v,

and so for every v, padding too,

    ∂l/∂x_v = p_v - q_v.                                                 (4)

The loss is the mean over the N rows whose target is not padding:

    loss = (1/N) sum_rows l,   dx_v = dloss (p_v - q_v) / N.             (5)

Rows of padding are not read and get gradient 0; if there are no other rows there is no mean. PyTorch's
``KLDivLoss(reduction="batchmean")`` divides by all rows, padding or not, so its loss depends on how a batch was padded.

What is kept: the logits, which exist already, and m and Z for each row; q is never formed.

The same in plain NumPy: ``kl_divergence`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_probability, check_whole
from tinytx.kernel import exp, kernel, row_max
from tinytx.ops.cross_entropy import divisor
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, rows


class Saved(NamedTuple):
    logits: np.ndarray  # (..., V)
    targets: np.ndarray  # (N,)
    largest: np.ndarray  # (N,), m in (0)
    total: np.ndarray  # (N,), Z
    count: int
    pad_id: int
    label_smoothing: float


@kernel
def _forward(losses, largest, total, logits, targets, pad_id, smoothing, spread, constant):
    n_rows, v = logits.shape
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    for n in range(n_rows):
        t = targets[n]
        largest[n], total[n], losses[n] = zero, one, zero
        if t == pad_id:
            continue
        m = row_max(logits[n], v)
        z = zero
        for j in range(v):
            z += exp(logits[n, j] - m)  # (0)
        loss = constant + math.log(z) - (one - smoothing) * (logits[n, t] - m)  # (3)
        if spread > 0:
            others = zero
            for j in range(v):
                others += spread * (logits[n, j] - m) if j != t and j != pad_id else zero
            loss -= others
        largest[n], total[n], losses[n] = m, z, loss


@kernel
def _backward(dlogits, logits, targets, largest, total, pad_id, smoothing, spread, scale):
    n_rows, v = logits.shape
    one = logits.dtype.type(1)
    for n in range(n_rows):
        if targets[n] == pad_id:
            for j in range(v):
                dlogits[n, j] = logits.dtype.type(0)
            continue
        r = one / total[n]
        for j in range(v):
            dlogits[n, j] = scale * (exp(logits[n, j] - largest[n]) * r - spread)  # (4) and (5)
        dlogits[n, targets[n]] -= scale * (one - smoothing - spread)  # target and padding: (1)
        dlogits[n, pad_id] = scale * (exp(logits[n, pad_id] - largest[n]) * r)


def _spread(label_smoothing, v):
    """Return s in (1)."""
    return label_smoothing / (v - 2) if label_smoothing else 0.0


def kl_divergence(logits, targets, *, pad_id, label_smoothing=0.0, count=None):
    """Return the mean divergence of softmax(logits) from smoothed targets, over the targets that are not padding.

    Parameters
    ----------
    logits : array (..., V), float32 or float64
    targets : integers (...)
        The right word of each row, or ``pad_id`` in rows of padding.
    pad_id : int in 0..V-1
        The id of padding, which is never a target that counts.
    label_smoothing : float in [0, 1)
        epsilon in (1), shared by the V - 2 words that are neither the target nor padding.
    count : int, optional
        N in (5); the default is the number of targets that are not padding. See `tinytx.ops.cross_entropy`.

    Returns
    -------
    loss : float
        In nats.
    saved : Saved

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If a target or ``pad_id`` is not in 0..V-1, shapes do not fit, V is below 3 and label_smoothing is not 0, or all
        targets are padding and no ``count`` is given.

    Notes
    -----
    Logits of -inf and inf are as for `tinytx.ops.cross_entropy`.
    """
    check_float("kl_divergence", logits=logits)
    check_axes("kl_divergence", "logits", logits, "(..., V)")
    label_smoothing = check_probability("kl_divergence", "label_smoothing", label_smoothing)
    v = logits.shape[-1]
    pad_id = check_whole("kl_divergence", "pad_id", pad_id, 0, v - 1)
    if label_smoothing and v < 3:
        raise ValueError(
            f"kl_divergence: label_smoothing is {label_smoothing} with V = {v} words, expected V of at least 3: the "
            "target, padding, and a word to spread it over"
        )
    targets = check_ids("kl_divergence", targets, v, what="target")
    check_shape("kl_divergence", "targets", targets, logits.shape[:-1], "logits of shape", logits.shape)
    count = divisor("kl_divergence", targets, pad_id, count)
    targets = targets.reshape(-1)
    losses, largest, total = (np.empty(targets.shape, logits.dtype) for _ in range(3))
    dtype, s = logits.dtype.type, _spread(label_smoothing, v)
    h = (1 - label_smoothing) * math.log(1 - label_smoothing) + (label_smoothing * math.log(s) if s else 0.0)  # (2)
    settings = np.int64(pad_id), dtype(label_smoothing), dtype(s), dtype(h)
    _forward(losses, largest, total, rows(logits), targets, *settings)
    loss = float(losses.sum(dtype=np.float64)) / count  # (5)
    return loss, Saved(logits, targets, largest, total, count, pad_id, label_smoothing)


def kl_divergence_backward(dloss, saved):
    """Return dlogits (..., V).

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    logits, targets, largest, total, count, pad_id, label_smoothing = saved
    dtype = logits.dtype.type
    dlogits = np.empty(logits.shape, logits.dtype)
    scale = check_number("kl_divergence_backward", "dloss", dloss) / count
    s = _spread(label_smoothing, logits.shape[-1])
    settings = np.int64(pad_id), dtype(label_smoothing), dtype(s), dtype(scale)
    _backward(rows(dlogits), rows(logits), targets, largest, total, *settings)
    return dlogits
