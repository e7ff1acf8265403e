"""Linear: y = x W + b."""

import math

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.init import uniform_fan_in
from tinytx.shapes import check_dtype


class Linear(Layer):
    """The linear map of `tinytx.ops.linear`.

    Parameters
    ----------
    d_in, d_out : int
        Widths of input and output.
    bias : bool
        Whether to add one; it starts at 0.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        Initial values of ``weight``.

    Attributes
    ----------
    weight : Parameter (d_in, d_out)
    bias : Parameter (d_out,), or None
    """

    def __init__(self, d_in, d_out, *, bias=True, rng, dtype=np.float32, init=uniform_fan_in):
        check_sizes("Linear", d_in=d_in, d_out=d_out)
        self.weight = Parameter(init(rng, (d_in, d_out)).astype(check_dtype("Linear", dtype)))
        self.bias = Parameter(np.zeros(d_out, dtype)) if bias else None

    @property
    def matrix(self):
        """W of y = x W, for an operation that takes it over."""
        return self.weight.data

    def add_matrix_grad(self, dmatrix):
        """Add a fresh contribution to the gradient of `matrix`."""
        self.weight.add_grad(dmatrix, fresh=True)

    def forward(self, x, tape=None):
        """(..., d_in) -> (..., d_out)."""
        y, saved = ops.linear(x, self.weight.data, self.bias.data if self.bias else None)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight, dbias = ops.linear_backward(dy, tape.pop(self), frozen=self.weight.frozen)
        if dweight is not None:
            self.add_matrix_grad(dweight)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx


class TiedLinear(Layer):
    """The output layer that uses the embedding's table as its weight (Press and Wolf 2017, arXiv:1608.05859).

    Logit v is the scalar product of x with row v of the table: y = x W^T. The table gets two gradients, one here and
    one where it embeds, which add up.

    Parameters
    ----------
    weight : Parameter (V, D)
        The embedding's own.
    bias : bool
        Whether to add one, which nothing shares; it starts at 0.

    Attributes
    ----------
    weight : Parameter (V, D)
    bias : Parameter (V,), or None
    """

    def __init__(self, weight, *, bias=False):
        self.weight = weight
        self.bias = Parameter(np.zeros(len(weight.data), weight.data.dtype)) if bias else None

    @property
    def matrix(self):
        """W of y = x W, for an operation that takes it over: the table transposed."""
        return self.weight.data.T

    def add_matrix_grad(self, dmatrix):
        """Add a fresh contribution to the gradient of `matrix`."""
        self.weight.add_grad(dmatrix.T, fresh=True)

    def forward(self, x, tape=None):
        """(..., D) -> (..., V)."""
        y, saved = ops.linear(x, self.weight.data.T, self.bias.data if self.bias else None)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dmatrix, dbias = ops.linear_backward(dy, tape.pop(self), frozen=self.weight.frozen)
        if dmatrix is not None:
            self.add_matrix_grad(dmatrix)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx


def draw_biases(model, rng):
    """Draw the biases of a model's linear maps as PyTorch does: uniform in +-1/sqrt(d_in), like their matrices.

    Parameters
    ----------
    model : Layer
        Every `Linear` in it that has a bias gets another.
    rng : numpy.random.Generator
    """
    for _, layer in model.named_layers():
        if isinstance(layer, Linear) and layer.bias:
            bound = 1 / math.sqrt(max(1, len(layer.weight.data)))
            layer.bias.data[...] = rng.uniform(-bound, bound, layer.bias.data.shape)
