"""Operations that add their result to another array: backwards to another gradient of x, forwards to the other path of a sum."""

import sys

import numpy as np
import pytest
from cases import Backwards

from tinytx import Tape, ops, workers
from tinytx.core import Layer
from tinytx.layers import FeedForward, GatedFeedForward, LayerNorm, Linear, MultiHeadAttention, Residual
from tinytx.layers.block import backward_onto, forward_onto
from tinytx.ops import plain


def saved_by(name, n=20, dtype=np.float64, made_by=ops):
    """Return what a forward of n rows saved, and dy."""
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=size).astype(dtype) for size in ((2, n, 5), (5, 5), (5,), (2, n, 5)))
    arguments = {"linear": (weight, bias), "layer_norm": (weight[0], bias), "rms_norm": (weight[0],)}[name]
    return getattr(made_by, name)(x, *arguments)[1], dy


@pytest.mark.parametrize("n", [2, 20])
@pytest.mark.parametrize("name", ["linear", "layer_norm", "rms_norm"])
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


@pytest.mark.parametrize("name", ["linear", "layer_norm", "rms_norm"])
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


def made(rng, n, wide=False):
    d_in, d_out = (520, 1030) if wide else (6, 37)
    return [rng.normal(size=size) for size in ((2, n, d_in), (d_in, d_out), (d_out,), (2, n, d_out))]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(("n", "wide"), [(2, False), (20, False), (10, True)])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("name", ["linear", "gelu_linear"])
def test_y_is_the_sum_of_both(name, has_bias, n, wide, parts, monkeypatch):
    """Catches rows or columns of another part, a sum into the array that was given, and a bias that is lost or counted twice."""
    monkeypatch.setattr(sys.modules[ops.linear.__module__], "LARGE", 0)
    x, weight, bias, onto = made(np.random.default_rng(0), n, wide)
    onto.flags.writeable = False
    for given in (weight, np.asfortranarray(weight)):
        with workers.use(Backwards(parts)):
            y, _ = getattr(ops, name)(x, given, bias if has_bias else None, onto=onto)
        expected, _ = getattr(plain, name)(x, weight, bias if has_bias else None)
        np.testing.assert_allclose(y, onto + expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [2, 20])
def test_few_rows_are_added_in_the_order_of_many(n):
    """Catches last bits that depend on the number of rows, or on whether one operation activates and adds."""
    x, weight, bias, onto = (np.random.default_rng(0).normal(size=size) for size in ((n, 1), (1, 37), (37,), (n, 37)))
    np.testing.assert_array_equal(ops.linear(x, weight, bias, onto=onto)[0], (onto + bias) + x @ weight)


@pytest.mark.parametrize("name", ["linear", "gelu_linear"])
@pytest.mark.parametrize("onto", [np.zeros((2, 2, 6)), np.zeros((2, 2, 37), np.float32), [0.0]], ids=["shape", "dtype", "list"])
def test_another_array_of_a_forward_is_named(name, onto):
    x, weight, bias, _ = made(np.random.default_rng(0), 2)
    with pytest.raises((TypeError, ValueError), match=f"{name}: .*onto"):
        getattr(ops, name)(x, weight, bias, onto=onto)


@pytest.mark.parametrize("tape", [None, Tape, Watched])
@pytest.mark.parametrize("layer", [Linear(5, 5, rng=np.random.default_rng(0), dtype=np.float64), Doubled()], ids=["adds", "does not"])
def test_any_layer_may_forward_there(layer, tape):
    x, onto = np.random.default_rng(0).normal(size=(2, 2, 5))
    made = [tape and tape() for _ in range(3)]
    np.testing.assert_allclose(forward_onto(onto, layer, x, tape=made[0]), onto + layer(x, made[1]), rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(forward_onto(None, layer, x, tape=made[2]), layer(x, made[1]))


class Counted(np.ndarray):
    """An array that counts NumPy's arithmetic with it; operations compute with it as with any other."""

    calls = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        Counted.calls += 1
        return getattr(ufunc, method)(*(np.asarray(i) for i in inputs), **options)


FS = {
    "feed-forward": FeedForward,
    "feed-forward relu": lambda d, n, **draw: FeedForward(d, n, activation="relu", **draw),
    "gated": GatedFeedForward,
    "attention": lambda d, n, **draw: MultiHeadAttention(d, 2, **draw),
}


@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("f", FS)
def test_a_residual_connection_adds_nothing_itself(f, norm_order):
    """Where nothing is dropped, its sum is f's, with a tape or without; a watcher sees the sum of both, with the same values and gradients."""
    draw = {"rng": np.random.default_rng(0), "dtype": np.float64}
    layer = Residual(FS[f](6, 8, **draw), LayerNorm(6, dtype=np.float64), norm_order=norm_order)
    x, dy = draw["rng"].normal(size=(2, 2, 20, 6))
    inner = layer.norm(x) if norm_order == "pre" else x
    y = x + layer.f(inner)
    y, found = y if norm_order == "pre" else layer.norm(y), []
    for tape in (None, Tape(seed=1), Watched(seed=1)):
        Counted.calls = 0
        found.append([layer(x.view(Counted), tape)])
        assert Counted.calls == isinstance(tape, Watched)
        if tape is not None:
            layer.zero_grad()
            found[-1] += [layer.backward(dy, tape), *(p.grad.copy() for p in layer.parameters())]
            tape.check_empty()
        np.testing.assert_allclose(found[-1][0], y, rtol=1e-12, atol=1e-12)
    for one, other in zip(*found[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_what_may_be_dropped_is_dropped_before_the_sum():
    """Catches a dropout of the sum, or none."""
    x, tape = np.full((2, 20, 64), 3.0), Tape(seed=1)
    layer = Residual(Linear(64, 64, rng=np.random.default_rng(0), dtype=np.float64), LayerNorm(64, dtype=np.float64), dropout=0.5)
    layer.f.weight.data[...], layer.f.bias.data[...] = 0, 1
    assert sorted(set(layer(x, tape).ravel())) == [3, 5]


@pytest.mark.parametrize("tape", [None, Tape])
def test_without_a_seed_no_bit_depends_on_the_probability(tape):
    draw = {"rng": np.random.default_rng(0), "dtype": np.float64}
    f, norm, x = FeedForward(6, 8, **draw), LayerNorm(6, dtype=np.float64), draw["rng"].normal(size=(2, 20, 6))
    f.contract.bias.data[...] = draw["rng"].normal(size=6)
    one, other = (Residual(f, norm, dropout=p)(x, tape and tape()) for p in (0.0, 0.5))
    np.testing.assert_array_equal(one, other)


class Told(Layer):
    """Notes what it is asked to add to."""

    def forward(self, x, tape=None, *, onto=None):
        self.told = onto
        return x if onto is None else onto + x

    def backward(self, dy, tape, *, onto=None):
        self.told = onto
        return dy if onto is None else onto + dy


@pytest.mark.parametrize("tape", [Tape, Watched])
@pytest.mark.parametrize("add", [lambda *args: backward_onto(*args), lambda onto, layer, x, tape: forward_onto(onto, layer, x, tape=tape)])
def test_a_watched_layer_is_asked_for_its_own_result(add, tape):
    layer, (x, onto) = Told(), np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_array_equal(add(onto, layer, x, tape()), onto + x)
    assert (layer.told is onto) == (tape is Tape)
