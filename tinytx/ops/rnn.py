r"""The simple recurrent net, a whole sequence of it (Elman 1990).

Derivation
----------
How a recurrent layer goes along a sequence is in ``recurrent.py``; this page is about one position. The state is a
vector h of R numbers, which is also put out, as y. h' is that of the position before, and h_0 at the first one:

    h' = before(h, h_0)
    a = x Wx + h' Wh + b,   h = tanh(a)                                  (1)
    y = h,   h_T = last(h).

Backward goes from the last position to the first. h of a position moves the loss as y, and as the h' of the next position;
dh' is made further down, and what the last position gets is the gradient of h_T, the final state:

    dh = dy + after(dh', dh_T).

The slope of tanh is tanh'(a) = (1 - tanh a) (1 + tanh a), so

    da = dh * tanh'(a) = dh * (1 - h) * (1 + h),                                       (2)

which is the gradient of x Wx and of h' Wh. h' reaches h through (1) only:

    dh' = da Wh^T,   dh_0 = first(dh').

So over a distance of n positions a gradient is multiplied n times by Wh^T and by slopes of at most 1: it vanishes, or it
explodes. ``lstm.py`` and ``gru.py`` are two ways to let it pass. The others are those of linear maps; all positions of all
rows have the same weights, so what they get is a sum:

    dx = da Wx^T
    dWx_ij = sum_rows sum_time x_i da_j
    dWh_kj = sum_rows sum_time h'_k da_j
    db_j = sum_rows sum_time da_j.

With numbers
------------
Where all is 0 the slopes are 1. One unit with Wh = 0.5 halves the gradient at each of three positions:

>>> (y, h), saved = rnn(np.zeros((1, 3, 1)), np.ones((1, 1)), np.array([[0.5]]), np.zeros(1))
>>> dx, _, _, dbias, dh = rnn_backward((None, np.ones((1, 1))), saved)
>>> dx.tolist(), dbias.tolist(), dh.tolist()
([[[0.25], [0.5], [1.0]]], [1.75], [[0.125]])

The same in plain NumPy: ``rnn`` in ``plain.py``, from ``plain_recurrent.py``.
"""

from tinytx.kernel import exp, kernel
from tinytx.ops import recurrent


@kernel
def _squash(a, q, bias):
    """Turn a row's x Wx into h; tanh a is 2 s(2 a) - 1."""
    one, two = a.dtype.type(1), a.dtype.type(2)
    for k in range(a.size):
        a[k] = two / (one + exp(-two * (a[k] + q[k] + bias[k]))) - one  # (1)


@kernel
def rnn_step(h, a, q, bias, h_before):
    """Write h of one position; ``a`` (B, R) holds x Wx and becomes h too, ``q`` is h' Wh."""
    for row in range(h.shape[0]):
        _squash(a[row], q[row], bias)
        h[row] = a[row]


@kernel
def rnn_step_backward(da, dh, a, h, h_before):
    """Write da (B, R) of one position; ``dh`` becomes 0: nothing of h' goes past (1)."""
    one = dh.dtype.type(1)
    for row in range(dh.shape[0]):
        for k in range(dh.shape[1]):
            da[row, k] = dh[row, k] * (one - a[row, k]) * (one + a[row, k])  # (2)
            dh[row, k] = 0


CELL = recurrent.Cell("rnn", 1, ("h",), ("bias",), 0, rnn_step, rnn_step_backward)


def rnn(x, weight_x, weight_h, bias, h=None, *, mask=None, reverse=False):
    """Return the outputs of all positions, and the final h.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, R), the dtype of x
    weight_h : array (R, R), the dtype of x
    bias : array (R,), the dtype of x
    h : array (B, R), the dtype of x, optional
        The output before the first position: the one that the part before ended with, or 0.
    mask : boolean array that broadcasts to (B, T), optional
        False at padding.
    reverse : bool
        Whether to read from the last position to the first.

    Returns
    -------
    (y, h) : arrays (B, T, R) and (B, R)
        y is 0 at padding. h is the one after the last position that was read of each row.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    return recurrent.forward(CELL, x, weight_x, weight_h, (bias,), (h,), mask, reverse)


def rnn_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh), the last of the h before the first position.

    Parameters
    ----------
    dy : two arrays (B, T, R) and (B, R)
        The gradients of y and of the final h; None for one that nothing uses.
    saved : Saved
    """
    return recurrent.backward(CELL, dy, saved)
