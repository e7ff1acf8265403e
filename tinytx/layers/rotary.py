"""Rotary positions, between the maps of attention and its core."""

import math

from tinytx import ops
from tinytx.arguments import check_flag, check_number
from tinytx.core import Layer
from tinytx.ops.rotate import rotary_frequencies


class Rotary(Layer):
    """Turns queries and keys by their positions, so that scores depend on distances: `tinytx.ops.rotate`.

    It has no parameters. ``MultiHeadAttention(..., rotary=Rotary(width))`` uses one for queries and keys; all blocks of a
    stack may share it.

    Parameters
    ----------
    width : int
        How many numbers of each head are turned, an even number: K, or fewer, the first ones.
    base : float
        The last pair turns once in about 2 pi ``base`` positions.
    scaling : tuple, optional
        Lowers the frequencies for texts longer than in training, as for `tinytx.ops.rotary_frequencies`: ("linear", factor),
        ("llama3", factor, low, high, length), ("yarn", factor, low, high, length).
    scale : float
        What the turned numbers are multiplied by; YaRN has 0.1 ln(factor) + 1.
    neighbours : bool
        Whether a pair is (x_2i, x_2i+1), as in Meta's files, or (x_i, x_{i + width/2}), as in Hugging Face's.
    """

    def __init__(self, width, *, base=10000.0, scaling=None, scale=1.0, neighbours=False):
        self.frequencies = rotary_frequencies(width, base, scaling=scaling)
        self.neighbours = check_flag("Rotary", "neighbours", neighbours)
        self.scale = check_number("Rotary", "scale", scale, "a number above 0", lambda s: 0 < s < math.inf)

    def forward(self, x, tape=None, *, start=0):
        """(B, T, H, K) -> (B, T, H, K); x's first element stands at position ``start``."""
        y, saved = ops.rotate(x, self.frequencies, start, neighbours=self.neighbours, scale=self.scale)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.rotate_backward(dy, tape.pop(self))
