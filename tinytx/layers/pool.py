"""Pool: one vector for a whole sequence."""

from tinytx import ops
from tinytx.core import Layer


class Pool(Layer):
    """The pooling of `tinytx.ops.pool`.

    Parameters
    ----------
    *kinds : {"first", "last", "max", "mean"}
        One or more; each makes D columns of the output, in this order. ULMFiT has ``Pool("last", "max", "mean")``.
    """

    def __init__(self, *kinds):
        self.kinds = kinds

    def forward(self, x, tape=None, *, mask=None):
        """(B, T, D) -> (B, n D) for n kinds; ``mask`` (B, T) is True at real positions."""
        y, saved = ops.pool(x, self.kinds, mask=mask)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.pool_backward(dy, tape.pop(self))
