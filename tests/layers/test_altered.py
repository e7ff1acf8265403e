"""Layers of one's own, and layers of which a method was replaced, do what they say, also where one operation does the work of several layers."""

import functools

import numpy as np
import pytest
from blocks import make_block
from cases import Seeded

from tinytx.core import Layer, Tape
from tinytx.layers import Activation, Dropout, FeedForward, LayerNorm, Linear, Residual
from tinytx.members import is_altered
from tinytx.testing import check_layer


def filled(layer, seed=0):
    make = Seeded(seed)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.6)
    return layer


def block(activation="gelu_tanh"):
    return filled(make_block(6, 2, 10, activation=activation, rng=np.random.default_rng(0), dtype=np.float64))


def doubled(layer):
    """Replace both methods on the object: the layer gives, and gives back, twice as much."""
    forward, backward = layer.forward, layer.backward

    def twice(dy, tape):
        dx = backward(dy, tape)
        return tuple(2 * part for part in dx) if isinstance(dx, tuple) else 2 * dx

    layer.forward, layer.backward = lambda *inputs, **settings: 2 * forward(*inputs, **settings), twice
    return layer


class Watched(Tape):
    """Sees each call, so that each layer is called."""

    def call(self, layer, inputs, settings):
        return super().call(layer, inputs, settings)


def of_a_step(layer, x, dy, tape):
    """Return y and all gradients."""
    layer.zero_grad()
    y = layer(x, tape)
    found = [y, layer.backward(dy, tape), *(parameter.grad for parameter in layer.parameters())]
    tape.check_empty()
    return found


def compare(layer):
    """Compare a step with one in which each layer is called, and y with that without a tape."""
    x, dy = np.random.default_rng(1).normal(size=(2, 3, 5, 6))
    found = of_a_step(layer, x, dy, Tape())
    for one, other in zip(found, of_a_step(layer, x, dy, Watched()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found[0], layer(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("path", [path for path, _ in block().named_layers() if path])
def test_a_layer_that_was_changed_is_called(path):
    """Catches an operation, or a setting of a backward, that goes by a layer's class where the object does something else."""
    layer, x = block(), Seeded(1).array(1, 3, 6)
    part, before = dict(layer.named_layers())[path], layer(x)
    assert not is_altered(part)
    assert is_altered(doubled(part))
    assert abs(layer(x) - before).max() > 1e-3
    compare(layer)


@pytest.mark.parametrize("part", ["activation", "dropout", "contract"])
def test_a_backward_alone_that_was_replaced_is_called(part):
    """And no more is kept: watchers replace backwards to see them, and show what an ordinary step keeps."""
    layer, x, before, tape, called = block(), np.ones((1, 3, 6)), Tape(), Tape(), []
    layer(x, before)
    inner = getattr(layer.feed_forward.f, part)
    backward = inner.backward
    inner.backward = lambda dy, tape: called.append(part) or backward(dy, tape)
    layer(x, tape)
    assert sum(size for *_, size in tape.kept()) == sum(size for *_, size in before.kept())
    layer.backward(x, tape)
    assert called == [part]


class Squared(Layer):
    """An activation of one's own, without the name of one in the table."""

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return x * x

    def backward(self, dy, tape):
        return 2 * tape.pop(self) * dy


class Halved(Dropout):
    """A subclass that changes what it gets, without a probability too."""

    def forward(self, x, tape=None):
        return super().forward(x, tape) / 2

    def backward(self, dy, tape):
        return super().backward(dy, tape) / 2


class Tripled(Activation):
    def forward(self, x, tape=None):
        return super().forward(3 * x, tape)

    def backward(self, dy, tape):
        return 3 * super().backward(dy, tape)


@pytest.mark.parametrize("activation", ["gelu_tanh", "relu"])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("activation", Squared),
        ("activation", lambda: Tripled("silu")),
        ("activation", lambda: Tripled("gelu")),
        ("dropout", Squared),
        ("dropout", lambda: Halved(0.0)),
    ],
)
def test_parts_of_a_feed_forward_layer_of_ones_own(name, make, activation):
    """Catches a layer that has to have a name, and what is made again without the layer that stands in between."""
    layer = block(activation)
    setattr(layer.feed_forward.f, name, make())
    compare(layer)
    check_layer(layer.feed_forward.f, np.random.default_rng(2).normal(size=(2, 3, 6)))


class Called(FeedForward):
    """A subclass that is called in another way."""

    def __call__(self, x, tape=None, **settings):
        return 2 * super().__call__(x, tape, **settings)


@pytest.mark.parametrize("tape", [None, Tape()])
def test_a_layer_that_is_called_in_another_way(tape):
    """Catches a residual connection's x that is inside what such a layer changes."""
    layer, x = Residual(Called(6, 10, rng=np.random.default_rng(0), dtype=np.float64), LayerNorm(6, dtype=np.float64)), np.ones((1, 2, 6))
    np.testing.assert_allclose(layer(x, tape), x + 2 * layer.f.forward(layer.norm(x)), rtol=1e-12)


def logged(backward):
    @functools.wraps(backward)
    def wrapper(self, dy, tape):
        return backward(self, dy, tape)

    return wrapper


class Logged(LayerNorm):
    backward = logged(LayerNorm.backward)


def test_a_backward_that_was_wrapped():
    """Catches a setting that is looked for in what is wrapped: the wrapper does not take it."""
    f = FeedForward(6, 10, rng=np.random.default_rng(0), dtype=np.float64)
    compare(filled(Residual(f, Logged(6, dtype=np.float64))))
    compare(filled(Residual(Linear(6, 6, rng=np.random.default_rng(0), dtype=np.float64), Logged(6, dtype=np.float64), norm_order="post")))
