r"""Long short-term memory, a whole sequence of it (Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000).

Derivation
----------
How a recurrent layer goes along a sequence is in ``recurrent.py``; this page is about one position. The state is two
vectors of R numbers: h, which is also put out, as y, and the cell c. h' and c' are those of the position before, and h_0
and c_0 at the first one. With * for products of elements,

    s(a) = 1 / (1 + e^(-a)),   h' = before(h, h_0),   c' = before(c, c_0)
    z = x Wx + h' Wh + b,   cut into four parts: (z_i, z_f, z_g, z_o) = z                 (1)
    i = s(z_i),   f = s(z_f),   g = tanh(z_g),   o = s(z_o)              (2)
    c = f * c' + i * g                                                   (3)
    u = tanh(c),   h = o * u                                             (4)
    y = h,   h_T = last(h),   c_T = last(c).

The gates i, f and o say how much of g goes into the cell, how much of the cell stays, and how much of it shows.

Backward goes from the last position to the first. h moves the loss as y, and as the h' of the next position; c moves it by
(4), and as the c' of the next position. At the last position the gradients of the final states stand in the place of dh'
and dc', which are made further down:

    dh = dy + after(dh', dh_T)
    dc = dh * o * tanh'(c) + after(dc', dc_T)
       = dh * o * (1 - u) * (1 + u) + after(dc', dc_T),                  (5)

because the slope of tanh is (1 - tanh) (1 + tanh). That of s is s (1 - s), so by (4) and (3)

    dz_o = dh * u * s'(z_o) = dh * u * o * (1 - o)                       (6)
    dz_i = dc * g * s'(z_i) = dc * g * i * (1 - i)                       (7)
    dz_f = dc * c' * f * (1 - f),   dz_g = dc * i * (1 - g) * (1 + g)    (8)
    dc' = dc * f,   dc_0 = first(dc').                                   (9)

So where f is near 1 the gradient of the cell goes back over many positions as it is. z is the sum of x Wx and h' Wh, so dz
is the gradient of both. h' reaches h through (1) only:

    dz = (dz_i, dz_f, dz_g, dz_o)
    dh' = dz Wh^T,   dh_0 = first(dh').

The others are those of linear maps; all positions of all rows have the same weights, so what they get is a sum:

    dx = dz Wx^T
    dWx_kj = sum_rows sum_time x_k dz_j
    dWh_kj = sum_rows sum_time h'_k dz_j
    db_j = sum_rows sum_time dz_j.

What is kept: the gates of (2), and h and c of all positions. u is computed again.

With numbers
------------
Weights of 0 and large biases: i, f and o are 1, and g is tanh(b_g) = 0.6. The cell counts 0.6 for each position:

>>> bias = np.array([40.0, 40.0, np.arctanh(0.6), 40.0])
>>> (y, h, c), saved = lstm(np.ones((1, 3, 1)), np.zeros((1, 4)), np.zeros((1, 4)), bias)
>>> np.arctanh(y).round(4).tolist(), c.round(4).tolist()
([[[0.6], [1.2], [1.8]]], [[1.8]])

A loss that grows by 1 with the last c grows by 1 with the first one, and by 1 - 0.6^2 with z_g at each position:

>>> *_, dbias, dh, dc = lstm_backward((None, None, np.ones((1, 1))), saved)
>>> dbias.round(4).tolist(), dh.tolist(), dc.tolist()  # db_g = 3 * 0.64
([0.0, 0.0, 1.92, 0.0], [[0.0]], [[1.0]])

The same in plain NumPy: ``lstm`` in ``plain.py``, from ``plain_recurrent.py``.
"""

from tinytx.kernel import exp, kernel
from tinytx.ops import recurrent


@kernel
def _squash(z, q, bias):
    """Turn a row's x Wx into its gates; tanh a is 2 s(2 a) - 1."""
    units, one, two = z.size // 4, z.dtype.type(1), z.dtype.type(2)
    for part in range(4):  # i, f, g, o
        slope = two if part == 2 else one
        for k in range(part * units, (part + 1) * units):
            a = z[k] + q[k] + bias[k]  # (1)
            z[k] = slope / (one + exp(-slope * a)) - (slope - one)  # (2)


@kernel
def lstm_step(h, c, gates, q, bias, h_before, c_before):
    """Write h and c of one position; ``gates`` (B, 4 R) holds x Wx and becomes i, f, g and o, ``q`` is h' Wh."""
    units, one, two = h.shape[1], h.dtype.type(1), h.dtype.type(2)
    for row in range(h.shape[0]):
        _squash(gates[row], q[row], bias)
        for k in range(units):
            i, f, g = gates[row, k], gates[row, units + k], gates[row, 2 * units + k]
            c[row, k] = f * c_before[row, k] + i * g  # (3)
        for k in range(units):
            h[row, k] = gates[row, 3 * units + k] * (two / (one + exp(-two * c[row, k])) - one)  # (4)


@kernel
def lstm_step_backward(dz, dh, dc, gates, h, c, h_before, c_before):
    """Write dz (B, 4 R) of one position; ``dc`` becomes (9), and ``dh`` 0: nothing of h' goes past (1)."""
    units, one, two = dh.shape[1], dh.dtype.type(1), dh.dtype.type(2)
    for row in range(dh.shape[0]):
        for k in range(units):
            u, o = two / (one + exp(-two * c[row, k])) - one, gates[row, 3 * units + k]
            dc[row, k] += dh[row, k] * o * (one - u) * (one + u)  # (5)
            dz[row, 3 * units + k] = dh[row, k] * u * o * (one - o)  # (6)
        for k in range(units):
            i, g = gates[row, k], gates[row, 2 * units + k]
            dz[row, k] = dc[row, k] * g * i * (one - i)  # (7)
            dz[row, 2 * units + k] = dc[row, k] * i * (one - g) * (one + g)  # (8)
        for k in range(units):
            f = gates[row, units + k]
            dz[row, units + k] = dc[row, k] * c_before[row, k] * f * (one - f)  # (8)
            dc[row, k] *= f  # (9)
            dh[row, k] = 0


GATES = (("i", 0, "enters c"), ("f", 1, "of c stays"), ("o", 3, "of c shows"))
CELL = recurrent.Cell("lstm", 4, ("h", "c"), ("bias",), 0, lstm_step, lstm_step_backward, gates=GATES)


def lstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None, reverse=False):
    """Return the outputs of all positions, and the final h and c.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, 4 R), the dtype of x
        Its columns are those of i, f, g and o, in this order (PyTorch's).
    weight_h : array (R, 4 R), the dtype of x
    bias : array (4 R,), the dtype of x
    h, c : array (B, R), the dtype of x, optional
        Output and cell before the first position: those that the part before ended with, or 0.
    mask : boolean array that broadcasts to (B, T), optional
        False at padding.
    reverse : bool
        Whether to read from the last position to the first.

    Returns
    -------
    (y, h, c) : arrays (B, T, R), (B, R) and (B, R)
        y is 0 at padding. h and c are those after the last position that was read of each row.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    return recurrent.forward(CELL, x, weight_x, weight_h, (bias,), (h, c), mask, reverse)


def lstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc), the last two of the h and c before the first position.

    Parameters
    ----------
    dy : three arrays (B, T, R), (B, R) and (B, R)
        The gradients of y, and of the final h and c; None for those that nothing uses.
    saved : Saved
    """
    return recurrent.backward(CELL, dy, saved)
