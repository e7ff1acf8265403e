r"""Cross-entropy between scores and a distribution: the target is not one class but a share of each.

Derivation
----------
A row of S scores x has the softmax A over its allowed elements. With m the largest allowed score, as in
``cross_entropy.py``,

    m = max_s x_s,   Z = sum_s e^(x_s - m),
    A_s = e^(x_s - m) / Z,   ln A_s = (x_s - m) - ln Z.                  (1)

The target is a row of shares G_s >= 0, whose mass is M. It is 1 for a distribution. A row of mass 0 asks for
nothing: a word that has no counterpart in the other language (Garg et al. 2019, arXiv:1909.02074, equation 4). The loss of
a row is

    M = sum_s G_s,   l = - sum_s G_s ln A_s = M ln Z - sum_s G_s (x_s - m).    (2)

Write x for x - m: l is the same. The slope of ln Z by x_s is e^(x_s) / Z = A_s, so

    ∂l/∂x_s = M A_s - G_s.                                               (3)

It adds up to 0 over a row, is 0 where A = G, and is exactly 0 in rows of mass 0 and at masked elements. For a single share
of 1 it is (3) of ``cross_entropy.py``.

The loss of a batch is the mean over the N rows that have mass:

    loss = (1/N) sum_rows l,   dx_s = dloss (M A_s - G_s) / N.           (4)

With numbers
------------
A = (0.25, 0.5, 0.25). One half of the target is the first, one half the second; the second row has no mass.

>>> scores, shares = np.log([[1.0, 2.0, 1.0]] * 2), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
>>> loss, saved = soft_cross_entropy(scores, shares)
>>> round(loss, 4), soft_cross_entropy_backward(1.0, saved).round(4).tolist()  # (ln 4 + ln 2) / 2 = 1.0397
(1.0397, [[-0.25, 0.0, 0.25], [0.0, 0.0, 0.0]])

The same in plain NumPy: ``soft_cross_entropy`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.kernel import exp, kernel
from tinytx.shapes import check_axes, check_float, check_mask, check_shape, rows


class Saved(NamedTuple):
    scores: np.ndarray  # (..., S)
    distribution: np.ndarray  # (..., S), G
    mask: np.ndarray  # (..., S)
    largest: np.ndarray  # (rows,), m in (1)
    total: np.ndarray  # (rows,), Z
    mass: np.ndarray  # (rows,), M
    count: int


@kernel
def _forward(losses, largest, total, scores, distribution, mask, mass):
    zero = scores.dtype.type(0)
    for n in range(scores.shape[0]):
        if mass[n] == 0:
            continue
        m = scores.dtype.type(-np.inf)
        for s in range(scores.shape[1]):
            m = max(m, scores[n, s]) if mask[n, s] else m
        z, inner = zero, zero
        for s in range(scores.shape[1]):
            if mask[n, s]:
                z += exp(scores[n, s] - m)
                inner += distribution[n, s] * (scores[n, s] - m) if distribution[n, s] > 0 else zero
        largest[n], total[n], losses[n] = m, z, mass[n] * math.log(z) - inner  # (2)


@kernel
def _backward(dscores, scores, distribution, mask, largest, total, mass, scale):
    """Write the rows that have mass; ``dscores`` is 0."""
    for n in range(scores.shape[0]):
        if mass[n] == 0:
            continue
        for s in range(scores.shape[1]):
            if mask[n, s]:
                a = exp(scores[n, s] - largest[n]) / total[n]  # (1)
                dscores[n, s] = scale * (mass[n] * a - distribution[n, s])  # (3), (4)


def soft_cross_entropy(scores, distribution, mask=None, *, count=None):
    """Return the mean cross-entropy over the rows that have mass.

    Parameters
    ----------
    scores : array (..., S), float32 or float64
    distribution : array (..., S), the dtype of scores
        The shares G, not negative; 0 where masked. It is data: backward has no gradient for it.
    mask : boolean array that broadcasts to the shape of scores, optional
        True where an element is allowed.
    count : int, optional
        N in (4), 0 or more. The default is the number of rows that have mass. A shard of a batch gives the number of the
        whole batch.

    Returns
    -------
    loss : float
        In nats.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, a share is negative or not finite or masked, or no row has mass and no ``count`` is
        given.
    """
    place = "soft_cross_entropy"
    check_float(place, scores=scores, distribution=distribution)
    check_axes(place, "scores", scores, "(..., S)")
    check_shape(place, "distribution", distribution, scores.shape, "scores of shape", scores.shape)
    allowed = np.broadcast_to(check_mask(place, True if mask is None else mask, scores.shape), scores.shape)
    wrong = np.argwhere(~(np.isfinite(distribution) & (distribution >= 0) & (allowed | (distribution == 0))))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        facts = f"distribution is {distribution[at]:g} at {at}, where mask is {bool(allowed[at])}"
        raise ValueError(f"{place}: {facts}: expected finite shares of at least 0, and 0 where the mask is False")
    mass = rows(distribution).sum(axis=1)
    if count is None and not mass.any():
        raise ValueError(
            f"{place}: none of {mass.size} rows has mass, so there is no mean. For a part of a batch give count, the number "
            "of rows with mass in the whole batch"
        )
    count = max(1, check_whole(place, "count", np.count_nonzero(mass) if count is None else count, 0))
    losses, largest, total = np.zeros((3, mass.size), scores.dtype)
    _forward(losses, largest, total, rows(scores), rows(distribution), rows(allowed), mass)
    return float(losses.sum(dtype=np.float64)) / count, Saved(scores, distribution, allowed, largest, total, mass, count)


def soft_cross_entropy_backward(dloss, saved):
    """Return dscores (..., S).

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    scores, distribution, mask, largest, total, mass, count = saved
    scale = scores.dtype.type(check_number("soft_cross_entropy_backward", "dloss", dloss) / count)
    dscores = np.zeros(scores.shape, scores.dtype)
    _backward(rows(dscores), rows(scores), rows(distribution), rows(mask), largest, total, mass, scale)
    return dscores
