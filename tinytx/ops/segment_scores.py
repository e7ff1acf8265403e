r"""Scores of queries and kinds of pairs: are two words of one segment? (Yang et al. 2019, XLNet, arXiv:1906.08237).

Derivation
----------
Each pair of a query t and a key s has a kind z_ts, one of N, and each kind has a vector u_n. In XLNet N is 2: both
words are of one segment, or they are not. So a model learns what it means to be of another segment, and needs no vector
for each segment. The score of a pair is the scaled product of the query with the vector of its kind. With K the width of both, the
scale is

    c = 1 / sqrt(K) if not given.                                        (1)

There are only T times N products, and the scores pick from them:

    G_tn = c sum_i q_ti u_ni,                                            (2)
    e_ts = G_{t, z_ts} = c sum_i q_ti u_{z_ts, i}.                       (3)

Backward: all keys of a kind have one element of row t of G. So with de_ts = ∂loss/∂e_ts

    dG_tn = sum_{s : z_ts = n} de_ts.                                    (4)

In (2) q_t occurs once for each kind, and u_n once for each query:

    dq_ti = c sum_n dG_tn u_ni,   du_ni = c sum_batch sum_t dG_tn q_ti.    (5)

u_n serves all rows of a batch, so du_n is also summed over them. Kinds have no gradient. In ``relative_scores.py`` the
kind of a pair is its distance, and no two keys of a query have the same: there (4) has one term.

With numbers
------------
One query and three keys, K = 1, u_0 = 10, u_1 = 20; the second key is of another segment:

>>> q, u = np.full((1, 1, 1, 1), 2.0), np.array([10.0, 20.0]).reshape(1, 2, 1)
>>> scores, saved = segment_scores(q, u, np.array([[[0, 1, 0]]]))
>>> scores.ravel().tolist()
[20.0, 40.0, 20.0]
>>> dq, du = segment_scores_backward(np.ones((1, 1, 1, 3)), saved)
>>> dq.item(), du.ravel().tolist()  # dq = 10 + 20 + 10
(40.0, [4.0, 2.0])

The same in plain NumPy: ``segment_scores`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number
from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_shape, contiguous


class Saved(NamedTuple):
    q: np.ndarray
    u: np.ndarray
    kinds: np.ndarray
    c: float


@kernel
def _pick(scores, g, kinds):
    """Write the element of g (B, H, T, N) that belongs to each pair's kind."""
    for b in range(scores.shape[0]):
        kinds_of_row = kinds[b if len(kinds) > 1 else 0]
        for h in range(scores.shape[1]):
            for t in range(scores.shape[2]):
                for s in range(scores.shape[3]):
                    scores[b, h, t, s] = g[b, h, t, kinds_of_row[t, s]]  # (3)


@kernel
def _add_up(dg, dscores, kinds):
    """Add the gradients of the scores to dg (B, H, T, N), by each pair's kind."""
    for b in range(dscores.shape[0]):
        kinds_of_row = kinds[b if len(kinds) > 1 else 0]
        for h in range(dscores.shape[1]):
            for t in range(dscores.shape[2]):
                for s in range(dscores.shape[3]):
                    dg[b, h, t, kinds_of_row[t, s]] += dscores[b, h, t, s]  # (4)


def segment_scores(q, u, kinds, *, scale=None):
    """Return the scaled product of each query with the vector of its pair's kind.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    u : array (H, N, K), the dtype of q
        A vector for each kind.
    kinds : integers (1 or B, T, S), each in 0..N-1
        z. For two segments, ``segments[:, :, None] != segments[:, None, :]`` as integers.
    scale : float, optional
        c in (1), above 0.

    Returns
    -------
    scores : array (B, H, T, S)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, a kind is out of its range, or ``scale`` is not above 0.

    Notes
    -----
    ``attention(q, k, v, scores)`` adds the scores to those of its keys: memory grows with T S, as for each bias.
    """
    place = "segment_scores"
    check_float(place, q=q, u=u)
    check_axes(place, "q", q, "(B, H, T, K)")
    check_axes(place, "u", u, "(H, N, K)")
    (b, h, t, width), n = q.shape, u.shape[1]
    check_shape(place, "u", u, (h, n, width), "q of shape", q.shape)
    kinds = contiguous(check_ids(place, kinds, n, what="kind"))
    if kinds.ndim != 3 or kinds.shape[0] not in (1, b) or kinds.shape[1] != t:
        expected = f"(1 or {b}, {t}, S) from q of shape {q.shape}"
        raise ValueError(f"{place}: kinds have shape {kinds.shape}, expected {expected}")
    c = 1 / math.sqrt(max(1, width)) if scale is None else scale
    c = q.dtype.type(check_number(place, "scale", c, "a finite number above 0", lambda c: 0 < c < math.inf))
    scores = np.empty((b, h, t, kinds.shape[2]), q.dtype)
    _pick(scores, contiguous(c * (q @ u.swapaxes(1, 2))), kinds)  # (2)
    return scores, Saved(q, u, kinds, c)


def segment_scores_backward(dy, saved):
    """Return (dq, du)."""
    q, u, kinds, c = saved
    shape = (*q.shape[:3], kinds.shape[2])
    check_gradient("segment_scores_backward", dy, shape, q.dtype, "q and kinds of shapes", q.shape, "and", kinds.shape)
    dg = np.zeros((*q.shape[:3], u.shape[1]), q.dtype)
    _add_up(dg, contiguous(dy), kinds)
    dg *= c
    return dg @ u, (dg.swapaxes(2, 3) @ q).sum(axis=0)  # (5)
