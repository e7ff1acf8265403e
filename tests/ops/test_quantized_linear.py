"""Weights in 8 bits: rounding and its bounds, rows in every number, threads, and what is refused."""

import sys

import numpy as np
import pytest

from tinytx import workers
from tinytx.ops import plain, quantize_rows, quantized_embedding, quantized_linear
from tinytx.ops.quantized_linear import LARGEST, LONGEST, OUTPUTS

RNG = np.random.default_rng(0)
MANY = 24  # rows: three times as many as are multiplied at a time


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_row_is_rounded_to_its_own_steps(dtype):
    """Equations (1) and (4); a row of zeros stays, and the largest weight of each other row is exact to the last digits."""
    weight = (RNG.normal(size=(30, 40)) * 10.0 ** RNG.integers(-30, 30, (30, 1))).astype(dtype)
    weight[7] = 0
    q, steps = quantize_rows(weight)
    assert (q.dtype, steps.dtype, steps[7]) == (np.int8, dtype, 0)
    exact = q * steps[:, None].astype(np.float64)
    assert (np.abs(weight - exact) <= steps[:, None] / 2 * (1 + 1e-5)).all()
    np.testing.assert_array_equal(np.abs(q).max(axis=1), np.where(np.arange(30) == 7, 0, 127))
    assert (np.abs(weight - exact) > steps[:, None] * 0.45).any()


def test_what_underflows_is_no_other_number():
    """Below what float32 holds in full, a step may be 0 or too small: weights are cut off, and do not wrap around."""
    weight = np.array([[2e-43, -2e-43, 0], [1e-45, 0, -1e-45], [-3e-38, 3e-38, 1e-38]], np.float32)
    q, steps = quantize_rows(weight)
    assert (np.sign(q) * np.sign(weight) >= 0).all()
    assert (np.abs(q * steps[:, None] - weight) <= np.maximum(steps / 2 * 1.001, 1e-43)[:, None]).all()


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 21, OUTPUTS + 2])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 11, 19, MANY - 1, MANY, MANY + 5])
def test_it_is_the_product_of_the_rounded_numbers(n, m, dtype):
    weight, bias = RNG.normal(size=(m, 37)).astype(dtype), RNG.normal(size=m).astype(dtype)
    x = RNG.normal(size=(n, 37)).astype(dtype)
    q, steps = quantize_rows(weight)
    y = quantized_linear(x, q, steps, bias)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(y, plain.quantized_linear(x, q, steps, bias), rtol=0, atol=tolerance)
    assert y.dtype == dtype
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(quantized_linear(x.reshape(n, 1, 37), q, steps, bias)[:, 0], y)
    np.testing.assert_array_equal(quantized_linear(x, q, steps) + bias, y)


@pytest.mark.parametrize("n", [1, 7, MANY])
def test_an_output_is_off_by_no_more_than_the_bound_and_by_what_is_to_be_expected(n):
    """Equation (6), and the standard deviation after it."""
    weight, x = RNG.normal(size=(900, 64)), RNG.normal(size=(n, 64))
    q, steps = quantize_rows(weight)
    sizes = np.abs(q.astype(float))
    t = np.abs(x).max(axis=1, keepdims=True) / 32767
    error = quantized_linear(x, q, steps) - x @ weight.T
    assert (np.abs(error) <= steps / 2 * (np.abs(x).sum(axis=1, keepdims=True) + t * sizes.sum(axis=1))).all()
    expected = steps * np.sqrt(((x * x).sum(axis=1, keepdims=True) + t**2 * (sizes**2).sum(axis=1)) / 12)
    assert (error / expected).std() == pytest.approx(1, abs=0.1 if n == 1 else 0.05)


@pytest.mark.parametrize("n", [1, 2, MANY])
def test_the_bound_is_met(n):
    """But for the largest weight, which is not rounded: weights and inputs lie halfway between two multiples, and all are rounded down."""
    w, x = np.array([[127, 0.5, *[60.5] * 5]]), np.array([[0.5, 32767, *[2.5] * 5]])
    q, steps = quantize_rows(w)
    assert (q.tolist(), steps.tolist()) == ([[127, 0, *[60] * 5]], [1])
    bound = (np.abs(x).sum() + np.abs(q.astype(int)).sum()) / 2
    error = x @ w.T - quantized_linear(np.tile(x, (n, 1)), q, steps)
    np.testing.assert_array_equal(error, np.full((n, 1), bound - x[0, 0] / 2))


@pytest.mark.compiled
@pytest.mark.parametrize("n", [1, 2, 8])
def test_inputs_without_rounding_are_multiplied_exactly(n):
    """The other rows of x change nothing, and no sum is too large for 32 bits, or for the floats that it becomes."""
    for k in (1, 600, 768, 16_000, LONGEST):
        most = min(32767, LARGEST // (127 * k))
        for sign in (1, -1):
            q, x = np.full((3, k), 127, np.int8), np.full((n, k), float(sign * most))
            q[1] = -127
            y = quantized_linear(x, q, np.ones(3))
            np.testing.assert_array_equal(y, np.tile(sign * 127.0 * most * k * np.array([1, -1, 1]), (n, 1)))
            if k == 600:  # 28,182 may not be 32,767 here
                assert 127 * most * k <= LARGEST < 127 * (most + 1) * k


def test_rows_that_are_too_long_are_refused():
    with pytest.raises(ValueError, match="weight has shape .1, 133145., expected rows of at most 133,144 numbers, .*: cut x"):
        quantized_linear(np.ones((1, LONGEST + 1)), np.ones((1, LONGEST + 1), np.int8), np.ones(1))


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_depends_on_no_other(dtype):
    """It has the same bits alone and beside others, few or many, at each place; and steps of its own."""
    q, steps = quantize_rows(RNG.normal(size=(OUTPUTS + 1, 75)).astype(dtype))
    x = (RNG.normal(size=(8, 75)) * 10.0 ** np.arange(8)[:, None]).astype(dtype)
    alone = np.concatenate([quantized_linear(row[None], q, steps) for row in x])
    for size in (2, 3, 8):
        for first in range(0, 9 - size):
            np.testing.assert_array_equal(quantized_linear(x[first : first + size], q, steps), alone[first : first + size])
    for size in (9, 17, MANY - 1, MANY, MANY + 3):
        np.testing.assert_array_equal(quantized_linear(np.tile(x, (4, 1))[:size], q, steps), np.tile(alone, (4, 1))[:size])


@pytest.mark.parametrize("n", [1, 3, MANY])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_gives_nan(n, bad):
    """In all its outputs, even for weights of 0; and the other rows are what they are without it."""
    q, steps = quantize_rows(np.concatenate([RNG.normal(size=(5, 9)), np.zeros((1, 9))]))
    x = RNG.normal(size=(n, 9))
    expected = quantized_linear(x, q, steps)
    x[n // 2, 4] = bad
    y = quantized_linear(x, q, steps)
    assert np.isnan(y[n // 2]).all()
    others = np.arange(n) != n // 2
    np.testing.assert_array_equal(y[others], expected[others])


@pytest.mark.parametrize("n", [1, 3, MANY])
def test_small_and_large_inputs(n):
    """Zeros give zeros; what is too small for a step, next to nothing; what is nearly too large for a float is not infinite."""
    q, steps = quantize_rows(RNG.normal(size=(5, 9)).astype(np.float32))
    for size, tolerance in ((0, 0), (1e-45, 1e-44), (1e-42, 4e-42), (4e-41, 4e-42), (6e-41, 6e-41), (2e-36, 1e-39), (3e37, 1e34)):
        x = np.full((n, 9), size, np.float32)
        x[:, 1:] /= -64
        expected = x.astype(float) @ (q * steps[:, None].astype(float)).T
        np.testing.assert_allclose(quantized_linear(x, q, steps), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("n", [1, 2, 8, MANY])
def test_threads_change_no_bit(n, monkeypatch):
    monkeypatch.setattr(sys.modules[quantized_linear.__module__], "SHARED", 1)
    q, steps = quantize_rows(RNG.normal(size=(500, 2 * OUTPUTS + 3)).astype(np.float32))
    x = RNG.normal(size=(n, q.shape[1])).astype(np.float32)
    expected = quantized_linear(x, q, steps)
    for count in (2, 3):
        with workers.use(workers.Pool(count)), workers.awake.use():
            np.testing.assert_array_equal(quantized_linear(x, q, steps), expected)


def test_rows_of_a_table():
    table = RNG.normal(size=(9, 5))
    q, steps = quantize_rows(table)
    y = quantized_embedding([[0, 8], [3, 3]], q, steps)
    np.testing.assert_array_equal(y, (q * steps[:, None])[[[0, 8], [3, 3]]])
    assert quantized_embedding([1], *quantize_rows(table.astype(np.float32))).dtype == np.float32


def test_empty_arrays():
    for m, k, n in ((0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0)):
        q, steps = quantize_rows(np.ones((m, k)))
        np.testing.assert_array_equal(quantized_linear(np.ones((n, k)), q, steps), np.zeros((n, m)))


def test_into_an_array():
    out = np.zeros((2, 3), np.int8)
    q, _ = quantize_rows(np.ones((2, 3)), out=out)
    assert q is out
    assert (out == 127).all()
    with pytest.raises(ValueError, match="out has shape \\(2, 3\\), expected \\(3, 3\\)"):
        quantize_rows(np.ones((3, 3)), out=out)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_cannot_be_rounded_is_refused(bad):
    weight = np.ones((4, 3))
    weight[2, 1] = bad
    with pytest.raises(ValueError, match="quantize_rows: row 2 of weight has a largest size of (nan|inf), expected finite"):
        quantize_rows(weight)


def test_shapes_and_dtypes_are_checked():
    q, steps = quantize_rows(np.ones((2, 3)))
    with pytest.raises(ValueError, match="weight of shape .2, 3. does not fit x of shape .1, 2."):
        quantized_linear(np.ones((1, 2)), q, steps)
    with pytest.raises(ValueError, match="steps has shape .1,., expected .2,."):
        quantized_linear(np.ones((1, 3)), q, steps[:1])
    with pytest.raises(TypeError, match="steps is float64; expected all float32 or all float64"):
        quantized_linear(np.ones((1, 3), np.float32), q, steps)
    with pytest.raises(TypeError, match="weight is a ndarray of int64, expected an array of int8"):
        quantized_linear(np.ones((1, 3)), q.astype(int), steps)
