"""Inputs that the docstrings allow and chance does not draw: exact zeros, broadcast views, odd places in memory."""

import numpy as np
import pytest
from cases import Seeded, cast
from op_cases import OPS
from properties import SAME, assert_same, cotangent

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL


def by_steps(f, array, dy, h=1e-4):
    """Return the gradient of sum(dy y) by central differences of fourth order, element by element."""
    gradient = np.zeros_like(array)
    for at in np.ndindex(array.shape):

        def value(step):
            moved = array.copy()
            moved[at] += step * h
            return np.sum(dy * f(moved))

        gradient[at] = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)
    return gradient


@pytest.mark.parametrize("zero", ["weight", "bias", "both", "one of each", "dy"])
def test_layer_norm_with_parameters_of_0(zero):
    """Catches a backward that divides by the gain: n is x's, and not y / w."""
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=shape) for shape in ((3, 5), (5,), (5,), (3, 5)))
    weight *= 0 if zero in ("weight", "both") else np.arange(5) != 2 if zero == "one of each" else 1
    bias *= 0 if zero in ("bias", "both") else np.arange(5) != 3 if zero == "one of each" else 1
    dy *= zero != "dy"
    _, saved = ops.layer_norm(x, weight, bias)
    for at, gradient in enumerate(ops.layer_norm_backward(dy, saved)):
        arrays = [x, weight, bias]

        def f(array):
            return ops.layer_norm(*arrays[:at], array, *arrays[at + 1 :])[0]

        np.testing.assert_allclose(gradient, by_steps(f, arrays[at], dy), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in OPS if not name.startswith("tsne")])
def test_arrays_of_exact_zeros(name):
    """Catches 0/0 and a branch for "nothing there": the gradients are those of a tiny array."""
    case = OPS[name](Seeded(0))
    dy = cotangent(case, np.random.default_rng(1))
    for array in case.arrays:
        if (name, array) in (("relu", "x"), ("gate relu", "a"), ("layer_norm", "x"), ("rms_norm", "x"), ("address", "k"), ("address", "memory")):
            continue  # a kink, rows without variance, vectors without a direction
        if name.startswith("batch_norm") and array == "x":
            continue  # features without variance
        if name.startswith("route") or name == "maxout":
            continue  # all tie
        if name.startswith("pool") and "max" in case.options["kinds"]:
            continue  # every position ties for the maximum
        exact = case.gradient(case.arrays | {array: 0 * case.arrays[array]}, dy)
        near = case.gradient(case.arrays | {array: 1e-9 * case.arrays[array]}, dy)
        for key in exact:
            largest = max(1, np.abs(near[key]).max())
            np.testing.assert_allclose(exact[key], near[key], rtol=0, atol=1e-7 * largest, err_msg=f"{array} 0: {key}")


@pytest.mark.parametrize("name", OPS)
def test_broadcast_views_are_arrays(name):
    """Catches a kernel that walks memory by the shape: one row that stands for all, and dy as ``np.broadcast_to(1, ...)``."""
    case = OPS[name](Seeded(0))
    views = {key: np.broadcast_to(array[..., :1, :1] + array[..., :1] * 0 if array.ndim > 1 else array[:1], array.shape)
             for key, array in case.arrays.items()}  # fmt: skip
    views = {key: view for key, view in views.items() if not name.startswith("tsne")} or case.arrays
    y, saved = case.forward(views)
    dy = np.broadcast_to(np.float64(0.7), y.shape)
    actual = {"y": y} | case.backward(dy, saved)
    y, saved = case.forward({key: view.copy() for key, view in views.items()})
    assert_same(actual, {"y": y} | case.backward(dy.copy(), saved), "broadcast", 10 * SAME)


def _between_addresses(array):
    """Return the array in memory whose address is no multiple of its numbers' size, as a file's part may be."""
    wide = np.empty(array.nbytes + 1, np.uint8)
    view = wide[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_between_addresses(name, dtype):
    case = OPS[name](Seeded(0))
    arrays = cast(case.arrays, dtype)
    y, saved = case.forward(arrays)
    dy = cotangent(case, np.random.default_rng(0)).astype(dtype)
    expected = {"y": y} | case.backward(dy, saved)
    y, saved = case.forward({key: _between_addresses(array) for key, array in arrays.items()})
    actual = {"y": y} | case.backward(_between_addresses(dy) if dy.ndim else dy, saved)
    assert_same(actual, expected, "unaligned", 1e-5 if dtype == np.float32 else 10 * SAME)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_attention_with_axes_of_one(axis, order):
    """Catches an axis of size 1 that is taken for a broadcast one, in every place and memory order."""
    sizes = [2, 3, 4, 5]
    sizes[axis] = 1
    rng = np.random.default_rng(0)
    q, k, v, dy = (rng.normal(size=sizes) for _ in range(4))
    y, saved = ops.attention(*(np.asarray(a, order=order) for a in (q, k, v)), pattern=CAUSAL)
    gradients = ops.attention_backward(np.asarray(dy, order=order), saved)
    for at, gradient in enumerate(gradients):
        arrays = [q, k, v]

        def f(array):
            return ops.attention(*arrays[:at], array, *arrays[at + 1 :], pattern=CAUSAL)[0]

        np.testing.assert_allclose(gradient, by_steps(f, arrays[at], dy), rtol=0, atol=1e-8)


def test_parameters_of_exact_zeros_learn():
    """A linear map that starts at 0, as LoRA's second one does: dW is x^T dy, dx is 0."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    y, saved = ops.linear(x, np.zeros((3, 2)), np.zeros(2))
    dx, dweight, dbias = ops.linear_backward(dy, saved)
    assert not y.any() and not dx.any()
    np.testing.assert_allclose(dweight, x.T @ dy, rtol=1e-14)
    np.testing.assert_allclose(dbias, dy.sum(0), rtol=1e-14)
