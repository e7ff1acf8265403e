"""Dropout."""

import math

from tinytx import ops
from tinytx.arguments import check_flag, check_probability
from tinytx.core import Layer


class Dropout(Layer):
    """If the tape has a seed: sets elements to 0 with probability p, and multiplies the others by 1 / (1 - p).

    Without a tape, or without a seed, it is the identity.

    Parameters
    ----------
    p : float in [0, 1)
    locked : bool
        Whether all positions of a sequence have one mask.
    """

    def __init__(self, p, *, locked=False):
        self.p, self.locked = check_probability("Dropout", "p", p), check_flag("Dropout", "locked", locked)

    def forward(self, x, tape=None):
        """(B, ..., D) -> (B, ..., D)."""
        key = tape.dropout_key() if tape is not None and self.p else None
        if key is None:
            y, saved = x, None
        else:
            positions = math.prod(x.shape[1:-1])
            rows, repeat = (1, max(1, positions)) if self.locked else (positions, 1)  # masks of a sequence
            y, saved = ops.dropout(x, self.p, key, tape.first_row * rows, repeat)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        saved = tape.pop(self)
        return dy if saved is None else ops.dropout_backward(dy, saved)


def drops_nothing(layer, *, has_seed=True):
    """Return whether a layer in the place of a dropout hands on what it gets: `Dropout` itself, with its own forward, and probability 0 or no seed."""
    return type(layer) is Dropout and not (has_seed and layer.p) and "forward" not in vars(layer)
