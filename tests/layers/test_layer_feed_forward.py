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
    np.testing.assert_allclose(layer.contract.weight.grad, y.reshape(-1, F).T @ dy.reshape(-1, D), rtol=1e-10, atol=1e-14)


class Watched(Tape):
    """Lists the layers that are called, one after the other."""

    calls = ()

    def call(self, layer, inputs, settings):
        self.calls = (*self.calls, layer)
        return super().call(layer, inputs, settings)


def test_one_operation_does_the_work_of_two_layers_unless_they_are_watched():
    """Catches a watcher that does not see the layers inside, and numbers that depend on whether somebody watches."""
    layer, found = FeedForward(D, F, rng=np.random.default_rng(0), dtype=np.float64), []
    x, dy = np.random.default_rng(1).normal(size=(2, B, T, D))
    for tape in (Tape(), Watched()):
        layer.zero_grad()
        found.append([layer(x, tape), layer.backward(dy, tape), *(p.grad for p in layer.parameters())])
    assert {layer.activation, layer.contract} < set(tape.calls)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
