"""Maxout, which halves a width (Goodfellow et al. 2013, arXiv:1302.4389)."""

from tinytx import ops
from tinytx.core import Layer


class Maxout(Layer):
    """The larger of each two neighbours: `tinytx.ops.maxout`. After a `Linear` it is an activation that learns its shape."""

    def forward(self, x, tape=None):
        """x (..., 2 L) -> (..., L)."""
        y, saved = ops.maxout(x)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.maxout_backward(dy, tape.pop(self))
