"""Faults in scaled dot-product attention."""

import math

import numpy as np

from bug_zoo.specimen import MUTANT, Specimen, draw, fault
from tinytx import ops


def dq_unscaled(dy, saved):
    """dQ without the 1/sqrt(K) of the scores.

    A mutant, hidden by heads of width 1, and from training by Adam.
    """
    dq, dk, dv = ops.attention_backward(dy, saved)
    return dq * math.sqrt(saved.q.shape[-1]), dk, dv


def dk_unscaled(dy, saved):
    """dK without the 1/sqrt(K) of the scores.

    A mutant, hidden by heads of width 1, and from training by Adam.
    """
    dq, dk, dv = ops.attention_backward(dy, saved)
    return dq, dk * math.sqrt(saved.q.shape[-1]), dv


def dv_undropped(dy, saved):
    """dV from the attention weights as they were before dropout.

    Found in Numpy-Transformer, hidden by dropout 0.
    """
    dq, dk, _ = ops.attention_backward(dy, saved)
    return dq, dk, ops.attention_backward(dy, ops.attention(saved.q, saved.k, saved.v)[1])[2]


def softmax_of_dropped(dy, saved):
    """The softmax's backward given the weights as they are after dropout.

    A mutant, hidden by dropout 0: the other half of the same confusion as `dv_undropped`.
    """
    p, scale = ops.attention_weights(saved), 1 / math.sqrt(saved.q.shape[-1])
    da = scale * ops.softmax_backward(dy @ saved.v.swapaxes(2, 3), p)
    return da @ saved.k, da.swapaxes(2, 3) @ saved.q, ops.attention_backward(dy, saved)[2]


def all_ones(q, k, v):
    """Attention whose softmax runs over an axis of length 1, so that every weight is 1.

    Found in numpy-ml, where the weights had shape (n, h, 1, 1), and hidden by a test with one query and one key. The
    gradient belongs to the function, and no gradient check will object.
    """
    return np.repeat(v.sum(axis=2, keepdims=True), q.shape[2], axis=2), (q, k, v)


def all_ones_backward(dy, saved):
    q, k, v = saved
    return np.zeros_like(q), np.zeros_like(k), np.repeat(dy.sum(axis=2, keepdims=True), v.shape[2], axis=2)


def formula(q, k, v):
    """Return attention as the paper writes it, in equation 1."""
    weights = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]))
    return weights / weights.sum(axis=-1, keepdims=True) @ v


def dropped(q, k, v):
    """Attention with dropout."""
    return ops.attention(q, k, v, dropout=0.3, key=5)


B, H, T, S, K = 2, 1, 3, 4, 5
QKV = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K, seed=1)
NARROW = draw(B, H, T, 1), draw(B, H, S, 1), draw(B, H, S, 1, seed=1)
ONE = draw(B, H, 1, K), draw(B, H, 1, K, seed=1), draw(B, H, 1, K, seed=2)

ATTENTION = Specimen(ops.attention, QKV, ops.attention_backward)
DROPPED = Specimen(dropped, QKV, ops.attention_backward)

FAULTS = [
    fault(
        "attention's scale missing in dQ", ATTENTION, {"backward": dq_unscaled},
        found_in=MUTANT, hidden_by="heads of width 1", fails=("q",),
        says="a factor sqrt(5), a size of this problem too many", unseen={"inputs": NARROW},
    ),
    fault(
        "attention's scale missing in dK", ATTENTION, {"backward": dk_unscaled},
        found_in=MUTANT, hidden_by="heads of width 1", fails=("k",),
        says="a factor sqrt(5), a size of this problem too many", unseen={"inputs": NARROW},
    ),
    fault(
        "dV from weights before dropout", DROPPED, {"backward": dv_undropped},
        found_in="Numpy-Transformer", hidden_by="dropout 0", fails=("v",), unseen={"target": ops.attention},
    ),
    fault(
        "softmax's backward given weights after dropout", DROPPED, {"backward": softmax_of_dropped},
        found_in=MUTANT, hidden_by="dropout 0", fails=("q", "k"), unseen={"target": ops.attention},
    ),
    fault(
        "attention weights all 1", ATTENTION, {"target": all_ones, "backward": all_ones_backward},
        found_in="numpy-ml", hidden_by="one query and one key", caught_by="formula", settings={"formula": formula},
        unseen={"inputs": ONE}, unseen_by="formula",
    ),
]
