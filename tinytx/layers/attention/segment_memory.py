"""Attention that remembers: a text is read in segments, and each sees what stood before it."""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.shapes import check_shape


class SegmentMemory(Layer):
    """Attention from a segment of a text to itself and to what this layer read last (Dai et al. 2019).

    What it remembers are its own inputs, m (B, M, D), as they were computed then. Queries come from the segment x, keys
    and values from m and x, one behind the other. m is a constant: no gradient goes back into earlier segments. But
    keys and values of m are computed anew, so their matrices get a gradient from its rows as well,

        dW_k = sum over the rows of m and of x,   dx = what comes through q, and through the rows of x in [m; x].

    A layer looks M words back. What it finds there has looked M words back itself, a layer below: so L layers reach L M
    words before the segment, with a cost that grows with M.

    Parameters
    ----------
    attention : MultiHeadAttention
        It attends to a memory. Its core says what a query may see, with queries at the last places of [m; x]:
        ``Relative``, or ``DotProduct(pattern=CAUSAL)``, which does not tell places apart.
    length : int
        M; 0 is no memory.
    """

    def __init__(self, attention, length):
        self.attention, self.length = attention, check_whole("SegmentMemory", "length", length, 0)

    def forward(self, x, *others, tape=None, state=None, **settings):
        """Return the output of attention (B, T, D).

        Parameters
        ----------
        x : array (B, T, D)
        *others, **settings
            The core's, as for `MultiHeadAttention`.
        tape : Tape, optional
        state : State, optional
            Holds m; afterwards it holds the last M rows of [m; x].

        Raises
        ------
        ValueError
            If the state is that of another batch.
        """
        return self.attention(x, self._seen(x, state), *others, tape, **settings)

    def backward(self, dy, tape):
        """Return dx, or (dx, *dothers) if the core has other inputs."""
        dx, dseen, *dothers = self.attention.backward(dy, tape)
        dx = dx + dseen[:, dseen.shape[1] - dx.shape[1] :]  # m is a constant
        return (dx, *dothers) if dothers else dx

    def _seen(self, x, state):
        """Return [m; x] (B, M + T, D), and remember x."""
        slot = None if state is None else state.next()
        seen = x
        if slot is not None and slot.arrays:
            seen = _behind(*slot.arrays, x)
        if slot is not None:
            slot.arrays = (seen[:, max(0, seen.shape[1] - self.length) :],)
        return seen


def _behind(memory, x):
    """Return [m; x] (B, M + T, D)."""
    shape = len(x), memory.shape[1], x.shape[2]
    check_shape("SegmentMemory", "the state's memory", memory, shape, "x of shape", x.shape)
    return np.concatenate([memory, x], axis=1)
