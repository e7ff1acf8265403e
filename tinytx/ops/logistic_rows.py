r"""Logistic rows: of some rows of a table, which go with a vector, and which do not? The loss of word2vec, in both forms.

Derivation
----------
A vector h, (D,), is scored against K rows of a table C, (V, D). Row j_k goes with h with probability sigma(s_k):

    s_k = sum_d h_d C_{j_k, d},   sigma(a) = 1 / (1 + e^-a).             (1)

With labels t_k, 1 for a row that goes with h and 0 for one that does not, the loss of h is

    l = - sum_k (t_k ln sigma(s_k) + (1 - t_k) ln sigma(-s_k))
      = sum_k (ln(1 + e^(s_k)) - t_k s_k),                               (2)

as -ln sigma(-s) = ln(1 + e^s) and -ln sigma(s) = ln(1 + e^s) - s. Its derivative by a score is

    g_k = ∂l/∂s_k = sigma(s_k) - t_k,                                    (3)

and (1) is linear in h and in the row, so

    ∂l/∂h_d = sum_k g_k C_{j_k, d},                                      (4)
    ∂l/∂C_vd = sum_{k : j_k = v} g_k h_d.                                (5)

A row that occurs several times collects as many contributions: (5) adds, it does not assign. All rows that do not occur
have gradient 0, so a step of descent costs what its K rows cost, however large the table is.

* Negative sampling (Mikolov et al. 2013, arXiv:1310.4546): j_1 is the word to be predicted, t_1 = 1; the other rows are
  drawn words, t_k = 0.
* Hierarchical softmax (Morin and Bengio 2005): words are the leaves of a binary tree, and the table has a row for each
  inner node. The rows are the nodes on the way to the word, t_k says to which side it goes there, and e^-l is the
  word's probability. As sigma(s) + sigma(-s) = 1 at each node, the probabilities of all words add up to 1.

The loss is the mean over the N vectors, as in (4) of ``cross_entropy.py``:

    loss = (1/N) sum_vectors l,
    dh_d = (dloss / N) ∂l/∂h_d,   dC_vd = (dloss / N) sum_vectors ∂l/∂C_vd.

What is kept: the arguments; the scores are
computed again.

With numbers
------------
h = (1, 0), and the rows (0, 1) and (ln 3, 0), of which the first goes with h. The scores are 0 and ln 3, so l = ln 2 + ln 4,
and g is -0.5 and 0.75.

>>> h, table = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [np.log(3), 0.0]])
>>> loss, saved = logistic_rows(h, table, [[0, 1]], [[1, 0]])
>>> dh, dtable = logistic_rows_backward(1.0, saved)
>>> round(loss, 4), dtable.round(4).tolist(), dh.round(4).tolist()
(2.0794, [[-0.5, 0.0], [0.75, 0.0]], [[0.824, -0.5]])

The same in plain NumPy: ``logistic_rows`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.kernel import exp, kernel
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, contiguous

NONE = -1  # in place of a row: nothing is asked here


class Saved(NamedTuple):
    h: np.ndarray  # (N, D)
    table: np.ndarray  # (V, D)
    rows: np.ndarray  # (N, K)
    labels: np.ndarray  # (N, K)
    count: int


@kernel
def _score(h, row):
    s = h.dtype.type(0)
    for d in range(h.shape[0]):
        s += h[d] * row[d]  # (1)
    return s


@kernel
def _forward(losses, h, table, rows, labels):
    for n in range(rows.shape[0]):
        losses[n] = h.dtype.type(0)
        for k in range(rows.shape[1]):
            if rows[n, k] != NONE:
                s = _score(h[n], table[rows[n, k]])
                signed = s if labels[n, k] == 0 else -s  # ln(1 + e^s) - s = ln(1 + e^-s)
                losses[n] += max(signed, h.dtype.type(0)) + math.log1p(exp(-abs(s)))  # (2)


@kernel
def _slopes(g, labels, scale):
    """Replace the scores of one vector by ``scale`` times the slopes."""
    one = g.dtype.type(1)
    for k in range(g.shape[0]):
        e = exp(-abs(g[k]))  # at most 1
        sigma = (one if g[k] > 0 else e) / (one + e)
        g[k] = scale * (sigma - g.dtype.type(labels[k]))  # (3)


@kernel
def _scores(g, h, table, rows):
    for k in range(rows.shape[0]):
        g[k] = _score(h, table[rows[k]]) if rows[k] != NONE else h.dtype.type(0)


@kernel
def _backward(dh, dtable, h, table, rows, labels, scale, g):
    for n in range(rows.shape[0]):
        _scores(g, h[n], table, rows[n])
        _slopes(g, labels[n], scale)
        for k in range(rows.shape[1]):
            j = rows[n, k]
            if j != NONE:
                for d in range(h.shape[1]):
                    dh[n, d] += g[k] * table[j, d]  # (4)
                    dtable[j, d] += g[k] * h[n, d]  # (5)


@kernel
def descend(words, table, contexts, rows, labels, rate, h, dh, g):
    """Take a step of plain gradient descent for each vector, one after the other, in place.

    Vector n is the mean of those rows of ``words`` that contexts[n] names, as in `tinytx.ops.pool`. A step is ``-rate`` times
    the gradient of (2), and the next vector sees what it changed. It reads and writes the rows that it names, and no others.
    All scores are computed first: a processor then waits for the memory of several rows at a time.

    Parameters
    ----------
    words, table : C-contiguous arrays (V, D) and (V', D), float32 or float64
        Both are written to.
    contexts, rows, labels : int64 arrays (N, C), (N, K) and (N, K)
        `NONE` stands for no row.
    rate : float of the arrays' dtype
    h, dh, g : arrays (D,), (D,) and (K,)
        Are written to.
    """
    for n in range(contexts.shape[0]):
        h[:], dh[:], size = h.dtype.type(0), h.dtype.type(0), 0
        for c in range(contexts.shape[1]):
            i = contexts[n, c]
            if i != NONE:
                size += 1
                for d in range(h.shape[0]):
                    h[d] += words[i, d]
        share = h.dtype.type(1) / h.dtype.type(max(1, size))
        for d in range(h.shape[0]):
            h[d] *= share
        _scores(g, h, table, rows[n])
        _slopes(g, labels[n], -rate)
        for k in range(rows.shape[1]):
            j = rows[n, k]
            if j != NONE:
                for d in range(h.shape[0]):
                    before = table[j, d]
                    dh[d] += g[k] * before  # (4)
                    table[j, d] = before + g[k] * h[d]  # (5)
        for c in range(contexts.shape[1]):
            i = contexts[n, c]
            if i != NONE:
                for d in range(h.shape[0]):
                    words[i, d] += share * dh[d]  # (4) of pool.py: each word of a mean gets its share


def logistic_rows(h, table, rows, labels, *, count=None):
    """Return the mean over vectors of the loss (2).

    Parameters
    ----------
    h : array (N, D), float32 or float64
    table : array (V, D), the dtype of h
    rows : integers (N, K)
        Rows of the table, each in 0..V-1, or -1 where nothing is asked.
    labels : integers (N, K)
        1 where the row goes with the vector, and 0 where it does not.
    count : int, optional
        What the sum is divided by, at least 1: N if not given. A shard of a batch gives the N of the whole batch.

    Returns
    -------
    loss : float
        In nats.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If a row or a label is out of range (the message has its position and value), shapes do not fit, or there is no
        vector and no ``count``.
    """
    place = "logistic_rows"
    check_float(place, h=h, table=table)
    check_axes(place, "h", h, "(N, D)")
    check_shape(place, "table", table, (*table.shape[:1], h.shape[1]), "V and h of shape", h.shape)
    rows = check_ids(place, rows, len(table), what="row", allowed=NONE)
    check_shape(place, "rows", rows, (len(h), *rows.shape[1:2]), "h of shape", h.shape, "and K")
    labels = check_ids(place, labels, 2, what="label")
    check_shape(place, "labels", labels, rows.shape, "rows of shape", rows.shape)
    if count is None and not len(h):
        raise ValueError(f"{place}: h has shape {h.shape}, so there is no mean: for a part of a batch give count")
    count = len(h) if count is None else check_whole(place, "count", count)
    losses = np.empty(len(h), h.dtype)
    saved = Saved(contiguous(h), contiguous(table), rows, labels, count)
    _forward(losses, *saved[:4])
    return float(losses.sum(dtype=np.float64)) / count, saved


def logistic_rows_backward(dloss, saved):
    """Return (dh, dtable): (N, D) and (V, D).

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    h, table, rows, labels, count = saved
    scale = h.dtype.type(check_number("logistic_rows_backward", "dloss", dloss) / count)
    dh, dtable = np.zeros_like(h), np.zeros_like(table)
    _backward(dh, dtable, h, table, rows, labels, scale, np.empty(rows.shape[1], h.dtype))
    return dh, dtable
