"""GELU in its two forms, ReLU and tanh: values, tails and the kink."""

import math

import numba
import numpy as np
import pytest

from tinytx import ops, workers

X = np.concatenate([np.linspace(-9, 9, 1001), [0.0, -0.0, 1e-300, -1e-300]])
DTYPES = [np.float32, np.float64]


def exact(x):
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def approximate(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "formula"), [(ops.gelu, exact), (ops.gelu_tanh, approximate)])
def test_gelu_is_the_formula_of_the_paper(op, formula, dtype):
    """Catches one form in place of the other (5e-4), and constants of few digits."""
    x = X.astype(dtype)
    expected = [formula(float(value)) for value in x]
    np.testing.assert_allclose(op(x)[0], expected, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_slope_is_the_formula_of_the_paper(dtype):
    x = X.astype(dtype)
    expected = [0.5 * (1 + math.erf(float(v) / math.sqrt(2))) + float(v) * density(float(v)) for v in x]
    slope = ops.gelu_backward(np.ones_like(x), ops.gelu(x)[1])
    np.testing.assert_allclose(slope, expected, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "silu"])
def test_tails_are_0_and_the_identity(name, dtype):
    """Catches 0 * inf and x^3 that overflows: far to the left y and slope are 0, far to the right x and 1."""
    op, op_backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    x = np.array([-1e4, 1e4, -1e12, 1e12], dtype)
    y, saved = op(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(op_backward(np.ones_like(x), saved), [0, 1, 0, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_and_its_slope(dtype):
    """Catches 1 - y^2, which at y = 0.999 has lost three digits of the slope 1 / cosh^2; and tails of NaN."""
    x = np.concatenate([np.linspace(-4, 4, 801), [-1e4, 1e4, -1e30, 1e30]]).astype(dtype)
    y, saved = ops.tanh(x)
    np.testing.assert_allclose(y, [math.tanh(v) for v in x.tolist()], rtol=2 * np.finfo(dtype).eps)
    slope = ops.tanh_backward(np.ones_like(x), saved).tolist()
    expected = [(1 - v) * (1 + v) for v in y.tolist()]
    np.testing.assert_allclose(slope, expected, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(slope[-4:], 0)


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "silu", "tanh"])
def test_nan_is_not_hidden(name):
    """Catches max(x, 0) by a comparison, which turns NaN into 0."""
    assert np.isnan(getattr(ops, name)(np.array([np.nan, -np.nan]))[0]).all()


def test_relu_takes_slope_0_at_the_kink():
    y, saved = ops.relu(np.array([-1.0, -0.0, 0.0, 1e-300]))
    np.testing.assert_array_equal(ops.relu_backward(np.ones(4), saved), [0, 0, 0, 1])


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "tanh"])
def test_refuses_integers(name):
    with pytest.raises(TypeError, match=f"{name}: x is int64"):
        getattr(ops, name)(np.arange(3))


@pytest.mark.compiled
@pytest.mark.skipif(numba.config.BOUNDSCHECK, reason="the last numbers of each part are then computed in a loop of their own")
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_helpers_change_no_bit_of_gelu(name):
    """Catches a part that is left out, or that begins inside of what a vector register holds."""
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 90, 91)).astype(np.float32)
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    expected = forward(x)[0], backward(dy, x)
    with workers.use(workers.Pool(3)), workers.awake.use():
        for _ in range(20):
            np.testing.assert_array_equal(forward(x)[0], expected[0])
            np.testing.assert_array_equal(backward(dy, x), expected[1])
