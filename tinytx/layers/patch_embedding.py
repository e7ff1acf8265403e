"""Layers that turn an image into a sequence: vectors of its patches, and a class token in front of them."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.init import normal, uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.shapes import check_dtype


class PatchEmbedding(Layer):
    """A linear map of each patch of an image (Dosovitskiy et al. 2020, equation (1)).

    Parameters
    ----------
    patch_size, n_channels, d_model : int
        P, C and D.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    linear : Linear
        Its weight is (C P P, D). Transposed and reshaped, it is the kernel (D, C, P, P) of a convolution.
    """

    def __init__(self, patch_size, n_channels, d_model, *, rng, dtype=np.float32, init=uniform_fan_in):
        check_sizes("PatchEmbedding", patch_size=patch_size, n_channels=n_channels, d_model=d_model)
        self.patch_size = patch_size
        self.linear = Linear(n_channels * patch_size * patch_size, d_model, rng=rng, dtype=dtype, init=init)

    def forward(self, images, tape=None):
        """(B, H, W, C) -> (B, N, D) for N = H W / P^2 patches; raises ValueError if P does not divide H and W."""
        y, saved = ops.patches(images, self.patch_size)
        if tape is not None:
            tape.push(self, saved)
        return self.linear(y, tape)

    def backward(self, dy, tape):
        """Return dimages (B, H, W, C)."""
        dy = self.linear.backward(dy, tape)
        return ops.patches_backward(dy, tape.pop(self))


class ClassToken(Layer):
    """A learned vector in front of every sequence. It stands for no word or patch, so it can become a summary.

    Parameters
    ----------
    d_model : int
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    weight : Parameter (1, D)
    """

    def __init__(self, d_model, *, rng, dtype=np.float32, init=normal(0.02)):
        check_sizes("ClassToken", d_model=d_model)
        self.weight = Parameter(init(rng, (1, d_model)).astype(check_dtype("ClassToken", dtype)))

    def forward(self, x, tape=None):
        """(B, T, D) -> (B, 1 + T, D)."""
        y, saved = ops.prepend(x, self.weight.data)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight = ops.prepend_backward(dy, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        return dx
