"""Convolution along a sequence."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.init import uniform_fan_in
from tinytx.shapes import check_dtype


class Conv1d(Layer):
    """The same linear map of ``width`` neighbouring positions, at every place (`tinytx.ops.conv1d`).

    Parameters
    ----------
    d_in, d_out, width : int
        I, O and K.
    left, right : int
        Rows of zeros in front of each sequence and behind it. With ``width`` - 1 in all, there are as many outputs as
        positions; with all of them in front, an output reads no later position.
    step, distance : int
        From output to output (stride), and between the positions that are read (dilation).
    bias : bool
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For the weight as a matrix (K I, O). The default is uniform in +-1/sqrt(K I), as in PyTorch.

    Attributes
    ----------
    weight : Parameter (K, I, O)
        PyTorch's, with the axes in the opposite order.
    bias : Parameter (O,), or None
        Starts at 0.

    Examples
    --------
    >>> layer = Conv1d(4, 6, 3, left=2, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 5, 4), np.float32)).shape
    (2, 5, 6)
    """

    def __init__(
        self, d_in, d_out, width, *, left=0, right=0, step=1, distance=1, bias=True, rng, dtype=np.float32,
        init=uniform_fan_in,
    ):  # fmt: skip
        check_sizes("Conv1d", d_in=d_in, d_out=d_out, width=width)
        weight = init(rng, (width * d_in, d_out)).astype(check_dtype("Conv1d", dtype))
        self.weight = Parameter(weight.reshape(width, d_in, d_out))
        self.bias = Parameter(np.zeros(d_out, dtype)) if bias else None
        self.reads = {"left": left, "right": right, "step": step, "distance": distance}

    def forward(self, x, tape=None):
        """(B, T, I) -> (B, T', O)."""
        y, saved = ops.conv1d(x, self.weight.data, self.bias.data if self.bias else None, **self.reads)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight, dbias = ops.conv1d_backward(dy, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx
