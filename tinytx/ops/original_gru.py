r"""The gated recurrent unit as it was published, a whole sequence of it (Cho et al. 2014, 1406.1078).

Derivation
----------
How a recurrent layer goes along a sequence is in ``recurrent.py``; this page is about one position. The difference from
``gru.py``, which is PyTorch's: the gate r multiplies h' before the product and not the product. So there are two
products, one after the other, and a second bias would change nothing. Wh is cut into (Uh, Un); h' is the h of the position
before, and h_0 at the first one. With * for products of elements,

    s(a) = 1 / (1 + e^(-a)),   h' = before(h, h_0)
    p = x Wx + b,   cut into three parts: (p_r, p_z, p_n) = p            (1)
    (q_r, q_z) = h' Uh,
    a_r = p_r + q_r,   a_z = p_z + q_z,   r = s(a_r),   z = s(a_z)       (2)
    v = r * h'                                                           (3)
    a = p_n + v Un,   n = tanh(a)                                        (4)
    h = (1 - z) * n + z * h'                                             (5)
    y = h,   h_T = last(h).

Backward goes from the last position to the first. h moves the loss as y, and as the h' of the next position; at the last one
the gradient of the final state stands in the place of dh', which is made further down:

    dh = dy + after(dh', dh_T).

The slope of tanh is (1 - tanh) (1 + tanh), and that of s is s (1 - s), so by (5)

    da = dh * (1 - z) * tanh'(a) = dh * (1 - z) * (1 - n) * (1 + n)                    (6)
    da_z = dh * (h' - n) * s'(a_z) = dh * (h' - n) * z * (1 - z).        (7)

By (4), v gets what (6) of ``recurrent.py`` says, and by (3) it sends on to r

    dv = da Un^T
    da_r = dv * h' * s'(a_r) = dv * h' * r * (1 - r).                    (8)

h' is in (5), in (3) and in the product of (2):

    dq = (da_r, da_z)
    dh' = dh * z + dv * r + dq Uh^T,   dh_0 = first(dh').                (9)

The others are those of linear maps; all positions of all rows have the same weights, so what they get is a sum:

    dp = (da_r, da_z, da)
    dx = dp Wx^T
    dWx_kj = sum_rows sum_time x_k dp_j,   db_j = sum_rows sum_time dp_j
    dUh_kj = sum_rows sum_time h'_k dq_j,   dUn_kj = sum_rows sum_time v_k da_j.

What is kept: r, z and n, v, and h of all positions.

With numbers
------------
One unit with Un = 1; r is 1/2, and z is 0. The new h is tanh(h' / 2):

>>> weight_h, bias = np.array([[0.0, 0.0, 1.0]]), np.array([0.0, -40.0, 0.0])
>>> (y, h), saved = original_gru(np.zeros((1, 1, 1)), np.zeros((1, 3)), weight_h, bias, np.array([[2 * np.log(2)]]))
>>> h.round(4).tolist()  # tanh(ln 2)
[[0.6]]

A loss that grows by 1 with h grows by dv = 1 - 0.6^2 with v, by half of it with h', and by dv h' / 4 with b_r:

>>> *_, dbias, dh = original_gru_backward((None, np.ones((1, 1))), saved)
>>> dh.round(4).tolist(), dbias.round(4).tolist()  # 0.64 * 2 ln 2 / 4
([[0.32]], [0.2218, 0.0, 0.64])

The same in plain NumPy: ``original_gru`` in ``plain.py``, from ``plain_recurrent.py``.
"""

from tinytx.kernel import exp, kernel
from tinytx.ops import recurrent
from tinytx.ops.gru import GATES


@kernel
def _squash(gates, q, bias, scale):
    """Turn parts of a row's x Wx into gates: s(a) with scale 1, tanh a = 2 s(2 a) - 1 with scale 2."""
    one = gates.dtype.type(1)
    for k in range(gates.size):
        gates[k] = scale / (one + exp(-scale * (gates[k] + bias[k] + q[k]))) - (scale - one)  # (1), (2), (4)


@kernel
def original_gru_reset(gates, n, v, q, bias, h_before):
    """Write v of one position; ``gates`` (B, 2 R) holds p_r and p_z, and becomes r and z; ``q`` is h' Uh."""
    units, one = v.shape[1], v.dtype.type(1)
    for row in range(v.shape[0]):
        _squash(gates[row], q[row], bias[: 2 * units], one)
        for k in range(units):
            v[row, k] = gates[row, k] * h_before[row, k]  # (3)


@kernel
def original_gru_step(h, gates, n, v, q, bias, h_before):
    """Write h of one position; ``n`` (B, R) holds p_n, and becomes n; ``q`` is v Un."""
    units, one, two = h.shape[1], h.dtype.type(1), h.dtype.type(2)
    for row in range(h.shape[0]):
        _squash(n[row], q[row], bias[2 * units :], two)
        for k in range(units):
            z = gates[row, units + k]
            h[row, k] = (one - z) * n[row, k] + z * h_before[row, k]  # (5)


@kernel
def original_gru_step_backward(dgates, dn, dh, gates, n, v, h, h_before):
    """Write da (B, R) and the second part of dgates, da_z; ``dh`` becomes dh * z, the first part of (9)."""
    units, one = dh.shape[1], dh.dtype.type(1)
    for row in range(dh.shape[0]):
        for k in range(units):
            z = gates[row, units + k]
            dn[row, k] = dh[row, k] * (one - z) * (one - n[row, k]) * (one + n[row, k])  # (6)
        for k in range(units):
            z = gates[row, units + k]
            dgates[row, units + k] = dh[row, k] * (h_before[row, k] - n[row, k]) * z * (one - z)  # (7)
            dh[row, k] *= z  # (9)


@kernel
def original_gru_reset_backward(dgates, dn, dv, dh, gates, n, v, h_before):
    """Write the first part of dgates (B, 2 R), da_r, and add dv * r to ``dh``, the second part of (9)."""
    one = dh.dtype.type(1)
    for row in range(dh.shape[0]):
        for k in range(dh.shape[1]):
            r = gates[row, k]
            dgates[row, k] = dv[row, k] * h_before[row, k] * r * (one - r)  # (8)
            dh[row, k] += dv[row, k] * r  # (9)


INNER = recurrent.Inner(2, True, False, original_gru_reset, original_gru_reset_backward)
CELL = recurrent.Cell(
    "original_gru", 3, ("h",), ("bias",), 1, original_gru_step, original_gru_step_backward, inner=INNER, gates=GATES
)


def original_gru(x, weight_x, weight_h, bias, h=None, *, mask=None, reverse=False):
    """Return the outputs of all positions, and the final h.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, 3 R), the dtype of x
        Its columns are those of r, z and n, in this order.
    weight_h : array (R, 3 R), the dtype of x
        (Uh, Un).
    bias : array (3 R,), the dtype of x
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


def original_gru_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias, dh), the last of the h before the first position.

    Parameters
    ----------
    dy : two arrays (B, T, R) and (B, R)
        The gradients of y and of the final h; None for one that nothing uses.
    saved : Saved
    """
    return recurrent.backward(CELL, dy, saved)
