r"""Cross-entropy of bits: is this 1 or 0? One logit for each, which has nothing to do with the others.

Derivation
----------
A logit x says that bit t is 1 with probability s(x), and 0 with s(-x):

    s(x) = 1 / (1 + e^-x),   1 - s(x) = s(-x).

Its loss is

    l = - t ln s(x) - (1 - t) ln s(-x)
      = t ln(1 + e^-x) + (1 - t) ln(1 + e^x)
      = ln(1 + e^x) - t x,   because ln(1 + e^-x) = ln(1 + e^x) - x.     (1)

e^x overflows for large x. With x = max(x, 0) + min(x, 0),

    l = max(x, 0) - t x + ln(1 + e^-|x|),                                (2)

in which no exponent is positive, and the first two terms cancel exactly where the bit is right. The slope of ln(1 + e^x)
is s(x), so

    ∂l/∂x = s(x) - t.                                                    (3)

This is (3) of ``cross_entropy.py`` for two classes with the logits x and 0. The loss of a batch is the mean over the N
bits that count:

    loss = (1/N) sum_bits l,   dx = dloss (s(x) - t) / N.                (4)

With numbers
------------
A logit of ln 3 is a probability of 3/4: the loss is ln 4/3 if the bit is 1, and ln 4 if it is 0.

>>> loss, saved = binary_cross_entropy(np.array([[np.log(3), np.log(3)]]), [[1, 0]], count=1)
>>> round(loss, 4), binary_cross_entropy_backward(1.0, saved).round(4).tolist()  # ln 4/3 + ln 4 = ln 16/3
(1.674, [[-0.25, 0.75]])

The same in plain NumPy: ``binary_cross_entropy`` in ``plain.py``.
"""

import math

import numpy as np

from tinytx.arguments import INT64, check_number, check_whole
from tinytx.kernel import exp, kernel
from tinytx.ops.cross_entropy import divisor
from tinytx.shapes import check_float, check_ids, check_shape, contiguous


@kernel
def _forward(losses, logits, targets, ignore_index):
    zero = logits.dtype.type(0)
    for i in range(logits.size):
        x, losses[i] = logits[i], zero
        if targets[i] != ignore_index:
            losses[i] = max(x, zero) - x * logits.dtype.type(targets[i]) + math.log1p(exp(-abs(x)))  # (2), which is (1)


@kernel
def _backward(dlogits, logits, targets, ignore_index, scale):
    one = logits.dtype.type(1)
    for i in range(logits.size):
        e, dlogits[i] = exp(-abs(logits[i])), logits.dtype.type(0)  # e is at most 1
        if targets[i] != ignore_index:
            s = (one if logits[i] > 0 else e) / (one + e)
            dlogits[i] = scale * (s - logits.dtype.type(targets[i]))  # (3), (4)


def binary_cross_entropy(logits, targets, *, ignore_index=-100, count=None):
    """Return the mean loss of the bits that count.

    Parameters
    ----------
    logits : array of any shape, float32 or float64
    targets : integers, shape of logits
        0, 1, or ``ignore_index``.
    ignore_index : int
        Bits with this target do not count.
    count : int, optional
        N in (4), 0 or more. The default is the number of bits that count. A shard of a batch gives the number of the
        whole batch.

    Returns
    -------
    loss : float
        In nats.
    saved : tuple
        logits, targets, N and ``ignore_index``.

    Raises
    ------
    TypeError, ValueError
        If a target is none of the three numbers, shapes do not fit, or no bit counts and no ``count`` is given.
    """
    place = "binary_cross_entropy"
    check_float(place, logits=logits)
    ignore_index = check_whole(place, "ignore_index", ignore_index, *INT64)
    targets = check_ids(place, targets, 2, what="target", allowed=ignore_index)
    check_shape(place, "targets", targets, logits.shape, "logits of shape", logits.shape)
    count, logits = divisor(place, targets, ignore_index, count), contiguous(logits)
    losses = np.empty(logits.size, logits.dtype)
    _forward(losses, logits.reshape(-1), targets.reshape(-1), np.int64(ignore_index))
    return float(losses.sum(dtype=np.float64)) / count, (logits, targets, count, ignore_index)  # (4)


def binary_cross_entropy_backward(dloss, saved):
    """Return dlogits.

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : tuple
    """
    logits, targets, count, ignore_index = saved
    scale = logits.dtype.type(check_number("binary_cross_entropy_backward", "dloss", dloss) / count)
    dlogits = np.empty_like(logits)
    _backward(dlogits.reshape(-1), logits.reshape(-1), targets.reshape(-1), np.int64(ignore_index), scale)
    return dlogits
