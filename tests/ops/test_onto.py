"""Backwards that add their result to another gradient of the same array: ``onto``."""

import numpy as np
import pytest

from tinytx import Tape, ops
from tinytx.core import Layer
from tinytx.layers import LayerNorm
from tinytx.layers.block import backward_onto
from tinytx.ops import plain


def saved_by(name, n=20, dtype=np.float64, made_by=ops):
    """Return what a forward of n rows saved, and dy."""
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=size).astype(dtype) for size in ((2, n, 5), (5, 5), (5,), (2, n, 5)))
    return getattr(made_by, name)(x, weight if name == "linear" else weight[0], bias)[1], dy


@pytest.mark.parametrize("n", [2, 20])
@pytest.mark.parametrize("name", ["linear", "layer_norm"])
def test_dx_is_the_sum_of_both(name, n):
    saved, dy = saved_by(name, n)
    backward, onto = getattr(ops, f"{name}_backward"), np.random.default_rng(1).normal(size=dy.shape)
    onto.flags.writeable = False
    (dx, *others), (both, *same) = backward(dy, saved), backward(dy, saved, onto=onto)
    np.testing.assert_allclose(both, onto + dx, rtol=1e-13, atol=1e-13)
    for one, other in zip(others, same, strict=True):
        np.testing.assert_array_equal(one, other)
    twin, dy = saved_by(name, n, made_by=plain)
    np.testing.assert_allclose(getattr(plain, f"{name}_backward")(dy, twin, onto=onto)[0], both, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["linear", "layer_norm"])
@pytest.mark.parametrize("onto", [np.zeros((2, 2, 4)), np.zeros((2, 2, 5), np.float32), [0.0]], ids=["shape", "dtype", "list"])
def test_another_array_is_named(name, onto):
    saved, dy = saved_by(name, 2)
    with pytest.raises((TypeError, ValueError), match=f"{name}_backward: .*onto"):
        getattr(ops, f"{name}_backward")(dy, saved, onto=onto)


class Watched(Tape):
    def call(self, layer, inputs, settings):
        return super().call(layer, inputs, settings)


class Doubled(Layer):
    def forward(self, x, tape=None):
        return x + x

    def backward(self, dy, tape):
        return dy + dy


@pytest.mark.parametrize("tape", [Tape, Watched])
@pytest.mark.parametrize("layer", [LayerNorm(5, dtype=np.float64), Doubled()], ids=["adds", "does not"])
def test_any_layer_may_stand_there(layer, tape):
    """Catches a layer without the setting that is asked for it, and a watcher's backward of two arguments."""
    x, dy, onto = np.random.default_rng(0).normal(size=(3, 2, 5))
    found = []
    for add in (lambda tape: onto + layer.backward(dy, tape), lambda tape: backward_onto(onto, layer, dy, tape)):
        made = tape()
        layer(x, made)
        if tape is Watched:
            original = layer.backward
            layer.backward = lambda dy, tape: original(dy, tape)  # noqa: B023
        found.append(add(made))
        vars(layer).pop("backward", None)
    np.testing.assert_allclose(*found, rtol=1e-13, atol=1e-13)
