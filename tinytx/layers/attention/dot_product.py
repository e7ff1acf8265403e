"""Scaled dot-product attention between queries and keys that are there already."""

from tinytx import ops
from tinytx.arguments import check_number, check_probability
from tinytx.core import Layer
from tinytx.ops.attention_patterns import FULL, Pattern


class DotProduct(Layer):
    """Softmax of the scaled products of queries and keys (Vaswani et al. 2017, 3.2.1): `tinytx.ops.attention`.

    Parameters
    ----------
    pattern : Pattern
        Who sees whom by place: ``CAUSAL``, ``CAUSAL & Band(255, 0)``, ... (`tinytx.ops.attention_patterns`).
    dropout : float in [0, 1)
        On the attention weights.
    scale : float, optional
        Above 0; 1 / sqrt(K) if not given.
    """

    def __init__(self, *, pattern=FULL, dropout=0.0, scale=None):
        if not isinstance(pattern, Pattern):
            raise TypeError(f"DotProduct: pattern is {pattern!r:.60}, expected a Pattern such as CAUSAL")
        self.pattern, self.p = pattern, check_probability("DotProduct", "dropout", dropout)
        self.scale = None if scale is None else check_number("DotProduct", "scale", scale)

    def forward(self, q, k, v, bias=None, tape=None, *, mask=None, pattern=FULL):
        """Attend.

        Parameters
        ----------
        q : array (B, H, T, K)
        k : array (B, G, S, K), v : array (B, G, S, W)
            G divides H.
        bias : array (1 or B, 1 or H, 1 or T, 1 or S), optional
            Added to the scaled scores.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, H, T, S), optional
            True where attention is allowed.
        pattern : Pattern
            What this batch allows beside: ``Documents(ids)``, say.

        Returns
        -------
        array (B, H, T, W)
        """
        dropout = {}
        if tape is not None and self.p:
            dropout = {"dropout": self.p, "key": tape.dropout_key(), "first_row": tape.first_row}
        y, saved = self._attend(q, k, v, bias, mask, pattern, **dropout)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        """Return (dq, dk, dv), and dbias behind them where there was a bias."""
        return ops.attention_backward(dy, tape.pop(self))

    def weights(self, q, k, v, bias=None, *, mask=None, pattern=FULL):
        """Return where each query looks, (B, H, T, S), without dropout: arguments as for `forward`."""
        return ops.attention_weights(self._attend(q, k, v, bias, mask, pattern)[1])

    def _attend(self, q, k, v, bias, mask, pattern, **dropout):
        pattern = self.pattern if pattern is FULL else self.pattern & pattern
        return ops.attention(q, k, v, bias, mask=mask, pattern=pattern, scale=self.scale, **dropout)
