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
        Whether to add a bias; it starts at 0.
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
    def d_in(self):
        """The width of the input."""
        return len(self.weight.data)

    @property
    def matrix(self):
        """W of y = x W (d_in, d_out), for an operation that contains the product: `tinytx.ops.linear_cross_entropy`."""
        return self.weight.data

    def add_matrix_grad(self, dmatrix):
        """Add ``dmatrix``, an array that is used nowhere else, to the gradient of `matrix`."""
        self.weight.add_grad(dmatrix, fresh=True)

    def forward(self, x, tape=None, *, onto=None):
        """(..., d_in) -> (..., d_out); added to ``onto`` (..., d_out), if it is given, whose gradient is dy."""
        y, saved = ops.linear(x, self.weight.data, self.bias.data if self.bias else None, onto=onto)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape, *, onto=None):
        unmade = self.weight.takes_unmade(dy)
        dx, *gradients = ops.linear_backward(dy, tape.pop(self), frozen=self.weight.frozen, onto=onto, unmade=unmade)
        self.add_grads(*gradients)
        return dx

    def add_grads(self, dweight, dbias):
        """Add what a backward returned for ``weight`` and ``bias``, arrays that are used nowhere else, or None."""
        if dweight is not None:
            self.add_matrix_grad(dweight)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)


class TiedLinear(Layer):
    """The output layer that uses the embedding's table as its weight (Press and Wolf 2017, arXiv:1608.05859).

    Logit v is the scalar product of x with row v of the table: y = x W^T. The table's gradient is the sum of two
    contributions, one from this layer and one from the embedding.

    Parameters
    ----------
    weight : Parameter (V, D)
        The embedding's parameter itself, not a copy.
    bias : bool
        Whether to add a bias; it starts at 0, and the embedding does not use it.

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
        """W of y = x W (D, V), the table transposed, for an operation that contains the product."""
        return self.weight.data.T

    def add_matrix_grad(self, dmatrix):
        """Add ``dmatrix``, an array that is used nowhere else, to the gradient of `matrix`."""
        self.weight.add_grad(dmatrix.T, fresh=True)

    def forward(self, x, tape=None):
        """(..., D) -> (..., V)."""
        y, saved = ops.linear(x, self.weight.data.T, self.bias.data if self.bias else None)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        unmade = self.weight.takes_unmade(dy)
        dx, dmatrix, dbias = ops.linear_backward(dy, tape.pop(self), frozen=self.weight.frozen, unmade=unmade)
        if dmatrix is not None:
            self.add_matrix_grad(dmatrix)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx


def draw_biases(model, rng):
    """Draw the biases of a model's linear maps as PyTorch does: uniform in +-1/sqrt(d_in).

    Parameters
    ----------
    model : Layer
        The bias of every `Linear` in it gets new values, in place.
    rng : numpy.random.Generator
    """
    for _, layer in model.named_layers():
        if isinstance(layer, Linear) and layer.bias:
            bound = 1 / math.sqrt(max(1, len(layer.weight.data)))
            layer.bias.data[...] = rng.uniform(-bound, bound, layer.bias.data.shape)
