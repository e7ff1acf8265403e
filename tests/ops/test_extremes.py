"""Digits at the extremes: float32 beside float64, relatively, where a test for finite numbers would pass anything.

The inputs are exact in float32, so that both compute the same thing; a reference in float64 is then right to 1e-7.
"""

import math

import numpy as np
import pytest
from cases import Seeded, cast
from op_cases import OPS
from properties import cotangent

from tinytx import ops

EPS = np.finfo(np.float32).eps
TINY = np.finfo(np.float32).smallest_normal


def assert_close(single, double, relative, below=TINY):
    """Assert that float32 values are the float64 ones to a relative error each; what is below a size may vanish."""
    assert single.dtype == np.float32 and double.dtype == np.float64
    double = np.broadcast_to(double, single.shape)
    allowed = np.broadcast_to(relative, single.shape) * np.abs(double) + below * (np.abs(double) < 100 * below)
    error = np.abs(np.subtract(single, double, where=single != double, out=np.zeros(single.shape)))  # inf is inf
    worst = np.unravel_index(np.argmax(error - allowed), error.shape)
    assert (error <= allowed).all(), f"{single[worst]} for {double[worst]} at {worst}"


@pytest.mark.parametrize("exponent", [-60, 70])
@pytest.mark.parametrize("name", OPS)
def test_a_gradient_of_any_size_keeps_its_digits(name, exponent):
    """Catches squares and products of gradients, which overflow from 1e19 on: 2^70 times dy is 2^70 times the gradient."""
    case = OPS[name](Seeded(1))
    arrays = cast(case.arrays, np.float32)
    dy, scale = cotangent(case, np.random.default_rng(0)).astype(np.float32), np.float32(2.0**exponent)
    expected, actual = case.gradient(arrays, dy), case.gradient(arrays, dy * scale)
    for array in expected:
        np.testing.assert_array_equal(actual[array], scale * expected[array], array)


X = np.float32([0.1, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 39.5, 41, 90, 1e3, 1e6, 1e13, 1e19, 1e25, 1e38, np.inf])
X = np.concatenate([-X[::-1], [-1e-10, -1e-38, 0, 1e-38, 1e-10], X]).astype(np.float32)


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_both_tails_of_gelu(name):
    """Catches tails that are cut short, infinity times 0, and x^2 that overflows in the slope."""
    y32, saved = getattr(ops, name)(X)
    x = X.astype(float)
    clipped = np.clip(x, -40, 40)
    if name == "gelu":
        probability = np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in clipped])
        density = np.exp(-clipped**2 / 2) / math.sqrt(2 * math.pi)
        slope, exponent = probability + clipped * density, clipped**2 / 2
    else:
        u = math.sqrt(2 / math.pi) * (clipped + 0.044715 * clipped**3)
        probability = 1 / (1 + np.exp(-2 * np.maximum(u, -354)))
        inner = 2 * probability / (1 + np.exp(2 * np.minimum(u, 354))) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * clipped**2)
        slope, exponent = probability + clipped * inner, np.abs(2 * u)
    value = np.where(x > 40, x, clipped * probability)
    relative = EPS * (8 + 4 * np.minimum(exponent, 100))
    assert_close(y32, value, relative, below=1e-36)
    slope32 = getattr(ops, f"{name}_backward")(np.ones_like(X), saved)
    assert_close(slope32, slope, relative, below=1e-35)
    y64, saved = getattr(ops, name)(x)
    np.testing.assert_allclose(y64, value, rtol=1e-12, atol=1e-290)
    np.testing.assert_allclose(getattr(ops, f"{name}_backward")(np.ones_like(x), saved), slope, rtol=1e-12, atol=1e-290)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "tanh"])
def test_infinity_gives_the_limit(name, dtype):
    """Catches NaN of infinity times 0."""
    y, saved = getattr(ops, name)(np.array([-np.inf, np.inf], dtype))
    np.testing.assert_array_equal(y, [-1, 1] if name == "tanh" else [0, np.inf])
    slope = getattr(ops, f"{name}_backward")(np.array([2, 2], dtype), saved)
    np.testing.assert_array_equal(slope, [0, 0] if name == "tanh" else [0, 2])


def test_saturated_tanh():
    """Catches 1 - y^2: relative to the slope, a float32 y near 1 leaves EPS / (1 - y), and no more may be lost."""
    x = np.linspace(-10, 10, 401, dtype=np.float32)
    y, saved = ops.tanh(x)
    assert_close(y, np.tanh(x.astype(float)), 2 * EPS)
    slope = ops.tanh_backward(np.ones_like(x), saved)
    kept = y.astype(float)
    assert_close(slope, (1 - kept) * (1 + kept), 4 * EPS)
    true = 1 / np.cosh(x.astype(float)) ** 2
    assert (np.abs(slope - true) <= 4 * EPS * (true + 1)).all()


def logits_of(size):
    """Return logits exact in float32, of which some are so near to the largest that they count."""
    rows = np.array([[4, 3.5, 1, 0, -2], [-3, -2.5, -2, 0.25, 0.125], [0, 0, 0, 0, 0], [-1, 1, -1, 1, 0.75]])
    near = np.array([[0, -0.5, -1, -3, -8]] * 4)
    return np.float32(size * rows if size < 1e6 else size + near * (size / 2**20 if size > 1e7 else 1))


SIZES = [1.0, 5.0, 20.0, 80.0, 1e3, 2.0**20, 1e30]


@pytest.mark.parametrize("size", SIZES)
def test_softmax_of_large_logits(size):
    """Catches an exponential that is cut short, and a maximum that is taken away twice or not at all."""
    x32 = logits_of(size)
    (y32, saved32), (y64, saved64) = ops.softmax(x32), ops.softmax(x32.astype(float))
    distance = x32.max(1, keepdims=True).astype(float) - x32
    assert_close(y32, y64, EPS * (8 + np.minimum(distance, 100)), below=1e-36)
    dy = np.float32([[1, -0.5, 2, 0.25, -1]] * 4)
    dx32, dx64 = ops.softmax_backward(dy, saved32), ops.softmax_backward(dy.astype(float), saved64)
    scale = np.abs(y64) * (np.abs(dy) + np.abs(dy * y64).sum(1, keepdims=True))  # of the two terms of (3)
    assert (np.abs(dx32 - dx64) <= EPS * (16 + 2 * np.minimum(distance, 100)) * scale + 1e-36).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("loss", ["cross_entropy", "kl_divergence"])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("dloss", [1.0, 2.0**90])
def test_losses_of_large_logits(loss, size, smoothing, dloss):
    """Catches m + ln Z, and a loss or a gradient that is only finite."""
    x32 = logits_of(size)
    options = {"label_smoothing": smoothing} | ({"pad_id": 4} if loss == "kl_divergence" else {})
    op, backward = getattr(ops, loss), getattr(ops, f"{loss}_backward")
    (loss32, saved32), (loss64, saved64) = (op(x, [1, 3, 0, 2], **options) for x in (x32, x32.astype(float)))
    assert math.isclose(loss32, loss64, rel_tol=40 * EPS)
    dx32, dx64 = backward(dloss, saved32), backward(dloss, saved64)
    distance = x32.max(1, keepdims=True).astype(float) - x32
    # p - q loses digits where both are near, so the allowed error is relative to p + q
    size_of_terms = ops.softmax(x32.astype(float))[0] / 4 + np.abs(dx64 / dloss)
    error = np.abs(dx32 / np.float64(dloss) - dx64 / dloss)
    assert (error <= EPS * (16 + 2 * np.minimum(distance, 100)) * size_of_terms + 1e-36).all()


@pytest.mark.parametrize("size", [1, 8, 64, 2**14, 2**40])
def test_attention_of_large_scores(size):
    """Catches scores that are rounded: of whole numbers in heads of width 4 they are exact, and so are their halves."""
    rng = np.random.default_rng(0)
    q, k = (rng.integers(-3, 4, (1, 2, 6, 4)).astype(np.float32) for _ in range(2))
    q *= np.float32(size)
    v, dy = (rng.choice([-1.0, 1.0], (1, 2, 6, 4)).astype(np.float32) for _ in range(2))
    (y32, saved32), (y64, saved64) = (ops.attention(*(a.astype(t) for a in (q, k, v))) for t in ("f4", "f8"))
    np.testing.assert_allclose(y32, y64, rtol=0, atol=100 * EPS)
    single, double = ops.attention_backward(dy, saved32), ops.attention_backward(dy.astype(float), saved64)
    for one, other in zip(single, double, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=200 * EPS * np.abs(other).max() + TINY)


@pytest.mark.parametrize("eps", [0.0, 1e-12, 1e-5])
@pytest.mark.parametrize("exponent", [-124, -100, -66, -51, -30, 0, 40, 62, 64, 90, 125])
def test_layer_norm_of_rows_of_any_size(exponent, eps):
    """Catches squares that overflow (1e38) or vanish (1e-38, with an eps of 0) where the values do not."""
    rng = np.random.default_rng(0)
    x = (np.round(rng.normal(size=(5, 7)) * 64) / 64 * 2.0**exponent).astype(np.float32)
    weight, bias, dy = (np.float32(np.round(rng.normal(size=size) * 64) / 64) for size in (7, 7, (5, 7)))
    (y32, saved32), (y64, saved64) = (
        ops.layer_norm(*(a.astype(t) for a in (x, weight, bias)), eps) for t in ("f4", "f8")
    )
    np.testing.assert_allclose(y32, y64, rtol=0, atol=40 * EPS)
    dx32, dweight32, dbias32 = ops.layer_norm_backward(dy, saved32)
    dx64, dweight64, dbias64 = ops.layer_norm_backward(dy.astype(float), saved64)
    np.testing.assert_allclose(dx32, dx64, rtol=0, atol=60 * EPS * np.abs(dx64).max() + 3e-45)
    np.testing.assert_allclose(dweight32, dweight64, rtol=0, atol=100 * EPS * np.abs(dweight64).max() + 1e-36)
    np.testing.assert_allclose(dbias32, dbias64, rtol=0, atol=20 * EPS * np.abs(dbias64).max())


@pytest.mark.parametrize("eps", [0.0, 1e-12, 1e-5])
@pytest.mark.parametrize("exponent", [-124, -100, -66, -51, 0, 40, 62, 64, 90, 125])
def test_rms_norm_of_rows_of_any_size(exponent, eps):
    """Catches squares that overflow (1e38) or vanish (1e-38, with an eps of 0) where the values do not."""
    rng = np.random.default_rng(0)
    x = (np.round(rng.normal(size=(5, 7)) * 64) / 64 * 2.0**exponent).astype(np.float32)
    weight, dy = (np.float32(np.round(rng.normal(size=size) * 64) / 64) for size in (7, (5, 7)))
    (y32, saved32), (y64, saved64) = (ops.rms_norm(x.astype(t), weight.astype(t), eps) for t in ("f4", "f8"))
    np.testing.assert_allclose(y32, y64, rtol=0, atol=40 * EPS)
    dx32, dweight32 = ops.rms_norm_backward(dy, saved32)
    dx64, dweight64 = ops.rms_norm_backward(dy.astype(float), saved64)
    np.testing.assert_allclose(dx32, dx64, rtol=0, atol=60 * EPS * np.abs(dx64).max() + 3e-45)
    np.testing.assert_allclose(dweight32, dweight64, rtol=0, atol=100 * EPS * np.abs(dweight64).max() + 1e-36)


@pytest.mark.parametrize("exponent", [-1020, -600, -500, 0, 520, 1022])
def test_layer_norm_in_float64_of_rows_of_any_size(exponent):
    """A row times a power of 2 gives the same result to the bit or so, where eps is 0."""
    rng = np.random.default_rng(0)
    x, weight, dy = rng.uniform(0.1, 0.9, (3, 5)), rng.normal(size=5), rng.normal(size=(3, 5))
    y, saved = ops.layer_norm(x, weight, weight, 0.0)
    moved, moved_saved = ops.layer_norm(np.ldexp(x, exponent), weight, weight, 0.0)
    np.testing.assert_allclose(moved, y, rtol=1e-13)
    dx, moved_dx = ops.layer_norm_backward(dy, saved)[0], ops.layer_norm_backward(dy, moved_saved)[0]
    np.testing.assert_allclose(np.ldexp(moved_dx, exponent), dx, rtol=1e-12)
