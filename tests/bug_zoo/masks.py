"""Faults of who sees whom: the future, the padding."""

import math

import numpy as np

from bug_zoo.heads import layer, with_output
from bug_zoo.specimen import MUTANT, RIGHT, Specimen, draw, fault
from tinytx import ops
from tinytx.layers import DotProduct, Linear, MultiHeadAttention
from tinytx.ops.attention_patterns import CAUSAL as SEES_NO_FUTURE


class OneAhead(MultiHeadAttention):
    """Causal attention that sees one position too many.

    Found in many, where the diagonal's ``k`` in ``tril`` or ``triu`` is off by one. Forward and backward agree, so that
    every gradient is right. The loss falls further than it should, and when it counts there is no next token to read.
    """

    def forward(self, x, tape=None, **options):
        return super().forward(x, tape=tape, mask=np.tri(x.shape[1], k=1, dtype=bool))


class MaskedTooLate(MultiHeadAttention):
    """Causal attention that sets masked weights to 0 after the softmax, whose denominator has counted them.

    A mutant, hidden by the gradients, which are right: what comes later shows through the size of what comes before.
    """

    def forward(self, x, tape=None):
        q, k, v = (self._split(part(x, tape), self.n_heads) for part in (self.query, self.key, self.value))
        p, _ = ops.softmax(self._scale(q) * q @ k.swapaxes(2, 3))
        if tape is not None:
            tape.push(self, (q, k, v, p))
        return self.output(self._merge(np.tril(p) @ v), tape)

    def backward(self, dy, tape):
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        q, k, v, p = tape.pop(self)
        da = self._scale(q) * ops.softmax_backward(np.tril(dy @ v.swapaxes(2, 3)), p)
        dx = self.value.backward(self._merge(np.tril(p).swapaxes(2, 3) @ dy), tape)
        dx = dx + self.key.backward(self._merge(da.swapaxes(2, 3) @ q), tape)
        return dx + self.query.backward(self._merge(da @ k), tape)

    @staticmethod
    def _scale(q):
        return 1 / math.sqrt(q.shape[-1])


class PermuteForgotten(Linear):
    """The map after the heads, given (B, H, T, K) reshaped to (B, T, D) without moving the axes back first.

    Found in transformer-from-scratch (issue 6). The gradient is right again, of what is computed; but positions are
    mixed, and what comes later leaks through any causal mask.
    """

    n_heads = 2

    def forward(self, x, tape=None):
        b, t, d = x.shape
        heads = x.reshape(b, t, self.n_heads, -1).swapaxes(1, 2)
        return super().forward(heads.reshape(b, t, d), tape)

    def backward(self, dy, tape):
        b, t, d = dy.shape
        heads = super().backward(dy, tape).reshape(b, self.n_heads, t, -1)
        return heads.swapaxes(1, 2).reshape(b, t, d)


class PaddingSeen(MultiHeadAttention):
    """Attention that is handed the padding's mask and does not use it.

    Found in BERT-Transformer-Pytorch, hidden by a loss that ignores the padded targets: the padding is still read.
    """

    def forward(self, x, tape=None, *, mask=None):
        return super().forward(x, tape=tape)


X = draw(3, 4, 6)
PLAIN = Specimen(layer(MultiHeadAttention), (X,))
CAUSAL = Specimen(layer(MultiHeadAttention, core=DotProduct(pattern=SEES_NO_FUTURE)), (X,))

FAULTS = [
    fault(
        "causal mask off by one", CAUSAL, {"target": layer(OneAhead)},
        found_in="many", hidden_by=RIGHT, caught_by="leak_check", says="position 0", unseen={},
    ),
    fault(
        "mask applied after the softmax", CAUSAL, {"target": layer(MaskedTooLate)},
        found_in=MUTANT, hidden_by=RIGHT, caught_by="leak_check", says="position 0", unseen={},
    ),
    fault(
        "a permute forgotten before the heads are joined", CAUSAL,
        {"target": with_output(PermuteForgotten, core=DotProduct(pattern=SEES_NO_FUTURE))},
        found_in="transformer-from-scratch 6", hidden_by=RIGHT, caught_by="leak_check", says="position 0", unseen={},
    ),
    fault(
        "padding is read", PLAIN, {"target": layer(PaddingSeen)},
        found_in="BERT-Transformer-Pytorch", hidden_by="a loss that ignores padded targets",
        caught_by="padding_check", says="y beside row 1 alone differs", unseen={},
    ),
]
