"""The feed-forward layer with a gate, as in T5 v1.1 and in many later models."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers.block import backward_onto, forward_onto
from tinytx.layers.dropout import Dropout
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear


class GatedFeedForward(Layer):
    """contract(dropout(activation(gate(x)) expand(x))), without biases: `tinytx.ops.gate` (Shazeer 2020, arXiv:2002.05202).

    Parameters
    ----------
    d_model, d_ff : int
    activation : {"gelu", "gelu_tanh", "relu", "silu"}
    dropout : float in [0, 1)
        Of the product activation(gate(x)) expand(x).
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        For the weights of ``gate`` and ``expand``, and of ``contract``: W, V and W_2 in the paper.
    """

    def __init__(
        self,
        d_model,
        d_ff,
        *,
        activation="gelu_tanh",
        dropout=0.0,
        rng,
        dtype=np.float32,
        init=uniform_fan_in,
        init_output=None,
    ):
        linear = {"bias": False, "rng": rng, "dtype": dtype}
        self.gate = Linear(d_model, d_ff, init=init, **linear)
        self.expand = Linear(d_model, d_ff, init=init, **linear)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.contract = Linear(d_ff, d_model, init=init_output or init, **linear)

    def forward(self, x, tape=None, *, onto=None):
        """(..., D) -> (..., D); added to ``onto`` (..., D), if it is given, whose gradient is dy."""
        a, b = self.gate(x, tape), self.expand(x, tape)  # (..., F)
        y, saved = ops.gate(a, b, self.activation)
        if tape is not None:
            tape.push(self, saved)
        return forward_onto(onto, self.contract, self.dropout(y, tape), tape=tape)

    def backward(self, dy, tape):
        dy = self.dropout.backward(self.contract.backward(dy, tape), tape)
        da, db = ops.gate_backward(dy, tape.pop(self))
        dx = self.expand.backward(db, tape)
        return backward_onto(dx, self.gate, da, tape)
