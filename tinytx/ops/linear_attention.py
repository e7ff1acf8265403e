r"""Attention without a softmax, in time linear in the length (Katharopoulos et al. 2020, arXiv:2006.16236).

Derivation
----------
The weight of key s for query t is a product of features, which are above 0, in place of the exponential of a score. Element by
element,

    phi(x) = [x > 0] (x + 1) + [x <= 0] e^x,
    a_ti = phi(q_ti),   b_si = phi(k_si)                                 (1)

Let m_ts be 1 where query t sees key s, and otherwise 0: in a causal model it sees the keys up to its own place, s <= S - T + t,
and otherwise all of them. The result is the mean of the values with these weights. The query leaves both of its sums, which
become a matrix M_t and a vector z_t of the keys alone. In a causal model they grow by one key at a time:

    M_tiw = sum_s m_ts b_si v_sw,   z_ti = sum_s m_ts b_si               (2)
    n_tw = sum_i a_ti M_tiw,   d_t = sum_i a_ti z_ti,
    y_tw = n_tw / d_t = (sum_s m_ts sum_i a_ti b_si v_sw) / (sum_s m_ts sum_i a_ti b_si)       (3)

So nothing of size T x S is computed. The code has M_t and z_t in one matrix, with a 1 behind each value, u_s = (v_s, 1).

Backward begins with the quotient:

    dn_tw = dy_tw / d_t,   dd_t = -sum_w dy_tw n_tw / d_t^2 = -sum_w dn_tw y_tw                (4)

n and d are linear in a_t,

    da_ti = sum_w M_tiw dn_tw + z_ti dd_t                                (5)

and in M_t and z_t, which hold b_s for each key that t sees. So key s hears of the queries that see it, in sums that run from the
end in a causal model:

    R_siw = sum_t m_ts a_ti dn_tw,   r_si = sum_t m_ts a_ti dd_t         (6)
    db_si = sum_w R_siw v_sw + r_si,   dv_sw = sum_i R_siw b_si          (7)

The slope of phi is 1 above 0, and below e^x = phi(x), which is at most 1 there: phi'(x) = min(phi(x), 1), and

    dq_ti = da_ti phi'(q_ti) = da_ti min(a_ti, 1),
    dk_si = db_si phi'(k_si) = db_si min(b_si, 1)                        (8)

Places are taken in chunks: a chunk's queries meet the keys of earlier chunks in (3) and (5) through M and z alone, and those of
their own by a small product under a triangle; (7) likewise, from the end. What is kept: q, k, v, d and y. Features and sums are
computed again, the sums in the order in which (5) and (7) want them.

With numbers
------------
All features are 1, so that a query sees the mean of the values up to its own.

>>> q, v = np.zeros((1, 1, 3, 1)), np.array([2.0, 4.0, 9.0]).reshape(1, 1, 3, 1)
>>> y, saved = linear_attention(q, q, v)
>>> y.ravel().tolist()
[2.0, 3.0, 5.0]
>>> dy = np.array([0.0, 0.0, 1.0]).reshape(1, 1, 3, 1)
>>> dq, dk, dv = linear_attention_backward(dy, saved)
>>> (3 * dk).round(6).ravel().tolist()  # v_s - y_3: a key with more weight pulls y_3 to its value
[-3.0, -1.0, 4.0]

The same with all weights: ``linear_attention`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_flag
from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape, elementwise

CHUNK = 64  # places whose scores are computed at a time


class Saved(NamedTuple):
    q: np.ndarray  # (B, H, T, K)
    k: np.ndarray
    v: np.ndarray
    d: np.ndarray  # (B, H, T, 1)
    y: np.ndarray
    causal: bool


@kernel
def _features(out, x):
    for i in range(x.size):
        out[i] = x[i] + x.dtype.type(1) if x[i] > 0 else np.exp(x[i])  # (1)


def features(x):
    """Return phi(x) of (1), of the shape of x.

    >>> features(np.array([-1.0, 0.0, 2.0])).round(3)
    array([0.368, 1.   , 3.   ])
    """
    return elementwise(_features, x)


def linear_attention(q, k, v, *, causal=True):
    """Return the mean of the values, with weights that are products of features.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    k : array (B, H, S, K), v : array (B, H, S, W), the dtype of q
    causal : bool
        A query sees the keys up to its own place. With fewer queries than keys, as in decoding, the queries are the last T places.

    Returns
    -------
    y : array (B, H, T, W)
        0 where all features are 0 in the dtype, as those of numbers below -104 in float32 are.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    causal = _check("linear_attention", q, k, v, causal)
    a, b, u = features(q), features(k), _with_ones(v)
    sums = np.empty((*q.shape[:3], u.shape[3]), q.dtype)
    for queries, keys, matrix in _from_the_start(b, u, q.shape[2], causal):
        here = a[:, :, queries]
        sums[:, :, queries] = here @ matrix + _lower(here, b[:, :, keys]) @ u[:, :, keys]  # (3)
    n, d = sums[..., :-1], sums[..., -1:]
    y = np.divide(n, d, out=np.zeros_like(n), where=d > 0)  # (3)
    return y, Saved(q, k, v, d, y, causal)


def linear_attention_backward(dy, saved):
    """Return (dq, dk, dv).

    Parameters
    ----------
    dy : array (B, H, T, W)
    saved : Saved
    """
    q, k, v, d, y, causal = saved
    check_gradient("linear_attention_backward", dy, y.shape, q.dtype, "y of shape", y.shape)
    a, b, u = features(q), features(k), _with_ones(v)
    dm = np.concatenate([dy, -(dy * y).sum(axis=3, keepdims=True)], axis=3)
    dm = np.divide(dm, d, out=np.zeros_like(dm), where=d > 0)  # (4)
    da, db, du = map(np.empty_like, (a, b, u))
    for queries, keys, matrix in _from_the_start(b, u, q.shape[2], causal):
        of_values = _lower(dm[:, :, queries], u[:, :, keys])
        da[:, :, queries] = dm[:, :, queries] @ matrix.swapaxes(2, 3) + of_values @ b[:, :, keys]  # (5)
    for queries, keys, matrix in _from_the_end(a, dm, k.shape[2], causal):
        ours, theirs = b[:, :, keys], u[:, :, keys]
        db[:, :, keys] = theirs @ matrix.swapaxes(2, 3) + _upper(theirs, dm[:, :, queries]) @ a[:, :, queries]  # (7)
        du[:, :, keys] = ours @ matrix + _upper(ours, a[:, :, queries]) @ dm[:, :, queries]  # (7)
    return da * np.minimum(a, 1), db * np.minimum(b, 1), np.ascontiguousarray(du[..., :-1])  # (8)


def linear_attention_weights(q, k, *, causal=True):
    """Return the weights (B, H, T, S), for pictures. The arguments are those of `linear_attention`."""
    causal = _check("linear_attention_weights", q, k, k, causal)
    scores = features(q) @ features(k).swapaxes(2, 3)
    if causal:
        scores *= np.tri(*scores.shape[2:], scores.shape[3] - scores.shape[2], dtype=scores.dtype)
    total = scores.sum(axis=3, keepdims=True)
    return np.divide(scores, total, out=np.zeros_like(scores), where=total > 0)


def _check(place, q, k, v, causal):
    """Return ``causal``; raise TypeError or ValueError unless arrays fit."""
    check_float(place, q=q, k=k, v=v)
    check_axes(place, "q", q, "(B, H, T, K)")
    check_axes(place, "k", k, "(B, H, S, K)")
    check_axes(place, "v", v, "(B, H, S, W)")
    (b, h, t, width), s = q.shape, k.shape[2]
    check_shape(place, "k", k, (b, h, s, width), "q of shape", q.shape)
    check_shape(place, "v", v, (b, h, s, v.shape[3]), "q and k of shapes", q.shape, "and", k.shape)
    if check_flag(place, "causal", causal) and t > s:
        raise ValueError(f"{place}: q has {t} places and k {s}, expected no more queries than keys: they are the last places")
    return causal


def _with_ones(v):
    """Return u (B, H, S, W + 1)."""
    return np.concatenate([v, np.ones_like(v[..., :1])], axis=3)


def _from_the_start(b, u, n_queries, causal):
    """Yield chunks of queries, their own chunk of keys, and (M, z) of all keys that each of them sees besides."""
    first = b.shape[2] - n_queries if causal else b.shape[2]  # the keys that all queries see
    matrix = b[:, :, :first].swapaxes(2, 3) @ u[:, :, :first]  # (2)
    for queries in _chunks(n_queries):
        keys = slice(first + queries.start, first + queries.stop) if causal else slice(0, 0)
        yield queries, keys, matrix
        if causal:
            matrix = matrix + b[:, :, keys].swapaxes(2, 3) @ u[:, :, keys]  # (2)


def _from_the_end(a, dm, n_keys, causal):
    """Yield chunks of queries, their own chunk of keys, and (R, r) of all queries that see each of these keys besides."""
    n_queries = a.shape[2]
    if not causal:
        yield slice(0, 0), slice(0, n_keys), a.swapaxes(2, 3) @ dm  # (6)
        return
    matrix, first = np.zeros((*a.shape[:2], a.shape[3], dm.shape[3]), a.dtype), n_keys - n_queries
    for queries in reversed(_chunks(n_queries)):
        yield queries, slice(first + queries.start, first + queries.stop), matrix
        matrix = matrix + a[:, :, queries].swapaxes(2, 3) @ dm[:, :, queries]  # (6)
    yield slice(0, 0), slice(0, first), matrix


def _chunks(n):
    return [slice(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]


def _lower(x, y):
    """Return the products of rows of x with the rows of y up to their own."""
    scores = x @ y.swapaxes(2, 3)
    return scores * np.tri(*scores.shape[2:], dtype=scores.dtype)


def _upper(x, y):
    """Return the products of rows of x with the rows of y from their own on."""
    scores = x @ y.swapaxes(2, 3)
    return scores * np.tri(*scores.shape[:1:-1], dtype=scores.dtype).T
