"""Causal attention to about sqrt(T) keys for each query."""

from tinytx import ops
from tinytx.arguments import check_choice, check_number, check_probability, check_whole
from tinytx.core import Layer
from tinytx.layers.attention.dot_product import DotProduct
from tinytx.ops.attention_patterns import CAUSAL, Band, Blocks, Ends, Strided
from tinytx.ops.sparse_attention import KINDS


class Sparse(Layer):
    """Softmax over the keys of a sparse pattern (Child et al. 2019, arXiv:1904.10509): `tinytx.ops.sparse_attention`.

    A chain of two layers reaches every earlier place: with ``strided``, to a place of the same remainder, and on from it by less
    than ``stride``; with ``fixed``, to the end of the other's block, which has seen it.

    Parameters
    ----------
    kind : {"strided", "fixed"}
        The last ``stride`` places and those whose distance is a multiple of it; or those of its block of ``stride`` places, and
        the last ``n_ends`` places of each block.
    stride : int
        l in the paper, near sqrt(T).
    n_ends : int
        c in the paper, at most ``stride``.
    dropout : float in [0, 1)
        Of the attention weights.
    scale : float, optional
        Multiplies the scores, above 0; 1 / sqrt(K) if not given.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or ``kind`` is another text.
    """

    def __init__(self, kind, stride, *, n_ends=1, dropout=0.0, scale=None):
        self.kind = check_choice("Sparse", "kind", kind, KINDS)
        self.stride = check_whole("Sparse", "stride", stride)
        self.n_ends = check_whole("Sparse", "n_ends", n_ends, 1, self.stride)
        self.p = check_probability("Sparse", "dropout", dropout)
        self.scale = None if scale is None else check_number("Sparse", "scale", scale)
        strided = Band(stride - 1, 0) | Strided(stride)
        pattern = CAUSAL & (strided if kind == "strided" else Blocks(stride) | Ends(stride, n_ends))
        self.whole = DotProduct(pattern=pattern, dropout=dropout, scale=scale)

    def forward(self, q, k, v, tape=None):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q : array (B, H, T, K), float32 or float64
        k : array (B, G, S, K), v : array (B, G, S, W)
            With fewer queries than keys, as in decoding, the queries are the last T places, and the pattern is a mask.
        tape : Tape, optional
        """
        if q.shape[2] != k.shape[2]:
            y, saved = self.whole(q, k, v, tape), None
        else:
            options = {"n_ends": self.n_ends, "scale": self.scale}
            if tape is not None and self.p:
                options |= {"dropout": self.p, "key": tape.dropout_key(), "first_row": tape.first_row}
            y, saved = ops.sparse_attention(q, k, v, kind=self.kind, stride=self.stride, **options)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        saved = tape.pop(self)
        return self.whole.backward(dy, tape) if saved is None else ops.sparse_attention_backward(dy, saved)

    def weights(self, q, k, v):
        """Return the attention weights (B, H, T, S), without dropout."""
        return self.whole.weights(q, k, v)

    def compared(self, q, k, v):
        """Return the `Compared` queries and keys."""
        return self.whole.compared(q, k, v)
