"""RMSNorm."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.ops.layer_norm import check_eps
from tinytx.shapes import check_dtype


class RMSNorm(Layer):
    """The normalisation of `tinytx.ops.rms_norm` over the last axis: no mean is subtracted, and there is no bias.

    Parameters
    ----------
    d_model : int
    eps : float
        Added to the mean square.
    dtype : float32 or float64

    Attributes
    ----------
    weight : Parameter (D,)
        It starts at 1.
    """

    def __init__(self, d_model, *, eps=1e-6, dtype=np.float32):
        check_sizes("RMSNorm", d_model=d_model)
        self.eps = check_eps("RMSNorm", eps)
        self.weight = Parameter(np.ones(d_model, check_dtype("RMSNorm", dtype)))

    def forward(self, x, tape=None):
        """(..., D) -> (..., D)."""
        y, saved = ops.rms_norm(x, self.weight.data, self.eps)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape, *, onto=None):
        dx, dweight = ops.rms_norm_backward(dy, tape.pop(self), onto=onto)
        self.weight.add_grad(dweight, fresh=True)
        return dx
