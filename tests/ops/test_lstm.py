"""The LSTM over a sequence: parts one after the other, padding anywhere, empty axes, large numbers, refused gradients."""

import numpy as np
import pytest
from cases import Seeded, signs
from op_cases import OPS

from tinytx import ops


def arrays_of(b=3, t=6, d=2, r=4):
    make = Seeded(0)
    shapes = (b, t, d), (d, 4 * r), (r, 4 * r), (4 * r,), (b, r), (b, r)
    return [make.array(*shape, scale=0.7) for shape in shapes]


@pytest.mark.parametrize("cut", [0, 1, 4, 6])
def test_two_parts_are_the_whole(cut):
    """Forward and backward: the second part begins where the first ended, and sends its dh and dc back to it."""
    x, *weights, h, c = arrays_of()
    outputs, saved = ops.lstm(x, *weights, h, c)
    dy = [signs(np.random.default_rng(n), array.shape) for n, array in enumerate(outputs)]
    dx, *dweights, dh, dc = ops.lstm_backward(tuple(dy), saved)

    (y, *middle), first = ops.lstm(x[:, :cut], *weights, h, c)
    (rest, *final), second = ops.lstm(x[:, cut:], *weights, *middle)
    for expected, actual in zip(outputs, (np.concatenate([y, rest], axis=1), *final), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)
    dx_2, *dweights_2, dh_2, dc_2 = ops.lstm_backward((dy[0][:, cut:], *dy[1:]), second)
    dx_1, *dweights_1, dh_1, dc_1 = ops.lstm_backward((dy[0][:, :cut], dh_2, dc_2), first)
    parts = [np.concatenate([dx_1, dx_2], axis=1), *map(np.add, dweights_1, dweights_2), dh_1, dc_1]
    for expected, actual in zip((dx, *dweights, dh, dc), parts, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_padding_anywhere_is_as_if_it_were_not_there():
    """A row that is all padding too; what stands at padding reaches nothing."""
    x, *others = arrays_of()
    mask = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    dy = [signs(np.random.default_rng(n), shape) for n, shape in enumerate(((3, 6, 4), (3, 4), (3, 4)))]
    outputs, saved = ops.lstm(np.where(mask[..., None], x, 1e3), *others, mask=mask)
    dx, *gradients = ops.lstm_backward(tuple(dy), saved)
    assert not outputs[0][~mask].any() and not dx[~mask].any()
    summed = [np.zeros_like(gradient) for gradient in gradients]
    for row, kept in enumerate(mask):
        own = slice(row, row + 1)
        alone = [x[own, kept], *others[:3], *(array[own] for array in others[3:])]
        (y, h, c), saved = ops.lstm(*alone)
        for actual, expected in ((outputs[0][own, kept], y), (outputs[1][own], h), (outputs[2][own], c)):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)
        dx_alone, *rest = ops.lstm_backward((dy[0][own, kept], dy[1][own], dy[2][own]), saved)
        np.testing.assert_allclose(dx[own, kept], dx_alone, rtol=0, atol=1e-14)
        for total, gradient in zip(summed, rest, strict=True):
            total[own if len(gradient) == 1 else ...] += gradient
    for actual, expected in zip(gradients, summed, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_without_h_and_c_it_begins_with_zeros():
    x, *weights, h, c = arrays_of()
    (y, *final), saved = ops.lstm(x, *weights)
    (expected, *others), known = ops.lstm(x, *weights, 0 * h, 0 * c)
    np.testing.assert_array_equal(y, expected)
    dy = np.ones_like(y), *map(np.ones_like, final)
    for actual, gradient in zip(ops.lstm_backward(dy, saved), ops.lstm_backward(dy, known), strict=True):
        np.testing.assert_array_equal(actual, gradient)
    unused = ops.lstm_backward((dy[0], None, None), saved)
    for actual, gradient in zip(unused, ops.lstm_backward((dy[0], 0 * h, 0 * c), saved), strict=True):
        np.testing.assert_array_equal(actual, gradient)


@pytest.mark.parametrize("sizes", [(0, 3, 2, 4), (2, 0, 2, 4), (2, 3, 0, 4), (2, 3, 2, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_of_nothing(sizes, dtype):
    """Nothing to read: h and c stay; no features: the bias alone moves them."""
    arrays = [array.astype(dtype) for array in arrays_of(*sizes)]
    (y, h, c), saved = ops.lstm(*arrays)
    if sizes[1] == 0:
        np.testing.assert_array_equal(h, arrays[4])
        np.testing.assert_array_equal(c, arrays[5])
    gradients = ops.lstm_backward((np.ones_like(y), np.ones_like(h), np.ones_like(c)), saved)
    for gradient, array in zip(gradients, arrays, strict=True):
        assert gradient.shape == array.shape and gradient.dtype == dtype and np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e3, 1e30, np.inf])
def test_saturated_gates_are_0_and_1(size, dtype):
    """Catches an exponential that overflows to infinity / infinity."""
    x, *others = (array.astype(dtype) for array in arrays_of())
    others[2] = np.sign(others[2]) * dtype(size)
    (y, h, c), saved = ops.lstm(x, *others)
    np.testing.assert_array_equal(np.unique(saved.gates), [-1, 0, 1])
    gradients = ops.lstm_backward((np.ones_like(y), np.ones_like(h), np.ones_like(c)), saved)
    assert all(np.isfinite(array).all() for array in (y, h, c, *gradients))


def test_gradients_that_are_not_three_are_refused():
    x, *others = arrays_of()
    (y, h, c), saved = ops.lstm(x, *others)
    with pytest.raises(TypeError, match=r"lstm_backward: dy is not \(dy, dh, dc\), expected because"):
        ops.lstm_backward(y, saved)
    with pytest.raises(ValueError, match=r"lstm_backward: dy has shape \(2, 4\), expected \(3, 4\)"):
        ops.lstm_backward((y, h[:2], c), saved)


@pytest.mark.parametrize(("at", "shape", "message"), [
    (0, (3, 6), r"x has shape \(3, 6\), expected \(B, T, D\)"),
    (1, (3, 16), r"weight_x has shape \(3, 16\), expected \(2, 16\) from x and weight_h of shapes"),
    (2, (4, 12), r"weight_h has shape \(4, 12\), expected \(4, 16\) from its first axis"),
    (3, (4,), r"bias has shape \(4,\), expected \(16,\)"),
    (4, (3, 5), r"h has shape \(3, 5\), expected \(3, 4\)"),
    (5, (2, 4), r"c has shape \(2, 4\), expected \(3, 4\)"),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_named(at, shape, message):
    arrays = arrays_of()
    arrays[at] = np.zeros(shape)
    with pytest.raises(ValueError, match=f"lstm: {message}"):
        ops.lstm(*arrays)


def test_a_padded_case_has_padding():
    """The test of the test: the table's padded case pads in some of its seeds."""
    assert any(not OPS["lstm padded"](Seeded(seed)).options["mask"].all() for seed in range(4))
