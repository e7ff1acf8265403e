"""The linear map: gradients laid out as their parameters are, products in pieces, and errors."""

import itertools
import sys

import numpy as np
import pytest
from cases import Backwards

from tinytx import workers
from tinytx.ops import linear, linear_backward

MODULE = sys.modules[linear.__module__]


def test_gradient_of_a_transposed_weight_is_laid_out_like_it():
    """Catches a tied head whose gradient must be copied before it can be added to the table's."""
    table = np.zeros((7, 4))
    _, saved = linear(np.zeros((2, 3, 4)), table.T)
    dweight = linear_backward(np.zeros((2, 3, 7)), saved)[1]
    assert dweight.T.flags.c_contiguous


def problem(transposed, m=50):
    """Return x, W, b and dy with more rows and columns than a part begins with."""
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=size) for size in ((m, 70), (70, 60), (60,), (m, 60)))
    return x, np.asfortranarray(weight) if transposed else weight, bias, dy


def results(x, weight, bias, dy):
    y, saved = linear(x, weight, bias)
    return y, linear(x, weight, bias, onto=dy)[0], *linear_backward(dy, saved), *linear_backward(dy, saved, frozen=True)[::2]


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("m", [3, 50])
def test_pieces_in_any_order_make_the_whole(monkeypatch, parts, transposed, m):
    """Catches a piece left out or made twice, empty ones among them, the last of them first; and many rows in one piece."""
    x, weight, bias, dy = problem(transposed, m)
    y = x @ weight + bias
    pool, expected = Backwards(parts), (y, dy + y, dy @ weight.T, x.T @ dy, dy.sum(0), dy @ weight.T, dy.sum(0), x @ weight)
    for large, calls in ((1 << 60, []), (0, [parts] * (5 if m > MODULE.FEW else 2))):
        monkeypatch.setattr(MODULE, "LARGE", large)
        with workers.use(pool):
            for found, one in zip((*results(x, weight, bias, dy), MODULE.product(x, weight)), expected, strict=True):
                np.testing.assert_allclose(found, one, rtol=1e-12, atol=1e-12)
        assert pool.calls == calls


@pytest.mark.compiled
@pytest.mark.parametrize("transposed", [False, True])
def test_helpers_change_no_bit(monkeypatch, transposed):
    """The parts are the same where a helper takes some, where none is awake, and where threads are woken for them."""
    arrays = problem(transposed)
    monkeypatch.setattr(MODULE, "SHARED", 0)
    with workers.use(workers.Pool(3)), workers.awake.use():
        expected = results(*arrays)
        for awake, large in itertools.product((True, False), (0, 1 << 60)):
            monkeypatch.setattr(workers.awake._helpers, "may_help", lambda: awake)  # noqa: B023
            monkeypatch.setattr(MODULE, "LARGE", large)
            with workers.awake.use():
                for _ in range(50 if awake else 1):
                    for found, one in zip(results(*arrays), expected, strict=True):
                        np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_wide_matrix_is_cut_by_columns_for_more_rows(monkeypatch, transposed):
    """Catches columns left out, or those of another part, and biases that are not theirs."""
    monkeypatch.setattr(MODULE, "LARGE", 0)
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.normal(size=size) for size in ((MODULE.FEW + 3, 520), (520, 1030), (1030,)))
    assert weight.size >= MODULE.WIDE
    with workers.use(Backwards(3)):
        y, _ = linear(x, np.asfortranarray(weight) if transposed else weight, bias)
    np.testing.assert_allclose(y, x @ weight + bias, rtol=1e-12, atol=1e-12)


def test_few_rows_of_a_large_matrix_are_cut_by_columns(monkeypatch):
    """Catches a piece left out: 6 columns in 8 pieces, the last of them first."""
    monkeypatch.setattr(MODULE, "LARGE_MATRIX", 0)
    x, weight, pool = np.arange(35.0).reshape(5, 7), np.arange(42.0).reshape(7, 6), Backwards(8)
    with workers.use(pool):
        np.testing.assert_array_equal(linear(x, weight, np.arange(6.0))[0], x @ weight + np.arange(6.0))
    assert pool.calls == [8]


def test_small_products_are_made_in_one_piece():
    """Catches threads woken for a product that takes less time than waking them."""
    pool = Backwards(2)
    with workers.use(pool):
        linear(np.ones((2, 3)), np.ones((3, 4)))
    assert not pool.calls


@pytest.mark.parametrize(("n", "calls"), [(1, []), (2, [2]), (16, [2]), (17, [2])])
def test_a_matrix_is_cut_where_rows_are_few(monkeypatch, n, calls):
    """Each thread reads its own columns; one row is read so fast that its matrix must be three times as large."""
    monkeypatch.setattr(MODULE, "LARGE_MATRIX", 21)
    monkeypatch.setattr(MODULE, "LARGE", 12 * 17)
    pool, x, weight = Backwards(2), np.arange(3.0 * n).reshape(n, 3), np.arange(12.0).reshape(3, 4)
    with workers.use(pool):
        np.testing.assert_array_equal(linear(x, weight)[0], x @ weight)
    assert pool.calls == calls


def test_any_number_of_leading_axes():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 6)), rng.normal(size=6)
    y, _ = linear(x, weight, bias)
    np.testing.assert_allclose(linear(x[1, 2, 3], weight, bias)[0], y[1, 2, 3], rtol=1e-13)
    np.testing.assert_allclose(linear(x[1], weight, bias)[0], y[1], rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        ((2, 5), (4, 6), None, r"weight of shape \(4, 6\) does not fit x of shape \(2, 5\)"),
        ((2, 4), (4,), None, "does not fit"),
        ((), (4, 6), None, "does not fit"),
        ((2, 4), (4, 6), (4,), r"bias has shape \(4,\), expected \(6,\)"),
        ((2, 4), (4, 6), (1,), r"bias has shape \(1,\), expected \(6,\)"),
    ],
)
def test_refuses_what_does_not_fit(x, weight, bias, message):
    """Catches a bias of one element that is broadcast."""
    with pytest.raises(ValueError, match=message):
        linear(np.zeros(x), np.zeros(weight), None if bias is None else np.zeros(bias))


def test_refuses_mixed_dtypes():
    with pytest.raises(TypeError, match="x is float32, weight is float64"):
        linear(np.zeros((2, 4), np.float32), np.zeros((4, 6)))
