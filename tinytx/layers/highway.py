"""Highway: a layer that is nearly the identity at first."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers.feed_forward import Activation
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear

CARRIED = -2.0  # where gates start: a share of 0.12 is new


class Highway(Layer):
    """t activation(transform(x)) + (1 - t) x with t = s(gate(x)): `tinytx.ops.highway` (Srivastava et al. 2015, arXiv:1505.00387).

    Parameters
    ----------
    d_model : int
    activation : str
        As for `tinytx.layers.Activation`.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For both weights (D, D): W and V of the derivation. The gate's bias starts at -2, as in ELMo's program.

    Examples
    --------
    >>> layer = Highway(4, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 5, 4), np.float32)).shape
    (2, 5, 4)
    """

    def __init__(self, d_model, *, activation="relu", rng, dtype=np.float32, init=uniform_fan_in):
        self.transform = Linear(d_model, d_model, rng=rng, dtype=dtype, init=init)
        self.gate = Linear(d_model, d_model, rng=rng, dtype=dtype, init=init)
        self.gate.bias.data[...] = CARRIED
        self.activation = Activation(activation)

    def forward(self, x, tape=None):
        """(..., D) -> (..., D)."""
        h = self.activation(self.transform(x, tape), tape)
        y, saved = ops.highway(x, h, self.gate(x, tape))
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dh, dgate = ops.highway_backward(dy, tape.pop(self))
        dx = dx + self.gate.backward(dgate, tape)
        return dx + self.transform.backward(self.activation.backward(dh, tape), tape)
