"""The feed-forward layer of a transformer's block, and the activations it can have."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers.block import forward_onto
from tinytx.layers.dropout import Dropout, drops_nothing
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.members import is_altered
from tinytx.ops.gelu_linear import FORMS

ACTIVATIONS = {
    "gelu": (ops.gelu, ops.gelu_backward),
    "gelu_tanh": (ops.gelu_tanh, ops.gelu_tanh_backward),
    "relu": (ops.relu, ops.relu_backward),
    "silu": (ops.silu, ops.silu_backward),
    "tanh": (ops.tanh, ops.tanh_backward),
}
KEEP_INPUT = ("gelu", "gelu_tanh", "silu")  # the others keep their output, which the next layer keeps too


class Activation(Layer):
    """An elementwise function, chosen by its name.

    Parameters
    ----------
    name : {"gelu", "gelu_tanh", "relu", "silu", "tanh"}

    Raises
    ------
    ValueError
        If there is no function of this name.
    """

    def __init__(self, name):
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise ValueError(f"Activation: unknown name {name!r}, expected one of {', '.join(sorted(ACTIVATIONS))}")
        self.name = name

    def forward(self, x, tape=None):
        """x of any shape -> y of the same shape."""
        y, saved = ACTIVATIONS[self.name][0](x)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ACTIVATIONS[self.name][1](dy, tape.pop(self))


class FeedForward(Layer):
    """contract(dropout(activation(expand(x)))): the same two linear maps at every position (Vaswani et al. 2017, 3.3).

    Parameters
    ----------
    d_model, d_ff : int
    activation : str
        As for `Activation`.
    dropout : float in [0, 1)
        Of the inner activations.
    bias : bool
        Whether the two linear maps have a bias.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        For the weights of ``expand`` and of ``contract``, W_1 and W_2 in the paper.
    """

    def __init__(
        self,
        d_model,
        d_ff,
        *,
        activation="gelu_tanh",
        dropout=0.0,
        bias=True,
        rng,
        dtype=np.float32,
        init=uniform_fan_in,
        init_output=None,
    ):
        linear = {"bias": bias, "rng": rng, "dtype": dtype}
        self.expand = Linear(d_model, d_ff, init=init, **linear)
        self.activation = Activation(activation)
        self.dropout = Dropout(dropout)
        self.contract = Linear(d_ff, d_model, init=init_output or init, **linear)

    def forward(self, x, tape=None, *, onto=None):
        """(..., D) -> (..., D); added to ``onto`` (..., D), if it is given, whose gradient is dy."""
        h = self.expand(x, tape)  # (..., F)
        if self._is_one_call(tape):
            bias = self.contract.bias
            y, saved = ops.gelu_linear(h, self.contract.matrix, bias.data if bias else None, self.activation.name, onto=onto)
            tape.push(self, saved)
            return y
        a = self.dropout(self.activation(h, tape), tape)  # (..., F)
        first = 0 if tape is None else len(tape)
        y = forward_onto(onto, self.contract, a, tape=tape)
        if tape is not None and self._keeps_one():
            tape.replace(a, h, first)
            tape.push(self, (h, first))
        return y

    def _keeps_one(self):
        """Return whether backward computes a from h, so that the tape keeps one array (..., F) and not two."""
        return isinstance(self.activation, Activation) and self.activation.name in KEEP_INPUT and drops_nothing(self.dropout)

    def _is_one_call(self, tape):
        """Return whether one operation activates and contracts: not where somebody watches the layers in it, or another layer stands there."""
        if tape is None or tape.is_watched or type(self.activation) is not Activation or type(self.contract) is not Linear:
            return False
        altered = is_altered(self.activation) or is_altered(self.dropout) or is_altered(self.contract)
        return self.activation.name in FORMS and drops_nothing(self.dropout) and not altered

    def backward(self, dy, tape):
        if self._is_one_call(tape):
            weight = self.contract.weight
            dh, dweight, dbias = ops.gelu_linear_backward(dy, tape.pop(self), frozen=weight.frozen, unmade=weight.takes_unmade(dy))
            self.contract.add_grads(dweight, dbias)
            return self.expand.backward(dh, tape)
        if self._keeps_one():
            h, first = tape.pop(self)
            tape.replace(h, self.activation(h), first)
        dx = self.dropout.backward(self.contract.backward(dy, tape), tape)  # (..., F)
        return self.expand.backward(self.activation.backward(dx, tape), tape)
