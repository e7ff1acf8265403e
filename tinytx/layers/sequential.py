"""Layers one after the other, and the layer that multiplies by a constant."""

from tinytx import ops
from tinytx.core import Layer


class Sequential(Layer):
    """Layers with one input, each applied to the output of the layer before it. Without layers it is the identity.

    Parameters
    ----------
    *layers : Layer

    Examples
    --------
    >>> Sequential(Scale(3.0), Scale(0.5))(np.ones(2)).tolist()
    [1.5, 1.5]
    """

    def __init__(self, *layers):
        self.layers = list(layers)

    def forward(self, x, tape=None, **settings):
        """Return the output of the last layer; ``settings`` are passed to every layer."""
        for layer in self.layers:
            x = layer(x, tape, **settings)
        return x

    def backward(self, dy, tape):
        for layer in reversed(self.layers):
            dy = layer.backward(dy, tape)
        return dy


class Scale(Layer):
    """The product of `tinytx.ops.scale`.

    Parameters
    ----------
    factor : float
    """

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x, tape=None):
        """x of any shape -> y of the same shape."""
        y, saved = ops.scale(x, self.factor)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.scale_backward(dy, tape.pop(self))
