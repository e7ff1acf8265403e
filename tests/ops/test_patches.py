"""Patches and the class token: the examples of the pages, colour images, a convolution, and the grid of positions."""

import numpy as np
import pytest

from tinytx.ops import linear, patches, patches_backward, prepend, prepend_backward, sinusoidal_grid


def test_the_example_of_the_page():
    y, saved = patches(np.arange(8.0).reshape(1, 2, 4, 1), 2)
    assert y.tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    assert patches_backward(y, saved)[0, :, :, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_backward_undoes_forward():
    """To the bit, for images that are no squares, and the arrays are new."""
    images = np.random.default_rng(0).normal(size=(3, 6, 4, 2))
    for size in (1, 2):
        y, saved = patches(images, size)
        back = patches_backward(y, saved)
        np.testing.assert_array_equal(back, images, strict=True)
        assert y.flags.c_contiguous and back.flags.c_contiguous
        assert not np.shares_memory(y, images) and not np.shares_memory(back, y)


def test_a_linear_map_of_patches_is_a_convolution():
    """Catches channels behind pixels, and columns before rows: a kernel (D, C, P, P), as published files hold it."""
    rng = np.random.default_rng(0)
    images, kernel = rng.normal(size=(2, 6, 9, 2)), rng.normal(size=(5, 2, 3, 3))
    y, _ = linear(patches(images, 3)[0], kernel.reshape(5, -1).T)
    for row in range(2):
        for column in range(3):
            square = images[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            expected = np.einsum("bpqc,dcpq->bd", square, kernel)
            np.testing.assert_allclose(y[:, 3 * row + column], expected, rtol=0, atol=1e-12)


def test_images_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"patches: images has shape \(2, 4, 4\), expected \(B, H, W, C\)"):
        patches(np.ones((2, 4, 4)), 2)
    with pytest.raises(ValueError, match=r"patches: size is 3, expected a divisor of the sides of images of shape \(2, 6, 4, 1\)"):
        patches(np.ones((2, 6, 4, 1)), 3)


def test_the_example_of_prepend():
    """Catches the gradient of the last sequence alone."""
    y, saved = prepend(np.array([[[1.0], [2]], [[3], [4]]]), np.array([[5.0]]))
    assert y[:, :, 0].tolist() == [[5, 1, 2], [5, 3, 4]]
    dx, dweight = prepend_backward(np.array([[[10.0], [20], [30]], [[40], [50], [60]]]), saved)
    assert (dx[:, :, 0].tolist(), dweight.tolist()) == ([[20, 30], [50, 60]], [[50]])
    with pytest.raises(ValueError, match=r"prepend: weight has shape \(1, 2\), expected \(n, 1\) from x of shape \(2, 2, 1\)"):
        prepend(np.ones((2, 2, 1)), np.ones((1, 2)))


def test_the_grid_is_the_papers():
    """The code of its appendix, line by line in NumPy; sides differ, so that rows are not taken for columns."""
    h, w, width = 2, 3, 12
    y, x = np.mgrid[:h, :w]
    omega = np.arange(width // 4) / (width // 4 - 1)
    omega = 1.0 / (10_000**omega)
    y, x = (np.einsum("m,d->md", place.flatten(), omega) for place in (y, x))
    expected = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    np.testing.assert_allclose(sinusoidal_grid(h, w, width, np.float64), expected, rtol=0, atol=1e-15)
    assert sinusoidal_grid(h, w, width).dtype == np.float32
