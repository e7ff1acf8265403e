"""Weights in 8 bits: rounding and its bounds, rows in every number, threads, and what is refused."""

import sys

import numpy as np
import pytest

from tinytx import workers
from tinytx.ops import quantize_rows, quantized_embedding, quantized_linear
from tinytx.ops.quantized_linear import MANY, OUTPUTS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_row_is_rounded_to_its_own_steps(dtype):
    """Equations (1) and (3); a row of zeros stays, and the largest weight of each other row is exact to the last digits."""
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
def test_it_is_the_product_with_the_rounded_weights(n, m, dtype):
    weight, bias = RNG.normal(size=(m, 37)).astype(dtype), RNG.normal(size=m).astype(dtype)
    x = RNG.normal(size=(n, 37)).astype(dtype)
    q, steps = quantize_rows(weight)
    y = quantized_linear(x, q, steps, bias)
    rounded = q * steps[:, None].astype(np.float64)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(y, x.astype(np.float64) @ rounded.T + bias, rtol=0, atol=tolerance)
    assert y.dtype == dtype
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(quantized_linear(x.reshape(n, 1, 37), q, steps, bias)[:, 0], y)
    np.testing.assert_array_equal(quantized_linear(x, q, steps) + bias, y)


def test_many_rows_in_parts_of_the_matrix(monkeypatch):
    """The last part is smaller than the others."""
    monkeypatch.setattr(sys.modules[quantized_linear.__module__], "PART", 100)
    q, steps = quantize_rows(RNG.normal(size=(21, 37)))
    x = RNG.normal(size=(MANY, 37))
    np.testing.assert_allclose(quantized_linear(x, q, steps), x @ (q * steps[:, None]).T, rtol=0, atol=1e-13)


def test_an_output_is_off_by_no_more_than_the_bound_and_by_what_is_to_be_expected():
    """Equations (4) and (5)."""
    weight, x = RNG.normal(size=(500, 64)), RNG.normal(size=(6, 64))
    q, steps = quantize_rows(weight)
    error = quantized_linear(x, q, steps) - x @ weight.T
    assert (np.abs(error) <= steps / 2 * np.abs(x).sum(axis=1, keepdims=True)).all()
    expected = steps / np.sqrt(12) * np.sqrt((x * x).sum(axis=1, keepdims=True))
    assert (error / expected).std() == pytest.approx(1, abs=0.05)
    row = np.array([[127.0, 0.5, -0.5, 1.5]])  # halves, all rounded against the signs of x: the bound is met
    q, steps = quantize_rows(row)
    x = np.array([[0.0, 1.0, -1.0, -1.0]])
    assert abs(quantized_linear(x, q, steps) - x @ row.T) == steps / 2 * np.abs(x).sum()


@pytest.mark.parametrize("n", [1, 2, 8, MANY])
def test_threads_change_no_bit(n):
    """But for the last bits of a product of matrices."""
    q, steps = quantize_rows(RNG.normal(size=(500, 2 * OUTPUTS + 3)).astype(np.float32))
    x = RNG.normal(size=(n, q.shape[1])).astype(np.float32)
    expected = quantized_linear(x, q, steps)
    for count in (2, 3):
        with workers.use(workers.Pool(count)), workers.awake.use():
            np.testing.assert_allclose(quantized_linear(x, q, steps), expected, rtol=0, atol=0 if n < MANY else 1e-4)


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
