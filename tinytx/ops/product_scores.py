r"""Scores of queries and keys by their products: what `attention` makes, and does not keep, where they are needed as such.

Derivation
----------
The score of query q_t and key k_s is their scaled product. With K the width of both,

    c = 1 / sqrt(K) if not given,
    e_ts = c sum_i q_ti k_si.                                            (1)

In (1) q_t occurs once for each key, and k_s once for each query: ∂e_ts/∂q_ti = c k_si and ∂e_ts/∂k_si = c q_ti. So, with
de_ts = ∂loss/∂e_ts,

    dq_ti = c sum_s de_ts k_si,   dk_si = c sum_t de_ts q_ti.            (2)

With numbers
------------
>>> q, k = np.array([[[1.0, 2.0]]]), np.array([[[3.0, 4.0], [5.0, 6.0]]])
>>> scores, saved = product_scores(q, k, scale=0.5)
>>> scores.tolist(), product_scores_backward(np.array([[[1.0, 0.0]]]), saved)[0].tolist()
([[[5.5, 8.5]]], [[[1.5, 2.0]]])

The same in plain NumPy: ``product_scores`` in ``plain.py``.
"""

import math

from tinytx.arguments import check_number
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape


def product_scores(q, k, *, scale=None):
    """Return the scaled product of each query with each key.

    Parameters
    ----------
    q : array (..., T, K), float32 or float64
    k : array (..., S, K), the dtype of q
    scale : float, optional
        c of (1), above 0.

    Returns
    -------
    scores : array (..., T, S)
    saved : tuple
        q, k and c.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or ``scale`` is not above 0.
    """
    place = "product_scores"
    check_float(place, q=q, k=k)
    check_axes(place, "q", q, "(..., T, K)")
    check_axes(place, "k", k, "(..., S, K)")
    check_shape(place, "k", k, (*q.shape[:-2], k.shape[-2], q.shape[-1]), "q of shape", q.shape)
    c = 1 / math.sqrt(max(1, q.shape[-1])) if scale is None else check_number(place, "scale", scale, "a finite number above 0", lambda c: 0 < c < math.inf)
    c = q.dtype.type(c)
    return c * (q @ k.swapaxes(-1, -2)), (q, k, c)  # (1)


def product_scores_backward(dy, saved):
    """Return (dq, dk)."""
    q, k, c = saved
    shape, given = (*q.shape[:-1], k.shape[-2]), ("q and k of shapes", q.shape, "and", k.shape)
    check_gradient("product_scores_backward", dy, shape, q.dtype, *given)
    return c * (dy @ k), c * (dy.swapaxes(-1, -2) @ q)  # (2)
