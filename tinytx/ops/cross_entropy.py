r"""Cross-entropy between logits and target ids: the loss of a language model, in nats.

Derivation
----------
A model that chooses one of V classes gives V scores, one for each class. Before the softmax they are called logits. The
target is the index of the right class. Logarithms are natural, so the unit of the loss is the nat. For one row x of V
logits, let p be the softmax, m the largest logit, and Z the sum of the powers of e relative to it:

    p_v = e^(x_v) / sum_u e^(x_u),   m = max_v x_v,   Z = sum_v e^(x_v - m),
    p_v = e^(x_v - m) / Z,   ln p_v = (x_v - m) - ln Z.                  (0)

So no logarithm of a probability that underflowed is taken, and no small number has to be added. With label
smoothing epsilon (Szegedy et al. 2015, arXiv:1512.00567) the target is the distribution

    q_v = (1 - epsilon) [v = t] + epsilon / V,                           (1)

where [v = t] is 1 for the target t and 0 for all others. The row's loss is

    l = - sum_v q_v ln p_v
      = ln Z - (1 - epsilon) (x_t - m) - (epsilon / V) sum_v (x_v - m).  (2)

m and Z are kept apart: m + ln Z would be rounded to m's precision, and adding a constant to all logits would change the
loss. For the derivative, put (0) with m = 0 into the first line of (2). The q_u add up to 1:

    l = - sum_u q_u (x_u - ln sum_w e^(x_w))
      = (sum_u q_u) ln sum_w e^(x_w) - sum_u q_u x_u
      = ln sum_w e^(x_w) - sum_u q_u x_u,
    ∂/∂x_v ln sum_u e^(x_u) = e^(x_v) / sum_u e^(x_u) = p_v,

and therefore

    ∂l/∂x_v = p_v - q_v.                                                 (3)

The loss is the mean over the N rows that count. A target equal to ignore_index marks a row that does not count, such as
padding. If the loss is only a step to another number, ``dloss`` is the slope of that number with respect to the loss:
0.5 for 0.5 times the loss, 1 for the loss itself. In the last case dx_v is the gradient of the loss.

    loss = (1/N) sum_rows l,   dx_v = dloss (p_v - q_v) / N.             (4)

N must be the same in both halves of (4). Ignored rows are not read and get gradient 0: in ``plain.py``, ``share`` is
1/N for rows that count and 0 for ignored ones. If all rows are ignored there is no mean; but a part of a batch divides
by the N of the whole batch, so its loss is then 0.

What is kept: the logits, which exist already, and m and Z for each row. p would be a second array of (N, V); it is
computed again with one exponential. The small example is run with one row more, an ignored one, to see that it has no
effect; so what is kept has three rows there.

With numbers
------------
p = (0.25, 0.5, 0.25) and the target is the first: the loss is -ln 0.25, and the gradient p - (1, 0, 0).

>>> loss, saved = cross_entropy(np.log([[1.0, 2.0, 1.0]]), np.array([0]))
>>> round(loss, 4), cross_entropy_backward(1.0, saved).round(4).tolist()
(1.3863, [[-0.75, 0.5, 0.25]])

The same in plain NumPy: ``cross_entropy`` in ``plain.py``.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from tinytx.arguments import INT64, check_number, check_probability, check_whole
from tinytx.kernel import exp, kernel, row_max
from tinytx.recording import beforehand, empty, result
from tinytx.shapes import check_axes, check_float, check_ids, check_integers, check_shape, rows


class Saved(NamedTuple):
    logits: np.ndarray  # (..., V)
    targets: np.ndarray  # (N,)
    largest: np.ndarray  # (N,), m in (0)
    total: np.ndarray  # (N,), Z
    count: int
    ignore_index: int
    label_smoothing: float


@kernel
def _forward(losses, largest, total, logits, targets, ignore_index, smoothing):
    """Write m and Z of each row; and the sum of the losses, in float64."""
    n_rows, v = logits.shape
    zero, one, size = logits.dtype.type(0), logits.dtype.type(1), logits.dtype.type(v)
    losses[0] = 0.0
    for n in range(n_rows):
        largest[n], total[n] = zero, one
        if targets[n] == ignore_index:
            continue
        m = row_max(logits[n], v)
        z = zero
        for j in range(v):
            z += exp(logits[n, j] - m)  # (0)
        loss = math.log(z) - (one - smoothing) * (logits[n, targets[n]] - m)  # (2)
        if smoothing > 0:
            mean = zero
            for j in range(v):
                mean += (logits[n, j] - m) / size
            loss -= smoothing * mean
        largest[n], total[n] = m, z
        losses[0] += loss


@kernel
def _backward(dlogits, logits, targets, largest, total, ignore_index, smoothing, scale):
    n_rows, v = logits.shape
    one = logits.dtype.type(1)
    for n in range(n_rows):
        if targets[n] == ignore_index:
            for j in range(v):
                dlogits[n, j] = logits.dtype.type(0)
            continue
        spread = smoothing / logits.dtype.type(v)  # (1)
        r = one / total[n]
        for j in range(v):
            dlogits[n, j] = scale * (exp(logits[n, j] - largest[n]) * r - spread)  # (3) and (4)
        dlogits[n, targets[n]] -= scale * (one - smoothing)


def count_targets(targets, ignore_index=-100):
    """Return the number of ``targets``, integers of any shape, that are not ``ignore_index``."""
    ignore_index = check_whole("count_targets", "ignore_index", ignore_index, *INT64)
    return int(np.count_nonzero(check_integers("count_targets", targets, "targets") != ignore_index))


def divisor(place, targets, ignored, count):
    """Return the divisor of a mean over targets: ``count`` if it is given, else the number of targets that count.

    Raises
    ------
    ValueError
        If no target counts and ``count`` is not given. A part of a batch, in which no target may count, needs
        ``count``.
    """
    if count is not None:
        return max(1, check_whole(place, "count", count, 0))
    count = count_targets(targets, ignored)
    if not count:
        raise ValueError(
            f"{place}: none of {np.size(targets)} targets counts, all are {ignored}, so there is no mean. "
            "For a part of a batch give count, the number in the whole batch"
        )
    return count


def _mean(losses, count):
    return float(losses[0]) / count  # (4)


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
        N in (4), 0 or more. The default is the number of targets that count. A shard of a batch gives the number of the
        whole batch; its loss is then its share of the whole batch's loss.

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
        If a target is neither a class nor ``ignore_index``, shapes do not fit, or no target counts and no ``count`` is
        given.

    Notes
    -----
    A logit of -inf is a class of probability 0: as a target its loss is inf, and so is that of any target under
    smoothing; the gradient is finite. A row with a logit of +inf, or with nothing but -inf, gives NaN for loss and
    gradient, as it does in PyTorch.
    """
    check_float("cross_entropy", logits=logits)
    check_axes("cross_entropy", "logits", logits, "(..., V)")
    label_smoothing = check_probability("cross_entropy", "label_smoothing", label_smoothing)
    ignore_index = check_whole("cross_entropy", "ignore_index", ignore_index, *INT64)
    v = logits.shape[-1]
    targets = beforehand(partial(check_ids, what="target", allowed=ignore_index), "cross_entropy", targets, v)
    check_shape("cross_entropy", "targets", targets, logits.shape[:-1], "logits of shape", logits.shape)
    count = divisor("cross_entropy", targets, ignore_index, count)
    targets = targets.reshape(-1)
    largest, total = empty(targets.shape, logits.dtype), empty(targets.shape, logits.dtype)
    losses, smoothing = empty(1, np.float64), logits.dtype.type(label_smoothing)
    _forward(losses, largest, total, rows(logits), targets, np.int64(ignore_index), smoothing)
    return result(_mean, losses, count), Saved(logits, targets, largest, total, count, ignore_index, label_smoothing)


def cross_entropy_backward(dloss, saved):
    """Return dlogits (..., V).

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    logits, targets, largest, total, count, ignore_index, label_smoothing = saved
    dtype = logits.dtype.type
    dlogits = empty(logits.shape, logits.dtype)
    scale = dtype(check_number("cross_entropy_backward", "dloss", dloss) / count)
    ignore_index, smoothing = np.int64(ignore_index), dtype(label_smoothing)
    _backward(rows(dlogits), rows(logits), targets, largest, total, ignore_index, smoothing, scale)
    return dlogits
