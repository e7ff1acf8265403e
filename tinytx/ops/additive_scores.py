r"""Additive scores, by which the first attention compared a query with keys (Bahdanau et al. 2014, arXiv:1409.0473).

Derivation
----------
A net with one hidden layer compares query q_t with key k_s, both of width A. Its weights w are the same for all pairs:

    u_tsa = tanh(q_ta + k_sa)                                            (1)
    e_ts = sum_a w_a u_tsa                                               (2)

In the paper q_t is W s_(t-1), k_s is U h_s, and w is called v. These products are not part of the operation: there is one
for each query and one for each key, whereas (1) is computed for each pair. Luong's "concat" score, v . tanh(W [q; k]), is
the same, with W cut in two (Luong et al. 2015, arXiv:1508.04025).

By (2) of ``tanh.py`` the slope of tanh is 1 - u^2, and so

    ∂u_tsa/∂q_ta = ∂u_tsa/∂k_sa = (1 - u_tsa) (1 + u_tsa)

With g for what reaches a sum q_ta + k_sa,

    g_tsa = de_ts w_a (1 - u_tsa) (1 + u_tsa)                            (3)

A query is part of the sums with all keys, a key of those with all queries, and w of all scores of a batch:

    dq_ta = sum_s g_tsa,   dk_sa = sum_heads sum_t g_tsa,   dw_a = sum_batch sum_t sum_s de_ts u_tsa      (4)

Each head has its own queries and its own w. H heads may share the keys of G groups: head h reads group h // (H/G), as in
``attention.py``. A key hears of all heads that read it: sum_heads is the sum over those of its group.

What is kept: q, k and w. u has A elements for each pair, so backward computes it again. Where de_ts is 0, as at padding,
nothing is computed or read.

With numbers
------------
One query and one key, A = 1: u = tanh(q + k) = 0.6, and its slope is 0.4 times 1.6.

>>> q, k = np.full((1, 1, 1, 1), np.arctanh(0.6)), np.zeros((1, 1, 1, 1))
>>> scores, saved = additive_scores(q, k, np.array([[2.0]]))
>>> dq, dk, dweight = additive_scores_backward(np.ones((1, 1, 1, 1)), saved)
>>> scores.round(4).item(), dq.round(4).item(), dk.round(4).item(), dweight.round(4).item()
(1.2, 1.28, 1.28, 0.6)

The same in plain NumPy: ``additive_scores`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import exp, kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, check_shape, contiguous


@kernel
def _forward(scores, q, k, weight):
    one, two, shared = q.dtype.type(1), q.dtype.type(2), q.shape[1] // max(1, k.shape[1])
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            w = weight[h]
            for t in range(q.shape[2]):
                query = q[b, h, t]
                for s in range(k.shape[2]):
                    key, score = k[b, h // shared, s], q.dtype.type(0)
                    for a in range(w.size):
                        u = two / (one + exp(-two * (query[a] + key[a]))) - one  # (1)
                        score += w[a] * u  # (2)
                    scores[b, h, t, s] = score


@kernel
def _backward(dq, dk, dweight, u, dscores, q, k, weight):
    """Add to gradients that are 0; dweight (B, H, A) is that of each row of the batch, ``u`` (A,) is room for (1)."""
    one, two, shared = q.dtype.type(1), q.dtype.type(2), q.shape[1] // max(1, k.shape[1])
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            w, dw = weight[h], dweight[b, h]
            for t in range(q.shape[2]):
                query, dquery = q[b, h, t], dq[b, h, t]
                for s in range(k.shape[2]):
                    de, key, dkey = dscores[b, h, t, s], k[b, h // shared, s], dk[b, h // shared, s]
                    if de != 0:
                        for a in range(w.size):
                            u[a] = two / (one + exp(-two * (query[a] + key[a]))) - one  # (1)
                        for a in range(w.size):
                            dw[a] += de * u[a]  # (4)
                            u[a] = de * w[a] * (one - u[a]) * (one + u[a])  # (3)
                        for a in range(w.size):
                            dquery[a] += u[a]  # (4)
                            dkey[a] += u[a]


def additive_scores(q, k, weight, *, mask=None):
    """Return the score of each query with each key.

    Parameters
    ----------
    q : array (B, H, T, A), float32 or float64
    k : array (B, G, S, A), the dtype of q
        G divides H.
    weight : array (H, A), the dtype of q
        w of each head.
    mask : boolean array that broadcasts to (B, H, T, S), optional
        False where a key cannot be meant: its score is -inf, so that its share of a softmax is 0. It has no gradient,
        whatever ``dy`` says of it.

    Returns
    -------
    scores : array (B, H, T, S)
    saved : tuple of arrays
        q, k, weight, and the mask or None.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.

    Notes
    -----
    ``attention(q[..., :0], k[..., :0], v, scores)`` is the attention with these scores: a product of vectors without
    elements is 0, so the bias alone is left.
    """
    check_float("additive_scores", q=q, k=k, weight=weight)
    check_axes("additive_scores", "q", q, "(B, H, T, A)")
    check_axes("additive_scores", "k", k, "(B, G, S, A)")
    (b, h, t, width), (_, g, s, _) = q.shape, k.shape
    check_shape("additive_scores", "k", k, (b, g, s, width), "q of shape", q.shape)
    check_shape("additive_scores", "weight", weight, (h, width), "q of shape", q.shape)
    if h % g if g else h:
        raise ValueError(f"additive_scores: k {k.shape} has {g} heads, which do not divide the {h} of q {q.shape}")
    q, k, weight = (contiguous(array) for array in (q, k, weight))
    scores = np.empty((b, h, t, s), q.dtype)
    mask = None if mask is None else check_mask("additive_scores", mask, scores.shape)
    _forward(scores, q, k, weight)
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    return scores, (q, k, weight, mask)


def additive_scores_backward(dy, saved):
    """Return (dq, dk, dweight)."""
    q, k, weight, mask = saved
    shape = (*q.shape[:3], k.shape[2])
    check_gradient("additive_scores_backward", dy, shape, q.dtype, "q and k of shapes", q.shape, "and", k.shape)
    dq, dk, dweight = np.zeros_like(q), np.zeros_like(k), np.zeros((len(q), *weight.shape), q.dtype)
    dy = dy if mask is None else np.where(mask, dy, q.dtype.type(0))
    _backward(dq, dk, dweight, np.empty(q.shape[3], q.dtype), contiguous(dy), q, k, weight)
    return dq, dk, dweight.sum(axis=0)
