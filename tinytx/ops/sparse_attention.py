r"""Attention of a query to several sets of keys with a set's tiles alone computed (Child et al. 2019, arXiv:1904.10509).

Derivation
----------
A sparse pattern is a union of sets: under `strided`, query t sees the last l places, and the places t - l, t - 2l, ..; under
`fixed`, the sequence is cut into blocks of l, and t sees what is before it in its own block, and the last a places of each
earlier block. The sets of one query do not overlap. Let N_ts be 1 where s is in the first set of query t, F_ts the same of the
second, and c the scale of the scores. The attention of a head is one softmax over the union,

    A_ts = c sum_i q_ti k_si
    O_ts = N_ts + F_ts
    h_tj = sum_s O_ts e^(A_ts) v_sj / sum_s O_ts e^(A_ts).

`tinytx.ops.attention` gives the output and the log-sum-exp over one set, and ``merge.py`` makes of both one softmax again, with
the gradients of each. So what is left is to compute a set without the tiles that it does not have. The first set is a band
beside the diagonal. The second is attention among rows that were picked or put into another order: with indices a of queries
and b of keys,

    q'_ui = q_{a_u, i},   k'_ri = k_{b_r, i},   v'_rj = v_{b_r, j},
    A'_ur = c sum_i q'_ui k'_ri                                          (2)

Let F'_ur be F of query a_u and key b_r. Each set adds to the denominator, and the merged output is

    x_t = sum_s N_ts e^(A_ts),   x'_u = sum_r F'_ur e^(A'_ur),
    Z_t = x_t + sum_u [a_u = t] x'_u,
    y_tj = (sum_s N_ts e^(A_ts) v_sj + sum_u [a_u = t] sum_r F'_ur e^(A'_ur) v'_rj) / Z_t = h_tj        (1)

Backward is that of attention in each set, with weights of the union, P and P'; D_t is the sum of (9) of ``attention.py``, which
the sets share:

    P_ts = N_ts e^(A_ts) / Z_t,   P'_ur = F'_ur e^(A'_ur) / Z_{a_u}
    D_t = sum_j dy_tj y_tj
    E_ts = P_ts (sum_j dy_tj v_sj - D_t)
    dA'_ur = P'_ur (sum_j dy_{a_u, j} v'_rj - D_{a_u})
    dq'_ui = c sum_r dA'_ur k'_ri,   dk'_ri = c sum_u dA'_ur q'_ui,   dv'_rj = sum_u P'_ur dy_{a_u, j}

A row that was picked hands its gradient to where it came from, and gets that of the first set there, too:

    dq_ti = c sum_s E_ts k_si + sum_u [a_u = t] dq'_ui,
    dk_si = c sum_t E_ts q_ti + sum_r [b_r = s] dk'_ri,
    dv_sj = sum_t P_ts dy_tj + sum_r [b_r = s] dv'_rj                    (3)

Places t - l, t - 2l, .. have the remainder of t by l. Put all places of one remainder behind each other, and the set of a query
is what stands before it in its own part, of T / l places: tiles beside the diagonal are empty. The ends of blocks are T a / l
rows, and a query sees the first (t // l) a of them. With l near sqrt(T) both sets, and the last l places, are near T sqrt(T)
scores.

Dropout of the weights leaves Z as it is, so that (1) drops each weight of the union by itself; each set has its own mask.

The same as one softmax under a mask: ``sparse_attention`` in ``plain.py``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinytx.arguments import ROWS, check_choice, check_whole
from tinytx.ops.attention import attention, attention_backward
from tinytx.ops.attention_patterns import CAUSAL, Band, Blocks, Documents, Pattern
from tinytx.ops.attention_saved import checked
from tinytx.ops.merge import merge, merge_backward
from tinytx.shapes import check_gradient

KINDS = "strided", "fixed"


class KeySet(NamedTuple):
    """Some queries and keys, in some order, and who sees whom.

    Attributes
    ----------
    pattern : Pattern
        Of places in the order of ``keys``.
    queries, keys : integers (T',), (S',), or None
        a and b of (2). None for all of them in their own order.
    """

    pattern: Pattern
    queries: np.ndarray | None = None
    keys: np.ndarray | None = None


@dataclass(frozen=True)
class _Earlier(Pattern):
    """Keys are the ends of blocks, ``n_ends`` of each; a query sees those of the blocks before its own."""

    size: int
    n_ends: int
    n_queries: int

    def _seen(self, places, n_keys):
        return (places + self.n_queries - n_keys) // self.size * self.n_ends

    def spans(self, rows, start, stop, n_keys):
        seen = min(n_keys, self._seen(stop - 1, n_keys))
        return [(0, seen)] if seen > 0 else []

    def mask(self, rows, places, keys):
        n_keys = self.n_queries // self.size * self.n_ends + max(0, self.n_queries % self.size - self.size + self.n_ends)
        return np.arange(keys.start, keys.stop) < self._seen(np.arange(places.start, places.stop), n_keys)[:, None]


@lru_cache(16)
def key_sets(kind, n, stride, n_ends=1):
    """Return the sets of keys of a sequence of n places.

    Parameters
    ----------
    kind : {"strided", "fixed"}
    n : int
    stride : int
        l.
    n_ends : int
        a, the places at the end of each block that later blocks see, at most l; of the fixed kind only.

    Returns
    -------
    tuple of KeySet
    """
    places = np.arange(n)
    if kind == "strided":
        order = np.argsort(places % stride, kind="stable")
        of_remainder = Documents((places % stride)[order][None]) & Band(None, -1)  # itself is among the last l
        return KeySet(Band(stride - 1, 0)), KeySet(of_remainder, order, order)
    ends = np.flatnonzero(places % stride >= stride - n_ends)
    return KeySet(CAUSAL & Blocks(stride)), KeySet(_Earlier(stride, n_ends, n), None, ends)


def sparse_attention(q, k, v, *, kind, stride, n_ends=1, scale=None, dropout=0.0, key=None, first_row=0):
    """Return causal attention to some of the keys.

    Parameters
    ----------
    q : array (B, H, T, K), float32 or float64
    k : array (B, G, T, K), v : array (B, G, T, W), the dtype of q
        As for `tinytx.ops.attention`, with as many keys as queries.
    kind : {"strided", "fixed"}
    stride : int
        l, near sqrt(T).
    n_ends : int
        a: of how many places at the end of its block later blocks see; at most l. Of the fixed kind only.
    scale, dropout, key, first_row
        As for `tinytx.ops.attention`.

    Returns
    -------
    y : array (B, H, T, W)
    saved : tuple

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or a number is out of its range.
    """
    whole = checked("sparse_attention", q, k, v, None, None, CAUSAL, scale, (dropout, key, first_row), True)
    dropout, key, first_row = whole.dropout
    if k.shape[2] != q.shape[2]:
        raise ValueError(f"sparse_attention: k has shape {k.shape}, expected {q.shape[2]} keys from q of shape {q.shape}")
    check_choice("sparse_attention", "kind", kind, KINDS)
    stride = check_whole("sparse_attention", "stride", stride, 1, ROWS[1])
    n_ends = check_whole("sparse_attention", "n_ends", n_ends, 1, stride)
    sets, parts = key_sets(kind, q.shape[2], stride, n_ends), []
    for i, each in enumerate(sets):
        parts.append(
            attention(
                _pick(q, each.queries), _pick(k, each.keys), _pick(v, each.keys), pattern=each.pattern, scale=whole.scale,
                dropout=dropout, key=None if key is None else (key + i) % 2**64, first_row=first_row, log_sum_exp=True,
            )  # fmt: skip
        )  # (2)
    ys, lses = (
        np.stack([_put_back(part[0][j], each.queries) for part, each in zip(parts, sets)]) for j in (0, 1)
    )
    (y, _), merged = merge(ys, lses)  # (1)
    return y, (sets, [saved for _, saved in parts], merged, q, k, v)


def sparse_attention_backward(dy, saved):
    """Return (dq, dk, dv).

    Parameters
    ----------
    dy : array (B, H, T, W)
    saved : tuple
    """
    sets, kept, merged, q, k, v = saved
    check_gradient("sparse_attention_backward", dy, merged.y.shape, q.dtype, "y of shape", merged.y.shape)
    dys, dlses = merge_backward((dy, np.zeros(dy.shape[:-1], dy.dtype)), merged)  # (1)
    dq, dk, dv = map(np.zeros_like, (q, k, v))
    for each, of_set, dy_set, dlse in zip(sets, kept, dys, dlses):
        parts = attention_backward((_pick(dy_set, each.queries), _pick(dlse, each.queries)), of_set)
        for total, part, rows in zip((dq, dk, dv), parts, (each.queries, each.keys, each.keys)):
            total[:, :, slice(None) if rows is None else rows] += part  # (3): no row is twice in a set
    return dq, dk, dv


def _pick(x, rows):
    """Return the rows (B, H, rows, ...) of an array."""
    return x if rows is None else np.ascontiguousarray(x[:, :, rows])


def _put_back(x, rows):
    """Return the rows in the order that `_pick` found."""
    if rows is None:
        return x
    y = np.empty_like(x)
    y[:, :, rows] = x
    return y
