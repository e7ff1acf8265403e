"""Layer norm: its statistics, constant rows and large offsets."""

import numpy as np
import pytest
from cases import Drawn
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import layer_norm, layer_norm_backward

DTYPES = [np.float32, np.float64]


@given(data=st.data())
def test_is_what_the_equations_say(data):
    """Catches the variance over D - 1, eps outside the root, and the wrong axis."""
    make = Drawn(data.draw)
    b, t, d = make.sizes(3)
    x, weight, bias, eps = make.array(b, t, d), make.array(d), make.array(d), make.choice(1e-5, 0.3)
    y, _ = layer_norm(x, weight, bias, eps)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    np.testing.assert_allclose(y, weight * normal + bias, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("constant", [0, 1, -3.5, 2.0**20])
def test_constant_row_gives_the_bias(constant, dtype):
    """Catches 0/0 without eps; at a constant row dx is that of a plain centring, divided by sqrt(eps)."""
    rng = np.random.default_rng(0)
    weight, bias, dy = (rng.normal(size=shape).astype(dtype) for shape in (4, 4, (3, 4)))
    x = np.full((3, 4), constant, dtype)
    y, saved = layer_norm(x, weight, bias, eps=1e-5)
    np.testing.assert_allclose(y, np.broadcast_to(bias, y.shape), rtol=1e-6)
    dx, dweight, dbias = layer_norm_backward(dy, saved)
    dn = weight * dy
    expected = (dn - dn.mean(-1, keepdims=True)) / np.sqrt(1e-5)
    np.testing.assert_allclose(dx, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-4)
    assert not dweight.any()
    np.testing.assert_allclose(dbias, dy.sum(0), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_mean_does_not_swallow_the_variance(dtype):
    """Catches mean(x^2) - mean(x)^2, which cancels; these numbers are exact in float32."""
    x = np.array([[0, 1, 2, 3, 4.0]], dtype)
    one, zero = np.ones(5, dtype), np.zeros(5, dtype)
    moved = layer_norm(x + dtype(2**16), one, zero)[0]
    np.testing.assert_allclose(moved, layer_norm(x, one, zero)[0], rtol=1e-6, atol=1e-6)


def test_large_and_small_values_are_finite():
    """Catches squares that overflow where the values do not; too small rows become 0, not NaN."""
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    for size in (1e18, 1e-30, 1e-44):
        x = np.array([[1, -1, 0.5, 2]], np.float32) * np.float32(size)
        y, saved = layer_norm(x, one, zero)
        assert np.isfinite(y).all()
        assert all(np.isfinite(gradient).all() for gradient in layer_norm_backward(one[None], saved))


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"weight has shape \(8,\), expected \(12,\) from x of shape \(2, 3, 12\)"):
        layer_norm(np.zeros((2, 3, 12)), np.zeros(8), np.zeros(12))
    with pytest.raises(TypeError, match="bias is float32"):
        layer_norm(np.zeros((2, 3, 12)), np.zeros(12), np.zeros(12, np.float32))
