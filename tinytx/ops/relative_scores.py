r"""Scores of queries and distances: attention tells places apart by their distance (Dai et al. 2019, arXiv:1901.02860).

Derivation
----------
T queries stand at the last T of S places, so that query t stands at place p_t, and key s at place s:

    p_t = S - T + t

Each distance p_t - s has a vector, the same for all pairs of places. Distances may be below 0: then the key stands after the
query. Row r_j is the vector of the distance j - a, where a is how many distances below 0 have one (``ahead``). The score of a
pair is the scaled product of the query with the vector of their distance; the factor is c = 1 / sqrt(K) if it is not given, with
K the width of both. A pair whose distance has no vector gets the score 0.

Computed so, each pair has a product of its own. But there are only T times as many products as distances:

    G_tj = c sum_i q_ti r_ji                                             (1)
    e_ts = [p_t - s + a >= 0] G_{t, p_t - s + a}
         = c sum_j [j - a = p_t - s] sum_i q_ti r_ji                     (2)

(1) is a product of two matrices. (2) reads row t of G backwards, from another column on for each t, and computes
nothing. The paper's program moves whole rows of an array by a trick of padding and reshaping ("relative shift"). Where
no distance belongs to a pair, the trick leaves numbers of another row, which a mask must hide; an index does not.

Backward: in row t, (2) takes each element of G at most once, G_tj for the key s = p_t + a - j, if there is such a key:

    dG_tj = [0 <= p_t + a - j < S] de_{t, p_t + a - j}                   (3)

In (1) q_t occurs once for each distance, and r_j once for each query, and it serves all rows of a batch:

    dq_ti = c sum_j dG_tj r_ji,   dr_ji = c sum_batch sum_t dG_tj q_ti   (4)

What is kept: q and r. G is as large as the scores, and to compute (3) and (4) it is not needed.

With numbers
------------
Two queries at two places, K = 1, r_0 = 10, r_1 = 20. The first query sees itself at distance 0; the second one sees a
key at distance 1 and itself at distance 0. The first query and the second key have the distance -1, which has no vector:

>>> q, r = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.array([10.0, 20.0]).reshape(1, 2, 1)
>>> scores, saved = relative_scores(q, r)
>>> scores[0, 0].tolist()
[[10.0, 0.0], [40.0, 20.0]]
>>> dq, dr = relative_scores_backward(np.ones((1, 1, 2, 2)), saved)
>>> dq.ravel().tolist(), dr.ravel().tolist()  # dr_0 = 1 + 2
([10.0, 30.0], [3.0, 2.0])

The same in plain NumPy: ``relative_scores`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.arguments import INT64, check_number, check_whole
from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape, contiguous


class Saved(NamedTuple):
    q: np.ndarray
    r: np.ndarray
    ahead: int
    c: float


@kernel
def _by_key(scores, g, h, c, ahead):
    """Write c g (B, T, R), a column for each distance, into head h of scores (B, H, T, S), a column for each key."""
    n_queries, n_keys = scores.shape[2:]
    for b in range(scores.shape[0]):
        for t in range(n_queries):
            row, products, column = scores[b, h, t], g[b, t], n_keys - n_queries + t + ahead  # of key 0
            n = max(0, min(n_keys, column + 1))
            for s in range(n):
                row[s] = c * products[column - s]  # (2)
            row[n:] = 0


@kernel
def _by_distance(dg, dscores, h, c, ahead):
    """Write c dG (B, T, R), by the gradient of head h of the scores (B, H, T, S)."""
    n_queries, n_keys = dscores.shape[2:]
    for b in range(dscores.shape[0]):
        for t in range(n_queries):
            row, products, column = dscores[b, h, t], dg[b, t], n_keys - n_queries + t + ahead  # of key 0
            products[:] = 0
            for s in range(max(0, min(n_keys, column + 1))):
                products[column - s] = c * row[s]  # (3), c of (4)


def relative_scores(q, r, *, ahead=0, scale=None):
    """Return the scaled product of each query with the vector of its distance to each key.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    r : array (H, R, K), the dtype of q
        The vectors of the distances -``ahead`` .. S - 1, in this order: R = ``ahead`` + S.
    ahead : int
        How many distances below 0 have a vector. It is 0 in a causal model, and T - 1 at most.
    scale : float, optional
        c of (1), above 0.

    Returns
    -------
    scores : array (B, H, T, S)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or a number is out of its range.

    Notes
    -----
    ``attention(q, k, v, scores)`` adds the scores to those of its keys. Scores have an element for each pair, as a bias
    of attention has: memory grows with T S. Beside them there is one array (B, T, R) at a time, for the head at work.
    """
    place = "relative_scores"
    check_float(place, q=q, r=r)
    check_axes(place, "q", q, "(B, H, T, K)")
    check_axes(place, "r", r, "(H, R, K)")
    (b, h, t, width), n = q.shape, r.shape[1]
    check_shape(place, "r", r, (h, n, width), "q of shape", q.shape)
    ahead = check_whole(place, "ahead", ahead, *INT64)
    if not 0 <= ahead <= n:
        raise ValueError(f"{place}: ahead is {ahead}, expected 0 to {n}, the number of distances of r {r.shape}")
    c = 1 / math.sqrt(max(1, width)) if scale is None else scale
    c = q.dtype.type(check_number(place, "scale", c, "a finite number above 0", lambda c: 0 < c < math.inf))
    scores = np.empty((b, h, t, n - ahead), q.dtype)

    def of_head(head):
        _by_key(scores, np.matmul(q[:, head], r[head].T, order="C"), head, c, ahead)  # (1)

    workers.map(of_head, range(h))
    return scores, Saved(q, r, ahead, c)


def relative_scores_backward(dy, saved):
    """Return (dq, dr)."""
    q, r, ahead, c = saved
    shape = (*q.shape[:3], r.shape[1] - ahead)
    check_gradient("relative_scores_backward", dy, shape, q.dtype, "q and r of shapes", q.shape, "and", r.shape)
    dy, dq, dr = contiguous(dy), np.empty_like(q), np.empty_like(r)

    def of_head(head):
        dg = np.empty((len(q), q.shape[2], r.shape[1]), q.dtype)
        _by_distance(dg, dy, head, c, ahead)
        dq[:, head] = dg @ r[head]  # (4)
        dr[head] = dg.reshape(-1, r.shape[1]).T @ q[:, head].reshape(-1, q.shape[3])

    workers.map(of_head, range(q.shape[1]))
    return dq, dr
