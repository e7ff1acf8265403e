"""Parts of heads: what stands between a body and its output layer, and what says something about a whole text."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers import Activation, LayerNorm, Linear


class Transform(Layer):
    """What BERT does to a hidden word's vector before the output layer: norm(activation(linear(x))).

    Parameters
    ----------
    d_model : int
    activation : str
    eps : float
        Of the norm.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, d_model, *, activation, eps, rng, dtype, init):
        self.linear = Linear(d_model, d_model, rng=rng, dtype=dtype, init=init)
        self.activation = Activation(activation)
        self.norm = LayerNorm(d_model, eps=eps, dtype=dtype)

    def forward(self, x, tape=None):
        """(..., D) -> (..., D)."""
        return self.norm(self.activation(self.linear(x, tape), tape), tape)

    def backward(self, dy, tape):
        return self.linear.backward(self.activation.backward(self.norm.backward(dy, tape), tape), tape)


class TextHead(Layer):
    """What a body says about a whole text: logits of its classes, read off the first position.

    classifier(tanh(pooler(x_0))). The first token is ``[CLS]``, which means nothing by itself; so nothing but this head
    and attention use its vector, and it can become a summary of the others.

    Parameters
    ----------
    d_model, n_classes : int
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, d_model, n_classes, *, rng, dtype, init):
        self.pooler = Linear(d_model, d_model, rng=rng, dtype=dtype, init=init)
        self.tanh = Activation("tanh")
        self.classifier = Linear(d_model, n_classes, rng=rng, dtype=dtype, init=init)

    def forward(self, hidden, tape=None):
        """(B, T, D) -> (B, n_classes)."""
        b, t, _ = hidden.shape
        first, saved = ops.select_rows(hidden, t * np.arange(b))  # (B, D)
        if tape is not None:
            tape.push(self, saved)
        return self.classifier(self.tanh(self.pooler(first, tape), tape), tape)

    def backward(self, dy, tape):
        """Return dhidden (B, T, D): 0 everywhere but at the first position."""
        dx = self.tanh.backward(self.classifier.backward(dy, tape), tape)  # (B, D)
        dx = self.pooler.backward(dx, tape)
        return ops.select_rows_backward(dx, tape.pop(self))
