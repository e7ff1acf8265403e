"""ScalarMix: the mix of several layers' vectors that a task learns (ELMo)."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.shapes import check_dtype


class ScalarMix(Layer):
    """The mix of `tinytx.ops.scalar_mix`.

    Parameters
    ----------
    n_layers : int
        N.
    dtype : float32 or float64

    Attributes
    ----------
    scores : Parameter (N,)
        They start at 0: the mix is the mean.
    gamma : Parameter (1,)
        It starts at 1.
    """

    def __init__(self, n_layers, *, dtype=np.float32):
        check_sizes("ScalarMix", n_layers=n_layers)
        dtype = check_dtype("ScalarMix", dtype)
        self.scores, self.gamma = Parameter(np.zeros(n_layers, dtype)), Parameter(np.ones(1, dtype))

    def forward(self, layers, tape=None):
        """(..., N, D) -> (..., D)."""
        y, saved = ops.scalar_mix(layers, self.scores.data, self.gamma.data)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dlayers, dscores, dgamma = ops.scalar_mix_backward(dy, tape.pop(self))
        self.scores.add_grad(dscores, fresh=True)
        self.gamma.add_grad(dgamma, fresh=True)
        return dlayers
