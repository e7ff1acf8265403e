"""Attention whose scores are those of a small net, and not products."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.attention.compared import Compared
from tinytx.layers.attention.dot_product import DotProduct
from tinytx.layers.init import uniform_fan_in
from tinytx.ops.attention_patterns import FULL
from tinytx.shapes import check_dtype


class Additive(Layer):
    """Softmax of the scores w . tanh(q + k) (Bahdanau et al. 2014, arXiv:1409.0473): `tinytx.ops.additive_scores`.

    Parameters
    ----------
    n_heads, d_key : int
        H, and the width A of queries and keys.
    pattern : Pattern
        Which keys a query may see, as for `DotProduct`.
    dropout : float in [0, 1)
        Of the attention weights.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For the weights of each head, as a matrix (A, H).

    Attributes
    ----------
    weight : Parameter (H, A)
        w of each head; v in the paper.
    """

    def __init__(self, n_heads, d_key, *, pattern=FULL, dropout=0.0, rng, dtype=np.float32, init=uniform_fan_in):
        check_sizes("Additive", n_heads=n_heads, d_key=d_key)
        self.weight = Parameter(init(rng, (d_key, n_heads)).T.astype(check_dtype("Additive", dtype)))
        self.attend = DotProduct(pattern=pattern, dropout=dropout)

    def forward(self, q, k, v, tape=None, *, mask=None, pattern=FULL):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q : array (B, H, T, A)
        k : array (B, G, S, A), v : array (B, G, S, W)
        tape : Tape, optional
        mask, pattern
            As for `DotProduct`.
        """
        scores, saved = ops.additive_scores(q, k, self.weight.data)
        if tape is not None:
            tape.push(self, saved)
        return self.attend(*_without_products(q, k), v, scores, tape, mask=mask, pattern=pattern)

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        _, _, dv, dscores = self.attend.backward(dy, tape)
        dq, dk, dweight = ops.additive_scores_backward(dscores, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        return dq, dk, dv

    def weights(self, q, k, v, *, mask=None, pattern=FULL):
        """Return the attention weights (B, H, T, S), without dropout. The arguments are those of `forward`."""
        scores, _ = ops.additive_scores(q, k, self.weight.data)
        return self.attend.weights(*_without_products(q, k), v, scores, mask=mask, pattern=pattern)

    def compared(self, q, k, v, *, mask=None, pattern=FULL):
        """Return the `Compared` queries and keys. The arguments are those of `forward`."""
        return Compared(q, k, self.weight.data, additive=True)


def _without_products(q, k):
    """Return queries and keys of width 0, whose products are 0: what is added to the products is the whole score."""
    return q[..., :0], k[..., :0]
