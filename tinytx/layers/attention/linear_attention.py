"""Attention without a softmax, in time linear in the length."""

from tinytx import ops
from tinytx.arguments import check_flag
from tinytx.core import Layer
from tinytx.layers.attention.compared import Compared
from tinytx.ops.linear_attention import features


class LinearAttention(Layer):
    """The mean of the values with products of features as weights (Katharopoulos et al. 2020): `tinytx.ops.linear_attention`.

    No weight is dropped in training, since none is computed.

    Parameters
    ----------
    causal : bool

    Raises
    ------
    TypeError
        If ``causal`` is not a bool.
    """

    def __init__(self, *, causal=True):
        self.causal = check_flag("LinearAttention", "causal", causal)

    def forward(self, q, k, v, tape=None):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q : array (B, H, T, K), float32 or float64
        k : array (B, H, S, K), v : array (B, H, S, W)
            With fewer queries than keys, as in decoding, the queries of a causal layer are the last T places.
        tape : Tape, optional
        """
        y, saved = ops.linear_attention(q, k, v, causal=self.causal)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        return ops.linear_attention_backward(dy, tape.pop(self))

    def weights(self, q, k, v):
        """Return the attention weights (B, H, T, S)."""
        return ops.linear_attention_weights(q, k, causal=self.causal)

    def compared(self, q, k, v):
        """Return the features of queries and keys as they are `Compared`."""
        return Compared(features(q), features(k), besides="a weight is its share of the sum of all, without a softmax")
