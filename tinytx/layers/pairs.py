"""A layer that looks at pairs of positions."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear


class Pairs(Layer):
    """A linear map of each pair of positions, y_ij = [x_i; x_j] W + c, without making the pairs (`tinytx.ops.pair_sum`).

    Parameters
    ----------
    d_in, d_out : int
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    first, second : Linear
        The upper half of W with c, and the lower half.

    Examples
    --------
    >>> Pairs(3, 4, rng=np.random.default_rng(0))(np.ones((2, 5, 3), np.float32)).shape
    (2, 5, 5, 4)
    """

    def __init__(self, d_in, d_out, *, rng, dtype=np.float32, init=uniform_fan_in):
        draw = {"rng": rng, "dtype": dtype, "init": init}
        self.first, self.second = Linear(d_in, d_out, **draw), Linear(d_in, d_out, bias=False, **draw)

    def forward(self, x, tape=None):
        """(B, T, D) -> (B, T, T, O)."""
        y, saved = ops.pair_sum(self.first(x, tape), self.second(x, tape))
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        da, db = ops.pair_sum_backward(dy, tape.pop(self))
        dx = self.second.backward(db, tape)
        return dx + self.first.backward(da, tape)
