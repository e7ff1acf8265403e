r"""Activation penalty: large outputs, and large steps from one position to the next, cost something (Merity, McCann and
Socher 2017, "Revisiting activation regularization for language RNNs", arXiv:1708.01009).

Derivation
----------
Let x, (T, D), be what the last layer of a recurrent net puts out for a sequence, and y the same after dropout. s_t is the step
from the position before to t; at the first position there is none, and s_0 is 0:

    s_td = [t > 0] (x_td - x_{t-1, d})

The penalty has two parts, the activation regularisation (AR) and the temporal one (TAR):

    r = (alpha / (T D)) sum_t sum_d y_td^2 + (beta / ((T - 1) D)) sum_t sum_d s_td^2                        (1)

The paper writes norms; its code, and (1), have means of squares. Of one position there is no step: the second part is 0.

The first part is a sum of squares, so

    dy_td = dr (2 alpha / (T D)) y_td                                    (2)

x_t is in two steps: with the sign + in s_t, and with the sign - in s_{t+1}, which does not exist at the last position:

    ds_td = dr (2 beta / ((T - 1) D)) s_td,
    dx_td = ds_td - [t < T - 1] ds_{t+1, d}                              (3)

Summed over t, the terms of (3) cancel: sum_t dx_t = 0, since all positions together may move at no cost,

    sum_t dx_td = 0

Each row of a batch has its own r, and its own dr: for the mean over B rows it is 1/B. What is kept: s and y.

With numbers
------------
Outputs 1, 2, 4, with alpha = beta = 1: the mean square is 21/3, that of the steps 1 and 2 is 5/2.

>>> x = np.array([[[1.0], [2.0], [4.0]]])
>>> penalty, saved = activation_penalty(x, x, 1.0, 1.0)
>>> penalty.tolist()
[9.5]
>>> dx, dy = activation_penalty_backward(np.ones(1), saved)
>>> dx.ravel().tolist(), (3 * dy).ravel().tolist()
([-1.0, -1.0, 2.0], [2.0, 4.0, 8.0])

The same in plain NumPy: ``activation_penalty`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape

FROM_0 = ("a finite number of at least 0", lambda x: 0 <= x < math.inf)


class Saved(NamedTuple):
    steps: np.ndarray  # s (B, T-1, D)
    dropped: np.ndarray  # y (B, T, D)
    for_steps: float  # 2 beta / ((T-1) D)
    for_dropped: float  # 2 alpha / (T D)


def activation_penalty(raw, dropped, alpha, beta):
    """Return the penalty of each row.

    Parameters
    ----------
    raw : array (B, T, D), float32 or float64
        x, before dropout.
    dropped : array, shape and dtype of raw
        y, after dropout.
    alpha, beta : float, at least 0
        Weights of the two parts; 2 and 1 in AWD-LSTM.

    Returns
    -------
    penalty : array (B,)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, or a weight is negative or not finite.
    """
    place = "activation_penalty"
    check_float(place, raw=raw, dropped=dropped)
    check_axes(place, "raw", raw, "(B, T, D)")
    check_shape(place, "dropped", dropped, raw.shape, "raw of shape", raw.shape)
    alpha, beta = (check_number(place, name, value, *FROM_0) for name, value in (("alpha", alpha), ("beta", beta)))
    t, d = raw.shape[1:]
    steps = raw[:, 1:] - raw[:, :-1]
    saved = Saved(steps, dropped, 2 * beta / max(1, (t - 1) * d), 2 * alpha / max(1, t * d))
    halves = zip((saved.for_dropped, saved.for_steps), (dropped, steps))
    return sum(raw.dtype.type(weight / 2) * np.square(x).sum(axis=(1, 2)) for weight, x in halves), saved  # (1)


def activation_penalty_backward(dy, saved):
    """Return (draw, ddropped).

    Parameters
    ----------
    dy : array (B,)
        dr of each row.
    saved : Saved
    """
    steps, dropped, for_steps, for_dropped = saved
    dtype = dropped.dtype.type
    check_gradient("activation_penalty_backward", dy, dropped.shape[:1], dropped.dtype, "the rows of a batch")
    dr = dy[:, None, None]
    dsteps = dr * dtype(for_steps) * steps
    draw = np.zeros_like(dropped)
    draw[:, 1:] += dsteps  # (3)
    draw[:, :-1] -= dsteps
    return draw, dr * dtype(for_dropped) * dropped  # (2)
