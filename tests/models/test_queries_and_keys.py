"""Queries and keys are what an attention compares: the terms of their scores add up to what its weights are the softmax of."""

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Tape
from tinytx.layers import HashedSelfAttention, MultiHeadAttention, Relative
from tinytx.state import State

NOT_COMPARED = {"ntm"}  # its heads find rows by the angle of a key, and by where they were


class Asked(Tape):
    """Asks each attention for its weights, and for what it compares."""

    def __init__(self):
        super().__init__()
        self.said = []

    def call(self, layer, inputs, settings):
        if hasattr(layer, "attention_weights"):
            compared = layer.queries_and_keys(*inputs, **settings) if hasattr(layer, "queries_and_keys") else None
            self.said.append((layer.attention_weights(*inputs, **settings), compared))
        return super().call(layer, inputs, settings)

    def push(self, layer, saved):
        pass


def scores_of(compared):
    """Return the sums (B, H, T, S) of the terms of each pair, by the formula in the docstring of `Compared`."""
    q, factors = compared.queries[:, :, :, None], np.asarray(compared.factors)
    k = np.repeat(compared.keys, q.shape[1] // compared.keys.shape[1], axis=1)[:, :, None]
    factors = factors[:, None, None] if factors.ndim else factors
    return (factors * (np.tanh(q + k) if compared.additive else q * k)).sum(axis=-1)


def uneven(weights, scores):
    """Return how far weights are from those of the scores: 0 where any two keys that a query sees are as exp(score) to exp(score)."""
    assert scores.shape == weights.shape
    seen = weights > 0
    logs = np.log(np.where(seen, weights, 1)) - scores
    high, low = (np.where(seen, logs, away).reshape(-1, logs.shape[-1]) for away in (-np.inf, np.inf))
    return (high.max(axis=1) - low.min(axis=1)).max()


@pytest.mark.parametrize("name", MODEL_CASES)
def test_of_every_model(name):
    """Catches queries before they are rotated, a scale or a bias of queries that is left out, heads in another order."""
    case, tape = MODEL_CASES[name](np.float64), Asked()
    case.task.loss(*case.batch, tape=tape)
    for weights, compared in tape.said:
        if compared is None:
            assert name in NOT_COMPARED
        else:
            scores = scores_of(compared)
            if "without a softmax" in compared.besides:
                assert uneven(weights, np.log(scores)) < 1e-9
            off = uneven(weights, scores)
            assert (off < 1e-9) == (not compared.besides), f"{name}: off by {off:.3g}, and besides is {compared.besides!r}"


def test_one_round_of_hashes():
    """The keys of a Reformer are its queries with length 1; catches keys that are shown as queries."""
    layer = HashedSelfAttention(6, 2, n_buckets=2, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(2, 5, 6))
    compared = layer.queries_and_keys(x)
    assert not compared.besides and uneven(layer.attention_weights(x), scores_of(compared)) < 1e-9
    np.testing.assert_allclose((compared.keys**2).sum(axis=-1), 1, rtol=1e-3)


def test_queries_of_relative_attention():
    """What the distance adds is left out; the bias of all queries is not."""
    core = Relative(6, 2, 3, rng=np.random.default_rng(0), dtype=np.float64)
    q, k = np.random.default_rng(1).normal(size=(2, 1, 2, 4, 3))
    compared = core.compared(q, k, k)
    np.testing.assert_array_equal(compared.queries, q + core.content_bias.data[:, None])
    np.testing.assert_array_equal(compared.keys, k)


def test_a_state_is_refused():
    """Keys would be added to it twice."""
    layer = MultiHeadAttention(4, 2, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="MultiHeadAttention: queries_and_keys got a state, expected none"):
        layer.queries_and_keys(np.ones((1, 2, 4), np.float32), state=State())
