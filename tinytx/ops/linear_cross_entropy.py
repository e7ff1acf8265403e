r"""The output layer of a language model and its loss in one, without ever holding all logits.

Derivation
----------
The logits X W are N x V numbers: 50,000 words for each of 4,096 positions are 800 MB, and their gradient as much again.
But the loss of ``cross_entropy.py`` is a sum over rows, and a row of logits depends on its own row of X alone. So X is cut
into chunks of rows: X_crd is the number d of row r of chunk c, and t_cr is the row's target. Of each chunk, without smoothing,

    x_crv = sum_d X_crd W_dv
    p_crv = e^(x_crv) / sum_u e^(x_cru)
    l_c = -(1/N) sum_r ln p_{c, r, t_cr}
        = (1/N) sum_r ((ln sum_u e^(x_cru)) - x_{c, r, t_cr})
    loss = sum_c l_c.                                                    (1)

Every chunk divides by the N of the whole, so its logits get the gradient that they get in ``cross_entropy.py``:

    dx_crv = (dloss/N) (p_crv - [v = t_cr])

The others are those of ``linear.py`` for each chunk. The dX_c are the rows of dX; every chunk uses W, so its gradient is the
sum over chunks:

    dX_crd = sum_v dx_crv W_dv                                           (2)
    dW_dv = sum_c sum_r X_crd dx_crv                                     (3)

In matrices, with x_c for a chunk's logits: dX_c = dx_c W^T, and dW is the sum of all X_c^T dx_c.

What is kept: X and W, which exist already. A chunk's logits are made again in backward, which is one product more of the
layer's three.

The same in plain NumPy: ``linear_cross_entropy`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import INT64, check_number, check_probability, check_whole
from tinytx.ops.cross_entropy import cross_entropy, cross_entropy_backward, divisor
from tinytx.ops.linear import linear, linear_backward
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, rows

CHUNK = 1 << 24  # logits that exist at a time, about: 64 MB of float32


class Saved(NamedTuple):
    x: np.ndarray  # (..., D)
    weight: np.ndarray  # (D, V)
    targets: np.ndarray  # (...)
    count: int
    chunk: int
    ignore_index: int
    label_smoothing: float


def linear_cross_entropy(x, weight, targets, *, ignore_index=-100, label_smoothing=0.0, count=None, chunk=CHUNK):
    """Return ``cross_entropy(linear(x, weight), targets)``, some rows at a time.

    Parameters
    ----------
    x : array (..., D), float32 or float64
    weight : array (D, V), the dtype of x
    targets, ignore_index, label_smoothing, count
        As for `tinytx.ops.cross_entropy`.
    chunk : int
        About the largest number of logits in memory at a time; at least one row.

    Returns
    -------
    loss : float
        In nats.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        As `linear` and `cross_entropy` do.
    """
    place = "linear_cross_entropy"
    check_float(place, x=x, weight=weight)
    check_axes(place, "x", x, "(..., D)")
    check_shape(place, "weight", weight, (x.shape[-1], *weight.shape[1:2]), "x of shape", x.shape, "and V")
    chunk = check_whole(place, "chunk", chunk, 1, INT64[1])
    ignore_index = check_whole(place, "ignore_index", ignore_index, *INT64)
    targets = check_ids(place, targets, weight.shape[1], what="target", allowed=ignore_index)
    check_shape(place, "targets", targets, x.shape[:-1], "x of shape", x.shape)
    count = divisor(place, targets, ignore_index, count)
    smoothing = check_probability(place, "label_smoothing", label_smoothing)
    saved = Saved(x, weight, targets, count, chunk, ignore_index, smoothing)
    return sum((loss for _, _, (loss, _) in _chunks(saved)), 0.0), saved  # (1)


def linear_cross_entropy_backward(dloss, saved):
    """Return (dx, dweight).

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    dloss = check_number("linear_cross_entropy_backward", "dloss", dloss)
    dx, dweight = np.empty(saved.x.shape, saved.x.dtype), None
    dx_rows = rows(dx)
    for at, linear_saved, (_, loss_saved) in _chunks(saved):
        dlogits = cross_entropy_backward(dloss, loss_saved)
        dx_rows[at], part, _ = linear_backward(dlogits, linear_saved)  # (2)
        if dweight is None:
            dweight = part
        else:
            dweight += part  # (3)
    return dx, np.zeros_like(saved.weight) if dweight is None else dweight


def _chunks(saved):
    """Yield for each chunk its rows, what `linear` saved, and what `cross_entropy` returned."""
    x, targets = rows(saved.x), saved.targets.reshape(-1)
    options = {name: getattr(saved, name) for name in ("count", "ignore_index", "label_smoothing")}
    size = max(1, saved.chunk // max(1, saved.weight.shape[1]))
    for start in range(0, len(x), size):
        at = slice(start, start + size)
        logits, linear_saved = linear(x[at], saved.weight)
        yield at, linear_saved, cross_entropy(logits, targets[at], **options)
