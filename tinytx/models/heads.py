"""What stands on an encoder: a head that says hidden words, and one that says something about the whole text."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers import Activation, LayerNorm, Linear, TiedLinear


class MaskedWordHead(Layer):
    """What BERT says at a masked position: logits of the word behind the mask.

    decoder(norm(activation(transform(x)))), where decoder is the table of embeddings, transposed, and a bias.

    Parameters
    ----------
    weight : Parameter (V, D)
        The embedding's own.
    activation : str
    eps : float
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, weight, *, activation, eps, rng, dtype, init):
        d = weight.data.shape[1]
        self.transform = Linear(d, d, rng=rng, dtype=dtype, init=init)
        self.activation = Activation(activation)
        self.norm = LayerNorm(d, eps=eps, dtype=dtype)
        self.decoder = TiedLinear(weight, bias=True)

    def forward(self, x, tape=None):
        """(..., D) -> (..., V)."""
        x = self.activation(self.transform(x, tape), tape)  # (..., D)
        return self.decoder(self.norm(x, tape), tape)

    def backward(self, dy, tape):
        dx = self.norm.backward(self.decoder.backward(dy, tape), tape)
        return self.transform.backward(self.activation.backward(dx, tape), tape)


class TextHead(Layer):
    """What BERT says about a whole text: logits of its classes, read off the first position.

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
