r"""Gated recurrent unit, a whole sequence of it (Cho et al. 2014, 1406.1078).

Derivation
----------
How a recurrent layer goes along a sequence is in ``recurrent.py``; this page is about one position. The state is a
vector h of R numbers, which is also put out, as y. h' is that of the position before, and h_0 at the first one. With * for
products of elements,

    s(a) = 1 / (1 + e^(-a)),   h' = before(h, h_0)
    p = x Wx + bx,   q = h' Wh + bh,
    each cut into three parts: (p_r, p_z, p_n) = p,   (q_r, q_z, q_n) = q                  (1)
    a_r = p_r + q_r,   a_z = p_z + q_z,   r = s(a_r),   z = s(a_z)       (2)
    a_n = p_n + r * q_n,   n = tanh(a_n)                                 (3)
    h = (1 - z) * n + z * h'                                             (4)
    y = h,   h_T = last(h).

The gate z says how much of h' stays, and r how much of h' the new n sees. As in PyTorch, r multiplies the product h' Wh
and not, as in the paper (``original_gru.py``), h' before the product; so bx and bh are two parameters: only bh is multiplied by r.

Backward goes from the last position to the first. h moves the loss as y, and as the h' of the next position; at the last one
the gradient of the final state stands in the place of dh', which is made further down:

    dh = dy + after(dh', dh_T).

The slope of tanh is (1 - tanh) (1 + tanh), and that of s is s (1 - s), so by (4) and (3)

    da_n = dh * (1 - z) * tanh'(a_n) = dh * (1 - z) * (1 - n) * (1 + n)                    (5)
    da_z = dh * (h' - n) * s'(a_z) = dh * (h' - n) * z * (1 - z)         (6)
    da_r = da_n * q_n * s'(a_r) = da_n * q_n * r * (1 - r).              (7)

p and q have the same gradients but for the last part, where r stands between a_n and q_n:

    dp = (da_r, da_z, da_n),   dq = (da_r, da_z, da_n * r).              (8)

By (4), h' also reaches h past (1):

    dh' = dh * z + dq Wh^T,   dh_0 = first(dh').                         (9)

The others are those of linear maps; all positions of all rows have the same weights, so what they get is a sum:

    dx = dp Wx^T
    dWx_kj = sum_rows sum_time x_k dp_j,   dbx_j = sum_rows sum_time dp_j
    dWh_kj = sum_rows sum_time h'_k dq_j,   dbh_j = sum_rows sum_time dq_j.

What is kept: r, z and n, q_n, and h of all positions.

With numbers
------------
Weights of 0, so z is 1/2, and n is tanh(b_n) = 0.6: h goes half of what is left of the way to 0.6 at each position.

>>> biases = np.array([0.0, 0.0, np.arctanh(0.6)]), np.zeros(3)
>>> (y, h), saved = gru(np.ones((1, 3, 1)), np.zeros((1, 3)), np.zeros((1, 3)), *biases)
>>> y.round(4).tolist()
[[[0.3], [0.45], [0.525]]]

A loss that grows by 1 with the last h grows by 1/8 with the first one. Each position's dh * (1 - z) * (1 - 0.6^2) adds
to db_n, and half of it, r, to that of bh:

>>> *_, dbias_x, dbias_h, dh = gru_backward((None, np.ones((1, 1))), saved)
>>> dbias_x.round(4)[2].item(), dbias_h.round(4)[2].item(), dh.tolist()  # (1 + 1/2 + 1/4) * 0.5 * 0.64
(0.56, 0.28, [[0.125]])

The same in plain NumPy: ``gru`` in ``plain.py``, from ``plain_recurrent.py``.
"""

from tinytx.kernel import exp, kernel
from tinytx.ops import recurrent


@kernel
def _squash(gates, q, bias_x, bias_h):
    """Turn parts of a row's x Wx into r and z."""
    one = gates.dtype.type(1)
    for k in range(gates.size):
        gates[k] = one / (one + exp(-(gates[k] + bias_x[k] + q[k] + bias_h[k])))  # (2)


@kernel
def _propose(n, r, inner, bias_x):
    """Turn the last part of a row's x Wx into n; tanh a is 2 s(2 a) - 1."""
    one, two = n.dtype.type(1), n.dtype.type(2)
    for k in range(n.size):
        n[k] = two / (one + exp(-two * (n[k] + bias_x[k] + r[k] * inner[k]))) - one  # (3)


@kernel
def gru_step(h, gates, inner, q, bias_x, bias_h, h_before):
    """Write h of one position; ``gates`` (B, 3 R) holds x Wx and becomes r, z and n, ``q`` is h' Wh, ``inner`` becomes q_n."""
    units, one = h.shape[1], h.dtype.type(1)
    last = 2 * units  # where the last part begins
    for row in range(h.shape[0]):
        _squash(gates[row, :last], q[row, :last], bias_x[:last], bias_h[:last])
        for k in range(units):
            inner[row, k] = q[row, last + k] + bias_h[last + k]  # (1)
        _propose(gates[row, last:], gates[row, :units], inner[row], bias_x[last:])
        for k in range(units):
            z, n = gates[row, units + k], gates[row, last + k]
            h[row, k] = (one - z) * n + z * h_before[row, k]  # (4)


@kernel
def gru_step_backward(dp, dq, dh, gates, inner, h, h_before):
    """Write dp and dq (B, 3 R) of one position; ``dh`` becomes dh * z, the first part of (9)."""
    units, one = dh.shape[1], dh.dtype.type(1)
    for row in range(dh.shape[0]):
        for k in range(units):
            z, n = gates[row, units + k], gates[row, 2 * units + k]
            dp[row, 2 * units + k] = dh[row, k] * (one - z) * (one - n) * (one + n)  # (5)
        for k in range(units):
            z, n = gates[row, units + k], gates[row, 2 * units + k]
            dp[row, units + k] = dh[row, k] * (h_before[row, k] - n) * z * (one - z)  # (6)
            dh[row, k] *= z  # (9)
        for k in range(units):
            r, da_n = gates[row, k], dp[row, 2 * units + k]
            dp[row, k] = da_n * inner[row, k] * r * (one - r)  # (7)
            dq[row, 2 * units + k] = da_n * r  # (8)
        for k in range(2 * units):
            dq[row, k] = dp[row, k]  # (8)


GATES = (("r", 0, "of h is seen"), ("z", 1, "of h stays"))
CELL = recurrent.Cell("gru", 3, ("h",), ("bias_x", "bias_h"), 1, gru_step, gru_step_backward, differs=True, gates=GATES)


def gru(x, weight_x, weight_h, bias_x, bias_h, h=None, *, mask=None, reverse=False):
    """Return the outputs of all positions, and the final h.

    Parameters
    ----------
    x : array (B, T, D), float32 or float64
    weight_x : array (D, 3 R), the dtype of x
        Its columns are those of r, z and n, in this order (PyTorch's).
    weight_h : array (R, 3 R), the dtype of x
    bias_x, bias_h : array (3 R,), the dtype of x
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
    return recurrent.forward(CELL, x, weight_x, weight_h, (bias_x, bias_h), (h,), mask, reverse)


def gru_backward(dy, saved):
    """Return (dx, dweight_x, dweight_h, dbias_x, dbias_h, dh), the last of the h before the first position.

    Parameters
    ----------
    dy : two arrays (B, T, R) and (B, R)
        The gradients of y and of the final h; None for one that nothing uses.
    saved : Saved
    """
    return recurrent.backward(CELL, dy, saved)
