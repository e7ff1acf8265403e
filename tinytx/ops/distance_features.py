r"""Features of multivectors whose products fall with the distance of points (Brehmer et al. 2023, arXiv:2305.18415, section 3.3).

Derivation
----------
Attention compares queries and keys by scalar products of vectors. What no motion changes are the products of the 8 numbers
without e0. They do not know where points are: that is in t = (e012, e013, e023), and t alone is not invariant. The distance is.
With w = e123, a multivector stands for the point t/w; and u, which is 1/w where w is not near 0, makes of both
numbers that are never divided by 0. For multivector n,

    u_n = w_n / (w_n^2 + eps),   p_ni = u_n t_ni,   v_n = u_n w_n        (1)
    l_n = sum_i p_ni^2,   s_n = v_n^2,   z_ni = v_n p_ni.

The square of the distance of n and m is no product of their numbers, but it is a sum of five of them:

    -sum_i (v_m p_ni - v_n p_mi)^2 = -s_m l_n - s_n l_m + 2 sum_i z_ni z_mi                (2)

which is f(n) . g(m) with f = (l, s, z) and g = (-s, -l, 2 z). So a query has 8 + 5 features for each channel, its numbers
without e0 and f, and a key its numbers and g.

The gradients dl, ds and dz are, for queries, those of the three parts of f; for keys minus the second, minus the first, and
twice the third part of g's. Then

    dp_ni = 2 dl_n p_ni + dz_ni v_n,   dv_n = 2 ds_n v_n + sum_i dz_ni p_ni                (3)
    ∂u_n/∂w_m = [n = m] (eps - w_n^2) / (w_n^2 + eps)^2

and from (1)

    du_n = w_n dv_n + sum_i t_ni dp_ni
    dt_ni = u_n dp_ni,   dw_n = u_n dv_n + du_n (eps - w_n^2) / (w_n^2 + eps)^2            (4)

to which the 8 numbers' own gradients are added: w is one of them.

With numbers
------------
Points 3 and 5 apart along x, with e123 = 1 and eps = 0:

>>> x = np.zeros((2, 16))
>>> x[:, 14], x[:, 13] = 1, [-2, -5]
>>> (f, _), (g, _) = (distance_features(x, of_keys=keys, eps=0.0) for keys in (False, True))
>>> (f[:, 8:] @ g[:, 8:].T).tolist()
[[0.0, -9.0], [-9.0, 0.0]]

The same in plain NumPy: ``distance_features`` in ``plain.py``.
"""

import numpy as np

from tinytx.arguments import check_flag
from tinytx.ops.layer_norm import check_eps
from tinytx.ops.multivector import BLADES, EUCLIDEAN, POINT_WEIGHT, check_multivectors
from tinytx.shapes import check_gradient

WIDTH = len(EUCLIDEAN) + 5
PLACE = slice(POINT_WEIGHT - 3, POINT_WEIGHT)  # e012, e013, e023


def distance_features(x, *, of_keys=False, eps=1e-3):
    """Return the features of queries, or of keys.

    Parameters
    ----------
    x : array (..., 16 C), float32 or float64
    of_keys : bool
        Whether x are keys, whose features are g in (2).
    eps : float
        In (1). It may be 0 where no e123 is.

    Returns
    -------
    y : array (..., 13 C)
    saved : tuple
        x, of_keys and eps.

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit, or ``eps`` is out of range.
    """
    place = "distance_features"
    check_multivectors(place, x=x)
    of_keys = check_flag(place, "of_keys", of_keys)
    eps = x.dtype.type(check_eps(place, eps))
    each, (_, p, _, v, _) = x.reshape(*x.shape[:-1], -1, len(BLADES)), _points(x, eps)
    length, square, mixed = (p * p).sum(axis=-1, keepdims=True), v * v, v * p
    parts = (-square, -length, 2 * mixed) if of_keys else (length, square, mixed)  # (2)
    y = np.concatenate([each[..., EUCLIDEAN], *parts], axis=-1)
    return y.reshape(*x.shape[:-1], -1), (x, of_keys, eps)


def distance_features_backward(dy, saved):
    """Return dx.

    Parameters
    ----------
    dy : array (..., 13 C)
    saved : tuple
    """
    x, of_keys, eps = saved
    shape = (*x.shape[:-1], x.shape[-1] // len(BLADES) * WIDTH)
    check_gradient("distance_features_backward", dy, shape, x.dtype, "x of shape", x.shape)
    t, p, w, v, u = _points(x, eps)
    dy = dy.reshape(*v.shape[:-1], WIDTH)
    n = len(EUCLIDEAN)
    first, second, c = dy[..., n : n + 1], dy[..., n + 1 : n + 2], dy[..., n + 2 :]
    a, b, c = (-second, -first, 2 * c) if of_keys else (first, second, c)
    dp, dv = 2 * a * p + v * c, 2 * b * v + (c * p).sum(axis=-1, keepdims=True)  # (3)
    slope = (eps - w * w) / (w * w + eps) ** 2  # u'
    dx = np.zeros((*v.shape[:-1], len(BLADES)), x.dtype)
    dx[..., EUCLIDEAN] = dy[..., :n]
    dx[..., PLACE] = u * dp
    dx[..., POINT_WEIGHT : POINT_WEIGHT + 1] += u * dv + slope * (w * dv + (t * dp).sum(axis=-1, keepdims=True))  # (4)
    return dx.reshape(x.shape)


def _points(x, eps):
    """Return t, p, w, v and u of (1), each (..., C, 3) or (..., C, 1)."""
    each = x.reshape(*x.shape[:-1], -1, len(BLADES))
    t, w = each[..., PLACE], each[..., POINT_WEIGHT : POINT_WEIGHT + 1]
    u = w / (w * w + eps)
    return t, u * t, w, u * w, u
