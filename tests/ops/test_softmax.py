"""Softmax: its invariants, and masks that hide whatever they cover."""

import numpy as np
import pytest
from cases import Drawn
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import softmax, softmax_backward

DTYPES = [np.float32, np.float64]


@given(data=st.data())
def test_rows_sum_to_one_and_gradients_to_zero(data):
    """Catches a row that is normalised over the wrong axis, and a backward without its second term."""
    make = Drawn(data.draw)
    b, t, s = make.sizes(3)
    y, saved = softmax(make.array(b, t, s, scale=5.0))
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=0, atol=1e-15 * s)
    dx = softmax_backward(make.array(b, t, s), saved)
    np.testing.assert_allclose(dx.sum(axis=-1), 0, atol=1e-15 * s)


@given(data=st.data())
@pytest.mark.parametrize("hidden", [np.nan, -np.nan, np.inf, -np.inf, 1e300])
def test_masked_elements_are_zero_whatever_is_in_them(hidden, data):
    """Catches 0 * NaN, and a mask applied to the result only: the allowed elements' sum must be without the masked."""
    make = Drawn(data.draw)
    b, t, s = make.sizes(3)
    x, dy, mask = make.array(b, t, s), make.array(b, t, s), make.mask(b, t, s)
    y, saved = softmax(x, mask)
    dx = softmax_backward(dy, saved)
    assert not y[~mask].any() and not dx[~mask].any()
    assert not y[0, 0].any() and not dx[0, 0].any()  # the row that is masked whole
    x[~mask] = dy[~mask] = hidden
    hidden_y, saved = softmax(x, mask)
    np.testing.assert_array_equal(hidden_y, y)
    np.testing.assert_array_equal(softmax_backward(dy, saved), dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nan", [np.nan, -np.nan])
def test_nan_that_is_not_masked_is_not_hidden(nan, dtype):
    """Catches a row of NaN (0/0 has its sign bit set on x86) that passes as a row masked whole and becomes 0."""
    y, _ = softmax(np.full((2, 5), nan, dtype))
    assert np.isnan(y).all()
    x = np.zeros((2, 5), dtype)
    x[0, 3] = nan
    y, _ = softmax(x)
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_does_not_see_a_constant_and_never_overflows(dtype):
    """Catches an exponential without the row's maximum taken away first."""
    x = np.array([[0, 1, 2, 3.5]], dtype)
    np.testing.assert_array_equal(softmax(x + dtype(2**20))[0], softmax(x)[0])
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal(softmax(np.array([[largest, largest, -largest]], dtype))[0], [[0.5, 0.5, 0]])


def test_broadcasts_its_mask():
    x = np.arange(24.0).reshape(2, 3, 4)
    mask = np.array([True, False, True, True])
    np.testing.assert_array_equal(softmax(x, mask)[0], softmax(x, np.broadcast_to(mask, x.shape))[0])


@pytest.mark.parametrize("mask", [np.zeros((3, 4)), np.ones((3, 4), int)])
def test_refuses_a_mask_that_is_not_boolean(mask):
    """Catches an additive mask of 0 and -inf, which as truth values means the opposite."""
    with pytest.raises((TypeError, ValueError), match="mask"):
        softmax(np.zeros((3, 4)), mask)


def test_refuses_integers():
    with pytest.raises(TypeError, match="softmax: x is int64"):
        softmax(np.zeros((3, 4), int))
