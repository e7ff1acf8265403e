r"""Patches: an image cut into squares, each written as one row (Dosovitskiy et al. 2020, arXiv:2010.11929, 3.1).

Derivation
----------
An image x, (H, W, C), is cut into squares of P x P pixels, H/P rows of w = W/P squares, one row after the other. So the
square at row i and column j is patch i w + j. A patch is written with channel c first, then row p and column q inside it:

    y_{i w + j, c P P + p P + q} = x_{i P + p, j P + q, c}.              (1)

Each element of x stands at one place of y, and at no other:

    y . y = sum_a sum_b sum_c x_abc^2

So y is x in another order, y = Π x with a permutation Π, whose transpose is its inverse. Backward multiplies dy by the
transpose: it reads the same places in the other direction,

    dx_{i P + p, j P + q, c} = dy_{i w + j, c P P + p P + q}.            (2)

What is kept: the shape of x and P. No number of x is needed.

A linear map of the patches is a convolution whose squares do not overlap. In the order of (1) its matrix (C P P, D),
transposed, is that convolution's kernel (D, C, P, P), element by element, as files of published models hold it.

Example: one channel, H = 2, W = 4, P = 2. The image 0 1 2 3 / 4 5 6 7 has two patches, 0 1 4 5 and 2 3 6 7.

The same in plain NumPy: ``patches`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.shapes import check_axes, check_float, check_gradient


class Saved(NamedTuple):
    shape: tuple  # of the images
    size: int
    dtype: np.dtype


def patches(images, size):
    """Return the patches of images.

    Parameters
    ----------
    images : array (B, H, W, C), float32 or float64
    size : int
        Pixels along each side of a patch, P, a divisor of H and of W.

    Returns
    -------
    y : array (B, N, C P P) for N = H W / P^2 patches
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If the images have other axes, or the size does not divide their sides.
    """
    check_float("patches", images=images)
    check_axes("patches", "images", images, "(B, H, W, C)")
    size = check_whole("patches", "size", size, 1)
    b, h, w, c = images.shape
    if h % size or w % size:
        raise ValueError(f"patches: size is {size}, expected a divisor of the sides of images of shape {images.shape}")
    squares = images.reshape(b, h // size, size, w // size, size, c)
    y = np.array(squares.transpose(0, 1, 3, 5, 2, 4), order="C")  # (1)
    return y.reshape(b, (h // size) * (w // size), c * size * size), Saved(images.shape, size, images.dtype)


def patches_backward(dy, saved):
    """Return dimages (B, H, W, C).

    Parameters
    ----------
    dy : array (B, N, C P P)
    saved : Saved
    """
    (b, h, w, c), size, dtype = saved
    shape = b, (h // size) * (w // size), c * size * size
    check_gradient("patches_backward", dy, shape, dtype, f"patches of size {size} of images of shape", saved.shape)
    squares = dy.reshape(b, h // size, w // size, c, size, size)
    return np.array(squares.transpose(0, 1, 4, 2, 5, 3), order="C").reshape(saved.shape)  # (2)
