"""Attention to a few weighted sums of all keys, so that its cost is linear in the number of positions."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.init import uniform_fan_in
from tinytx.ops.attention_patterns import FULL
from tinytx.shapes import check_dtype, check_mask


class Compress(Layer):
    """Weighted sums over the positions of a sequence (Wang et al. 2020, Linformer, arXiv:2006.04768): `tinytx.ops.compress`.

    Parameters
    ----------
    n_sums : int
        C; k in the paper.
    max_len : int
        Positions of the longest sequence, N; n in the paper.
    n_heads : int, optional
        H, for a matrix for each head; one for all of them if not given.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For each matrix, as (N, C).

    Attributes
    ----------
    weight : Parameter (C, N) or (H, C, N)
        E or F of the paper.
    """

    def __init__(self, n_sums, max_len, *, n_heads=None, rng, dtype=np.float32, init=uniform_fan_in):
        check_sizes("Compress", n_sums=n_sums, max_len=max_len, **({} if n_heads is None else {"n_heads": n_heads}))
        matrices = [init(rng, (max_len, n_sums)).T for _ in range(n_heads or 1)]
        self.weight = Parameter(np.array(matrices if n_heads else matrices[0], check_dtype("Compress", dtype)))

    def forward(self, x, tape=None, *, mask=None):
        """(B, H, S, K) -> (B, H, C, K); ``mask``, boolean (B, S), is True where a position counts."""
        y, saved = ops.compress(x, self.weight.data, mask=mask)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight = ops.compress_backward(dy, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        return dx


class Compressed(Layer):
    """A core of attention that sees a few sums of keys and values in their place.

    Every sum holds something of all positions. So whether a query may see one of them cannot be told any more: padding is left
    out of the sums, and any other mask or pattern is an error.

    Parameters
    ----------
    core : Layer
        Attends to the sums: `DotProduct`.
    keys, values : Compress
        May be one and the same, and may be those of other layers, too.
    """

    def __init__(self, core, keys, values):
        self.core, self.keys, self.values = core, keys, values

    def forward(self, q, k, v, tape=None, *, mask=None, pattern=FULL):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q : array (B, H, T, K), float32 or float64
        k : array (B, H, S, K), v : array (B, H, S, W)
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, 1, 1, S), optional
            True where a position counts, as of `tinytx.layers.padding_mask`.
        pattern : Pattern
            Can only be ``FULL``.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or the mask or the pattern is another for each query or head.
        """
        return self.core(q, *self._sums(k, v, tape, mask, pattern), tape)

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        dq, dk, dv = self.core.backward(dy, tape)
        dv = self.values.backward(dv, tape)
        return dq, self.keys.backward(dk, tape), dv

    def weights(self, q, k, v, *, mask=None, pattern=FULL):
        """Return the weights (B, H, T, C) of the sums, without dropout. The arguments are those of `forward`."""
        return self.core.weights(q, *self._sums(k, v, None, mask, pattern))

    def compared(self, q, k, v, *, mask=None, pattern=FULL):
        """Return the `Compared` queries and sums of keys. The arguments are those of `forward`."""
        return self.core.compared(q, *self._sums(k, v, None, mask, pattern))

    def _sums(self, k, v, tape, mask, pattern):
        """Return the sums of keys and of values."""
        if pattern is not FULL:
            raise ValueError(f"Compressed: pattern is {pattern!r:.60}, expected FULL: each sum of keys holds all positions")
        if mask is not None:
            full = len(k), 1, 1, k.shape[2]
            mask = np.broadcast_to(check_mask("Compressed", mask, full), full)[:, 0, 0]
        return self.keys(k, tape, mask=mask), self.values(v, tape, mask=mask)
