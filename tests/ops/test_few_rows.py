"""Products of a few rows and a large matrix: every number of rows, both layouts, edges that nothing divides, with and without helpers."""

import sys

import numpy as np
import pytest

from tinytx import ops, workers
from tinytx.ops.few_rows import COLUMNS, LARGE, MOST, NARROWEST, OUTPUTS, PARTS, ROWS, few_rows, fits

MODULE = sys.modules[few_rows.__module__]
RNG = np.random.default_rng(0)
SHAPES = [(PARTS * 8, COLUMNS), (75, 2 * COLUMNS + 3), (3, COLUMNS - 1), (0, NARROWEST), (1, NARROWEST + 1), (131, 2 * OUTPUTS + 1), (50, 3 * OUTPUTS - 1), (30, 5)]


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("m", "order", "dtype"),
    [(m, order, np.float64) for m in (*range(1, ROWS + 2), MOST) for order in "CF"] + [(1, "F", np.float32), (ROWS, "C", np.float32)],
)
def test_it_is_the_product(m, order, dtype):
    tolerance = {"rtol": 0, "atol": 1e-4 if dtype == np.float32 else 1e-13}
    for k, n in SHAPES:
        x, weight = RNG.normal(size=(m, k)).astype(dtype), np.asarray(RNG.normal(size=(k, n)).astype(dtype), order=order)
        y = few_rows(x, weight)
        np.testing.assert_allclose(y, x.astype(float) @ weight.astype(float), **tolerance)
        assert (y.dtype, y.flags.c_contiguous) == (dtype, True)
        np.testing.assert_array_equal(few_rows(np.asfortranarray(x), weight), y)


@pytest.mark.compiled
@pytest.mark.parametrize(("rows", "n"), [(1, 2 * COLUMNS + 3), (ROWS, 2 * COLUMNS + 3), (1, 5), (ROWS, 5)])
def test_a_bias_is_added_to_the_sums(rows, n):
    """In a program, with the bits that it would have if it were added later."""
    x, weight, bias, y = RNG.normal(size=(rows, 40)), RNG.normal(size=(40, n)), RNG.normal(size=n), np.empty((rows, n))
    loop, *arguments = MODULE.few_rows_call(workers.awake.words(), y, x, weight, bias, lambda *shape: np.full(shape, np.nan))
    loop(*arguments)
    np.testing.assert_array_equal(y, few_rows(x, weight) + bias)


@pytest.mark.compiled
@pytest.mark.parametrize("m", [1, 3, ROWS])
def test_helpers_change_no_bit(m):
    """Catches a part that nobody computes, one that two add up, and an order of sums that depends on who is first."""
    weights = [np.asarray(RNG.normal(size=(300, 700)), order=order) for order in "CF"]
    x = RNG.normal(size=(m, 300))
    q, steps = ops.quantize_rows(RNG.normal(size=(700, 300)))

    def products():
        return [*(few_rows(x, weight) for weight in weights), ops.quantized_linear(x, q, steps)]

    expected = products()
    for count in (2, 3):
        with workers.use(workers.Pool(count)), workers.awake.use():
            for _ in range(50):
                for y, alone in zip(products(), expected):
                    np.testing.assert_array_equal(y, alone)


@pytest.mark.compiled
@pytest.mark.parametrize("rows", [1, ROWS])
def test_bits_do_not_depend_on_where_arrays_lie(rows):
    """A loop has a second version for arrays that may overlap, and it is used where they only lie beside each other."""
    part = {1: MODULE._part_of_one, ROWS: MODULE._part_of_eight}[rows]
    memory, (k, n), width = np.empty(150_000), (43, 700), 3 * COLUMNS * rows
    x, numbers, results = RNG.normal(size=(rows, k)), RNG.normal(size=(k, n)), set()
    for gap in (0, 2, 8, 20_000):
        at = np.cumsum([0, k * n + gap, PARTS * width + gap, rows * n])
        weight, sums, y = (memory[a:b].reshape(shape) for a, b, shape in zip(at, (k * n, at[1] + PARTS * width, at[3]), [(k, n), (PARTS, width), (rows, n)]))
        weight[...] = numbers
        for p in range(PARTS):
            part(p, sums, x, weight)
        for block in range(3):
            MODULE._add_parts(block, y, sums, x[0, :0])
        results.add(y.tobytes())
    assert len(results) == 1


def test_infinity_and_nan_go_where_they_belong():
    """Rows of zeros that stand for missing ones, times infinity, are NaN, and nobody sees them."""
    weight = RNG.normal(size=(40, COLUMNS))
    weight[3, 5], weight[4, 6], weight[5, 7] = np.inf, -np.inf, np.nan
    for order in "CF":
        for m in (1, 2):
            y = few_rows(np.ones((m, 40)), np.asarray(weight, order=order))
            assert (y[:, 5] == np.inf).all() and (y[:, 6] == -np.inf).all() and np.isnan(y[:, 7]).all()
            assert np.isfinite(np.delete(y, [5, 6, 7], axis=1)).all()


@pytest.mark.compiled
def test_linear_uses_it_for_few_rows_and_large_matrices(monkeypatch):
    """Catches a product that is taken for one of few rows and does not fit, and one that stays with BLAS."""
    calls = []
    monkeypatch.setattr(sys.modules[ops.linear.__module__], "few_rows", lambda x, weight: calls.append(x.shape) or x @ weight)
    large = np.ones((LARGE // NARROWEST, NARROWEST), np.float32)
    for m in (1, MOST, MOST + 1):
        ops.linear(np.ones((m, len(large)), np.float32), large)
    ops.linear(np.ones((0, len(large)), np.float32), large)
    ops.linear(np.ones((1, len(large) - 1), np.float32), large[1:])
    ops.linear(np.ones((1, len(large)), np.float32), np.ones((len(large), 2 * NARROWEST), np.float32)[:, ::2])
    ops.linear(np.ones((1, LARGE), np.float32), np.ones((LARGE, 1), np.float32))
    assert calls == [(1, len(large)), (MOST, len(large))]


def test_plain_python_leaves_large_matrices_to_blas(monkeypatch):
    """A loop over half a million numbers takes seconds there."""
    x, weight = np.ones((1, LARGE // NARROWEST)), np.ones((LARGE // NARROWEST, NARROWEST))
    for value, expected in (("0", True), ("", True), ("1", False)):
        monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
        assert fits(x, weight) == expected
