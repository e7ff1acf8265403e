"""Rotary positions, between the maps of attention and its core."""

from tinytx import ops
from tinytx.arguments import check_flag
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
    scaling : tuple (factor, low, high, length), optional
        Lowers the frequencies for texts longer than ``length``: equation (7) of `tinytx.ops.rotate`.
    neighbours : bool
        Whether a pair is (x_2i, x_2i+1), as in Meta's files, or (x_i, x_{i + width/2}), as in Hugging Face's.
    """

    def __init__(self, width, *, base=10000.0, scaling=None, neighbours=False):
        self.frequencies = rotary_frequencies(width, base, scaling=scaling)
        self.neighbours = check_flag("Rotary", "neighbours", neighbours)

    def forward(self, x, tape=None, *, start=0):
        """(B, T, H, K) -> (B, T, H, K); x's first element stands at position ``start``."""
        y, saved = ops.rotate(x, self.frequencies, start, neighbours=self.neighbours)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.rotate_backward(dy, tape.pop(self))
