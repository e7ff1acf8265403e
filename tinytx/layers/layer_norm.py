"""LayerNorm."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.ops.layer_norm import check_eps
from tinytx.shapes import check_dtype


class LayerNorm(Layer):
    """The normalisation of `tinytx.ops.layer_norm` over the last axis.

    Parameters
    ----------
    d_model : int
    eps : float
        Added to the variance (GPT-2 1e-5, BERT 1e-12).
    bias : bool
        Whether to add a bias.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter (D,)
        ``weight`` starts at 1, and ``bias`` at 0; without a bias, ``bias`` is None.
    """

    def __init__(self, d_model, *, eps=1e-5, bias=True, dtype=np.float32):
        check_sizes("LayerNorm", d_model=d_model)
        dtype, self.eps = check_dtype("LayerNorm", dtype), check_eps("LayerNorm", eps)
        self.weight = Parameter(np.ones(d_model, dtype))
        zeros = np.zeros(d_model, dtype)
        self.bias, self.zeros = (Parameter(zeros), None) if bias else (None, zeros)

    def forward(self, x, tape=None):
        """(..., D) -> (..., D)."""
        bias = self.bias.data if self.bias else self.zeros
        y, saved = ops.layer_norm(x, self.weight.data, bias, self.eps)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape, *, onto=None):
        dx, dweight, dbias = ops.layer_norm_backward(dy, tape.pop(self), onto=onto)
        self.weight.add_grad(dweight, fresh=True)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx
