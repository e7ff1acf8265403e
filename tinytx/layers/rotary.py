"""Rotary positions: a layer of attention that rotates queries and keys before the core reads them."""

import math

from tinytx import ops
from tinytx.arguments import check_flag, check_number
from tinytx.core import Layer
from tinytx.ops.rotate import cos_and_sin, rotary_frequencies


class Rotary(Layer):
    """Rotates queries and keys by angles that grow with their positions, so that scores depend on distances.

    See `tinytx.ops.rotate`. It has no parameters. ``MultiHeadAttention(..., rotary=Rotary(width))`` uses one layer for
    queries and keys, and all blocks of a stack may share it.

    Parameters
    ----------
    width : int
        How many of the K numbers of each head are rotated, in pairs: an even number. If it is less than K, the first
        ones.
    base : float
        Pair i is rotated by base^(-2i / width) radians for each position.
    scaling : tuple, optional
        Lowers the frequencies for texts longer than in training, as for `tinytx.ops.rotary_frequencies`: ("linear", factor),
        ("llama3", factor, low, high, length), ("yarn", factor, low, high, length).
    scale : float
        The rotated numbers are multiplied by it; YaRN has 0.1 ln(factor) + 1.
    neighbours : bool
        Pair i is (x_2i, x_2i+1) if True, as in Meta's files, and (x_i, x_{i + width/2}) if False, as in Hugging Face's.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of its range.
    """

    def __init__(self, width, *, base=10000.0, scaling=None, scale=1.0, neighbours=False):
        self.frequencies = rotary_frequencies(width, base, scaling=scaling)
        self.neighbours = check_flag("Rotary", "neighbours", neighbours)
        self.scale = check_number("Rotary", "scale", scale, "a number above 0", lambda s: 0 < s < math.inf)

    def forward(self, x, tape=None, *, start=0):
        """(B, T, H, K) -> (B, T, H, K); the position of the first element is ``start``."""
        y, saved = ops.rotate(x, self.frequencies, start, neighbours=self.neighbours, scale=self.scale)
        if tape is not None:
            tape.push(self, saved)
        return y

    def turns(self, position, dtype):
        """Return the cosines and sines (1, n) of a position's angles, times ``scale``."""
        return cos_and_sin(self.frequencies, position, 1, self.scale, dtype)

    def backward(self, dy, tape):
        return ops.rotate_backward(dy, tape.pop(self))
