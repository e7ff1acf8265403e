r"""Pool: one vector for a whole sequence, from the vectors of its words (Howard and Ruder 2018, arXiv:1801.06146).

Derivation
----------
Of a sequence x, (T, D), some positions are real, m_t = 1, as ``mask`` says; the others are padding, m_t = 0. n are real:

    n = sum_t m_t,   first = min_{t : m_t = 1} t,   last = max_{t : m_t = 1} t

Each kind of pooling makes a vector (D,), and the result has one behind the other. All but the mean pick one element of each
column, at a position p_d:

    mean:   y_d = (1/n) sum_t m_t x_td                                   (1)
    max:    y_d = max_{t : m_t = 1} x_td,   p_d = min_{t : m_t [x_td = y_d] = 1} t       (2)
    first:  y_d = x_{first, d},   p_d = first                            (3)
    last:   y_d = x_{last, d},    p_d = last                             (4)

(1) is linear, so every real position gets the same share, and padding gets none:

    ∂y_d/∂x_td = m_t / n,
    dx_td = m_t dy_d / n.                                                (5)

To divide by T in the place of n, or to spread (5) over padding, is a mistake that a batch without padding does not show.

As long as no two real elements tie for the maximum, p_d does not change with x in a small neighbourhood, and y_d is the
element at p_d there. So in (2) to (4)

    ∂y_d/∂x_td = [t = p_d],
    dx_td = [t = p_d] dy_d.                                              (6)

At a tie (2) has a kink: along a direction v it rises by the largest v_td of the tied positions, which is not linear in v.
Every way to divide dy_d among them, with shares from 0 to 1 that add up to 1, is a subgradient: the maximum lies
nowhere below the plane that it describes. Here p_d is the first of them, as in PyTorch: (6) with no new rule.

Example: a column 4, 1, 4, 9, the last position padding. The mean is 3, the maximum 4, the first 4 and the last 4. With
dy = 6 for each, (5) gives 2, 2, 2, 0; the maximum, picked at the first of two, gives 6, 0, 0, 0; first gives the same; and
last gives 0, 0, 6, 0.

What is kept: m, and p of each kind. A sequence without a real position gives 0, and gets 0. NaN at a real position is the
maximum, and what padding holds is never read.

The same in plain NumPy: ``pool`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, contiguous

KINDS = ("first", "last", "max", "mean")
LAST, MAX, MEAN = 1, 2, 3  # places in `KINDS`


class Saved(NamedTuple):
    real: np.ndarray  # (B, T), bool
    picked: np.ndarray  # (n, B, D), p of each kind; -1 where there is none
    kinds: tuple  # of places in `KINDS`
    dtype: np.dtype


@kernel
def _forward(y, picked, x, real, kind, start):
    """Write the columns of one kind, from ``start`` on; they are 0 before."""
    for b in range(x.shape[0]):
        n = 0
        for t in range(x.shape[1]):
            if not real[b, t]:
                continue
            n += 1
            for d in range(x.shape[2]):
                value, so_far = x[b, t, d], y[b, start + d]
                if kind == MEAN:
                    y[b, start + d] = so_far + value
                elif n == 1 or kind == LAST or (kind == MAX and not value <= so_far and so_far == so_far):
                    y[b, start + d], picked[b, d] = value, t  # (2), (3), (4)
        if kind == MEAN and n > 0:
            for d in range(x.shape[2]):
                y[b, start + d] /= x.dtype.type(n)  # (1)


@kernel
def _backward(dx, dy, picked, real, kind, start):
    """Add what one kind asks for."""
    for b in range(dx.shape[0]):
        if kind != MEAN:
            for d in range(dx.shape[2]):
                if picked[b, d] >= 0:
                    dx[b, picked[b, d], d] += dy[b, start + d]  # (6)
            continue
        n = dx.dtype.type(real[b].sum())
        for t in range(dx.shape[1]):
            if real[b, t]:
                for d in range(dx.shape[2]):
                    dx[b, t, d] += dy[b, start + d] / n  # (5)


def pool(x, kinds, *, mask=None):
    """Return one vector for each sequence of a batch.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    kinds : sequence of {"first", "last", "max", "mean"}
        Each gives D columns of the result, in this order: ULMFiT's is ("last", "max", "mean").
    mask : boolean array that broadcasts to (B, T), optional
        True at real positions. Without it, all are.

    Returns
    -------
    y : array (B, n D) for n kinds
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If x has other axes, a kind has another name, there is none, or the mask does not fit.
    """
    check_float("pool", x=x)
    check_axes("pool", "x", x, "(B, T, D)")
    if not isinstance(kinds, (tuple, list)) or not kinds or any(not isinstance(k, str) or k not in KINDS for k in kinds):
        raise ValueError(f"pool: kinds is {kinds!r:.80}, expected a sequence of {', '.join(KINDS)}")
    b, t, width = x.shape
    real = np.broadcast_to(True if mask is None else check_mask("pool", mask, (b, t)), (b, t))
    saved = Saved(contiguous(real), np.full((len(kinds), b, width), -1), tuple(map(KINDS.index, kinds)), x.dtype)
    y, ready = np.zeros((b, len(kinds) * width), x.dtype), contiguous(x)
    for i, kind in enumerate(saved.kinds):
        _forward(y, saved.picked[i], ready, saved.real, kind, i * width)
    return y, saved


def pool_backward(dy, saved):
    """Return dx (B, T, D).

    Parameters
    ----------
    dy : array (B, n D)
    saved : Saved
    """
    real, picked, kinds, dtype = saved
    n, b, width = picked.shape
    check_gradient("pool_backward", dy, (b, n * width), dtype, "the kinds of pooling and x's width")
    dx, ready = np.zeros((*real.shape, width), dtype), contiguous(dy)
    for i, kind in enumerate(kinds):
        _backward(dx, ready, picked[i], real, kind, i * width)
    return dx
