r"""Multiplicative LSTM, a whole sequence of it (Krause et al. 2016, 1609.07959).

Derivation
----------
How a recurrent layer goes along a sequence is in ``recurrent.py``; this page is about one position. The difference from
``lstm.py``: the gates do not read h' but m, which is a product of h' and of the input. So each input has a transition of
its own from h' to the gates, where an LSTM adds the same h' Wh for all inputs. Wx is cut into the columns (Wmx, Wz), Wh
into (Wmh, Um). h' and c' are the states of the position before, h_0 and c_0 at the first one; * is the product of elements:

    h' = before(h, h_0),   c' = before(c, c_0)
    a = x Wmx,   u = h' Wmh,   m = a * u                                 (1)
    z = x Wz + m Um + b                                                  (2)

and the rest is (1) to (4) of ``lstm.py``, with v for its tanh(c):

    s(a) = 1 / (1 + e^(-a)),   (z_i, z_f, z_g, z_o) = z
    i = s(z_i),   f = s(z_f),   g = tanh(z_g),   o = s(z_o),
    c = f * c' + i * g,   v = tanh(c),   h = o * v                       (3)
    y = h,   h_T = last(h),   c_T = last(c).

Backward: (5) to (9) of ``lstm.py`` give dz, which is the gradient of x Wz and of m Um, and dc':

    dh = dy + after(dh', dh_T)
    dc = dh * o * (1 - v) * (1 + v) + after(dc', dc_T)
    dz_i = dc * g * i * (1 - i),   dz_f = dc * c' * f * (1 - f)
    dz_g = dc * i * (1 - g) * (1 + g),   dz_o = dh * v * o * (1 - o)
    dz = (dz_i, dz_f, dz_g, dz_o),   dc' = dc * f,   dc_0 = first(dc').

Then comes dm, which is (6) of ``recurrent.py``, and of it

    dm = dz Um^T
    da = dm * u,   du = dm * a                                           (4)

by (1). h' reaches h through u only:

    dh' = du Wmh^T,   dh_0 = first(dh').

The others are those of linear maps; all positions of all rows have the same weights, so what they get is a sum. p = x Wx has
the gradient (da, dz), and what the products with Wh give has (du, dz):

    dx = da Wmx^T + dz Wz^T
    dWmx_kj = sum_rows sum_time x_k da_j,   dWz_kj = sum_rows sum_time x_k dz_j
    dWmh_kj = sum_rows sum_time h'_k du_j,   dUm_kj = sum_rows sum_time m_k dz_j
    db_j = sum_rows sum_time dz_j.

What is kept: a and the gates, m and u, and h and c of all positions.

With numbers
------------
One unit whose i, f and o are 1, with Wmx = Wmh = 1, Um = ln 4 for g, and h' = 1/2. The input says whether h' gets into
the cell: with x = 1 as g = tanh(ln 2), with 0 not at all, with -1 the other way round:

>>> weight_x, weight_h = np.array([[1.0, 0, 0, 0, 0]]), np.array([[1.0, 0, 0, np.log(4), 0]])
>>> x, h, bias = np.array([[[1.0]], [[0.0]], [[-1.0]]]), np.full((3, 1), 0.5), np.array([40.0, 40.0, 0.0, 40.0])
>>> (y, _, c), saved = mlstm(x, weight_x, weight_h, bias, h)
>>> c.round(4).tolist()
[[0.6], [0.0], [-0.6]]

A loss that grows by 1 with c grows by dm = (1 - g^2) ln 4 with m, by dm x with h', and by dm / 2 with x:

>>> dx, *_, dh, dc = mlstm_backward((None, None, np.ones((3, 1))), saved)
>>> dh.round(4).tolist(), dx.round(4).ravel().tolist()  # 0.64 ln 4 = 0.8872
([[0.8872], [0.0], [-0.8872]], [0.4436, 0.6931, 0.4436])

The same in plain NumPy: ``mlstm`` in ``plain.py``, from ``plain_recurrent.py``.
"""

from tinytx.kernel import kernel
from tinytx.ops import recurrent
from tinytx.ops.lstm import GATES as LSTM_GATES
from tinytx.ops.lstm import lstm_step, lstm_step_backward


@kernel
def mlstm_product(a, gates, m, u, q, bias, h_before, c_before):
    """Write m and u of one position; ``a`` holds x Wmx, ``q`` is h' Wmh."""
    for row in range(m.shape[0]):
        for k in range(m.shape[1]):
            u[row, k] = q[row, k]
            m[row, k] = a[row, k] * q[row, k]  # (1)


@kernel
def mlstm_product_backward(da, dz, du, dm, dh, dc, a, gates, m, u, h_before, c_before):
    """Write da and du (B, R) of one position; nothing of h' goes past u."""
    for row in range(m.shape[0]):
        for k in range(m.shape[1]):
            da[row, k] = dm[row, k] * u[row, k]  # (4)
            du[row, k] = dm[row, k] * a[row, k]  # (4)


def mlstm_step(h, c, a, gates, m, u, q, bias, h_before, c_before):
    """Write h and c of one position; ``gates`` (B, 4 R) holds x Wz and becomes i, f, g and o, ``q`` is m Um."""
    lstm_step(h, c, gates, q, bias, h_before, c_before)  # (2), (3)


def mlstm_step_backward(da, dz, du, dh, dc, a, gates, m, u, h, c, h_before, c_before):
    """Write dz (B, 4 R) of one position; ``dc`` becomes that of c', and ``dh`` 0."""
    lstm_step_backward(dz, dh, dc, gates, h, c, h_before, c_before)


INNER = recurrent.Inner(1, False, True, mlstm_product, mlstm_product_backward)
GATES = tuple((name, part + 1, share) for name, part, share in LSTM_GATES)  # behind a
CELL = recurrent.Cell("mlstm", 5, ("h", "c"), ("bias",), 2, mlstm_step, mlstm_step_backward, inner=INNER, gates=GATES)


def mlstm(x, weight_x, weight_h, bias, h=None, c=None, *, mask=None, reverse=False):
    """Return the outputs of all positions, and the final h and c.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, 5 R), the dtype of x
        Its columns are those of a, then those of i, f, g and o: (Wmx, Wz).
    weight_h : array (R, 5 R), the dtype of x
        (Wmh, Um).
    bias : array (4 R,), the dtype of x
        Of i, f, g and o.
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


def mlstm_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh, dc), the last two of the h and c before the first position.

    Parameters
    ----------
    dy : three arrays (B, T, R), (B, R) and (B, R)
        The gradients of y, and of the final h and c; None for those that nothing uses.
    saved : Saved
    """
    return recurrent.backward(CELL, dy, saved)
