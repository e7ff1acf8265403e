"""The linear map: gradients laid out as their parameters are, products in pieces, and errors."""

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


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("few", [0, MODULE.FEW])
def test_pieces_in_any_order_make_the_whole(monkeypatch, parts, transposed, few):
    """Catches a piece left out or made twice: 5, 6 and 7 rows or columns in 8 pieces, the last of them first."""
    for name, value in {"LARGE": 0, "LARGE_MATRIX": 0, "FEW": few}.items():
        monkeypatch.setattr(MODULE, name, value)
    pool = Backwards(parts)
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=size) for size in ((5, 7), (7, 6), (6,), (5, 6)))
    weight = np.asfortranarray(weight) if transposed else weight
    expected, saved = linear(x, weight, bias)
    gradients = linear_backward(dy, saved)
    with workers.use(pool):
        np.testing.assert_allclose(linear(x, weight, bias)[0], expected, rtol=1e-13)
        for found, one in zip(linear_backward(dy, saved), gradients):
            np.testing.assert_allclose(found, one, rtol=1e-13)
    assert pool.calls == [parts] * 3


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
