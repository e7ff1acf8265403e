"""Scaled dot-product attention of given queries, keys and values."""

from tinytx import ops
from tinytx.arguments import check_number, check_probability
from tinytx.core import Layer
from tinytx.layers.attention.compared import Compared
from tinytx.ops.attention_patterns import FULL, Pattern


class DotProduct(Layer):
    """Softmax of the scaled products of queries and keys (Vaswani et al. 2017, 3.2.1): `tinytx.ops.attention`.

    Parameters
    ----------
    pattern : Pattern
        Which keys a query may see, by their positions: ``CAUSAL``, ``CAUSAL & Band(255, 0)``, ...
        (`tinytx.ops.attention_patterns`).
    dropout : float in [0, 1)
        Of the attention weights.
    scale : float, optional
        Multiplies the scores, above 0; 1 / sqrt(K) if not given.

    Raises
    ------
    TypeError, ValueError
        If ``pattern`` is not a `Pattern`, or a number is out of its range.
    """

    def __init__(self, *, pattern=FULL, dropout=0.0, scale=None):
        if not isinstance(pattern, Pattern):
            raise TypeError(f"DotProduct: pattern is {pattern!r:.60}, expected a Pattern such as CAUSAL")
        self.pattern, self.p = pattern, check_probability("DotProduct", "dropout", dropout)
        self.scale = None if scale is None else check_number("DotProduct", "scale", scale)

    def forward(self, q, k, v, bias=None, tape=None, *, mask=None, pattern=FULL):
        """Return the output of attention.

        Parameters
        ----------
        q : array (B, H, T, K), float32 or float64
        k : array (B, G, S, K)
            G divides H: each head of keys serves H / G heads of queries.
        v : array (B, G, S, W)
        bias : array (1 or B, 1 or H, 1 or T, 1 or S), optional
            Added to the scaled scores.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, H, T, S), optional
            True where attention is allowed.
        pattern : Pattern
            A further restriction for this batch, such as ``Documents(ids)``: a query sees the keys that both this
            pattern and the layer's own allow.

        Returns
        -------
        array (B, H, T, W)

        Raises
        ------
        TypeError, ValueError
            If dtypes or shapes do not fit, as for `tinytx.ops.attention`.
        """
        dropout = {}
        if tape is not None and self.p:
            dropout = {"dropout": self.p, "key": tape.dropout_key(), "first_row": tape.first_row}
        y, saved = self._attend(q, k, v, bias, mask, pattern, **dropout)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        """Return (dq, dk, dv), or (dq, dk, dv, dbias) if the forward had a bias."""
        return ops.attention_backward(dy, tape.pop(self))

    def weights(self, q, k, v, bias=None, *, mask=None, pattern=FULL):
        """Return the attention weights (B, H, T, S), without dropout. The arguments are those of `forward`."""
        return ops.attention_weights(self._attend(q, k, v, bias, mask, pattern)[1])

    def compared(self, q, k, v, bias=None, *, mask=None, pattern=FULL):
        """Return the `Compared` queries and keys. The arguments are those of `forward`."""
        besides = "" if bias is None else "a bias of the pair is added to it"
        return Compared(q, k, q.shape[3] ** -0.5 if self.scale is None else self.scale, besides=besides)

    def _attend(self, q, k, v, bias, mask, pattern, **dropout):
        pattern = self.pattern if pattern is FULL else self.pattern & pattern
        return ops.attention(q, k, v, bias, mask=mask, pattern=pattern, scale=self.scale, **dropout)
