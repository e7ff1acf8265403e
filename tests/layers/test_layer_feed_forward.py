"""The feed-forward layer: what it keeps, and what it makes again."""

import numpy as np
import pytest

from tinytx import Tape
from tinytx.layers import FeedForward
from tinytx.layers.feed_forward import ACTIVATIONS

B, T, D, F = 2, 3, 4, 10


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_keeps_one_inner_array(activation, dropout):
    """Catches an activation that is kept beside its input; a dropped one differs from it, and is kept as well."""
    layer = FeedForward(D, F, activation=activation, dropout=dropout, rng=np.random.default_rng(0), dtype=np.float64)
    tape = Tape(seed=1)
    layer(np.ones((B, T, D)), tape)
    kept = sum(size for _, _, size in tape.kept())
    assert kept == 8 * B * T * (D + F * (2 if dropout else 1))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_what_is_made_again_is_the_same(activation):
    """Catches an input of ``contract`` that is made again without its activation, in the weight's gradient alone."""
    rng = np.random.default_rng(0)
    layer = FeedForward(D, F, activation=activation, rng=rng, dtype=np.float64)
    x, dy, tape = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, D)), Tape()
    layer(x, tape)
    layer.backward(dy, tape)
    y = ACTIVATIONS[activation][0](layer.expand(x))[0]
    np.testing.assert_array_equal(layer.contract.weight.grad, y.reshape(-1, F).T @ dy.reshape(-1, D))
