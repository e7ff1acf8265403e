"""Faults in multi-head attention: what becomes of the heads, on the way there and back."""


import numpy as np

from bug_zoo.attention import formula
from bug_zoo.specimen import MUTANT, RIGHT, Specimen, draw, fault, rng
from tinytx import ops
from tinytx.layers import Linear, MultiHeadAttention
from tinytx.layers.init import normal


class Patched(MultiHeadAttention):
    """Attention as it should be, with the two steps of its backward in which faults were found set apart."""

    def core_backward(self, dy, tape):
        return self.core.backward(dy, tape)

    def merge_dk(self, dk):
        return self._merge(dk)

    def backward(self, dy, tape):
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        tape.pop(self)
        dq, dk, dv = self.core_backward(dy, tape)
        dx = self.value.backward(self._merge(dv), tape)
        dx = dx + self.key.backward(self.merge_dk(dk), tape)
        return dx + self.query.backward(self._merge(dq), tape)


class KeyReshaped(Patched):
    """Attention whose dK goes from (B, H, S, K) to (B, S, D) by a reshape alone, without moving the axes back.

    Found in numpyGPT: the gradient of W_k is off by 0.64 to 0.76, and 12 of 12 parity tests pass. They look at the
    input's gradient only, with an absolute tolerance of 1e-4 over weights so tiny that scores hardly matter.
    """

    def merge_dk(self, dk):
        b, h, s, k = dk.shape
        return dk.reshape(b, s, h * k)


class SoftmaxByBatch(Patched):
    """Attention with its softmax's backward, and so dQ and dK, divided by the batch size.

    Found in numpy-transformer, hidden by a batch of 1.
    """

    def core_backward(self, dy, tape):
        dq, dk, dv = super().core_backward(dy, tape)
        return dq / len(dq), dk / len(dk), dv


class HeadsSummed(Linear):
    """The map after the heads, given their sum in each one's place where it should get them side by side.

    Found in functional-transformer (issue 8), where the copy task still trains. The gradient is right, of what is
    computed; only the paper's formula tells that it is not multi-head attention.
    """

    n_heads = 2

    def forward(self, x, tape=None):
        return super().forward(self._sum(x), tape)

    def backward(self, dy, tape):
        return self._sum(super().backward(dy, tape))

    def _sum(self, x):
        heads = x.reshape(*x.shape[:-1], self.n_heads, -1)
        return np.broadcast_to(heads.sum(axis=-2, keepdims=True), heads.shape).reshape(x.shape)


class Crossed(MultiHeadAttention):
    """Cross-attention with queries and keys from the encoder and values from the decoder.

    Found in numpy-is-all-you-need, hidden by a loss that falls: the gradient is right, of what is computed. With
    as many words on both sides the shapes fit, too.
    """

    def forward(self, x, memory, tape=None):
        maps = self.query(memory, tape), self.key(memory, tape), self.value(x, tape)
        y, saved = ops.attention(*(self._split(part, self.n_heads) for part in maps))
        if tape is not None:
            tape.push(self, saved)
        return self.output(self._merge(y), tape)

    def backward(self, dy, tape):
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        dq, dk, dv = ops.attention_backward(dy, tape.pop(self))
        dx = self.value.backward(self._merge(dv), tape)
        dmemory = self.key.backward(self._merge(dk), tape)
        return dx, dmemory + self.query.backward(self._merge(dq), tape)


class KeysForgotten(MultiHeadAttention):
    """Cross-attention whose gradient of the encoder's output comes through the values alone.

    A mutant, hidden by the parameters, whose gradients are all right: only the encoder learns from the wrong one.
    """

    def backward(self, dy, tape):
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        tape.pop(self)
        dq, dk, dv = self.core.backward(dy, tape)
        dmemory = self.value.backward(self._merge(dv), tape)
        self.key.backward(self._merge(dk), tape)
        return self.query.backward(self._merge(dq), tape), dmemory


def layer(cls, **options):
    """Return a small attention layer of some class: 2 heads of width 3."""
    return cls(6, 2, rng=rng(), dtype=np.float64, **options)


def with_output(cls, **options):
    """Return attention whose map after the heads is of some class."""
    attention = layer(MultiHeadAttention, **options)
    attention.output.__class__ = cls
    return attention


def multi_head(attention, x, memory=None):
    """Return multi-head attention as the paper writes it, in section 3.2.2: head after head."""
    memory, heads = x if memory is None else memory, []
    for h in range(attention.n_heads):
        columns = slice(h * 3, h * 3 + 3)
        q, k, v = (
            source @ part.weight.data[:, columns]
            for source, part in ((x, attention.query), (memory, attention.key), (memory, attention.value))
        )
        heads.append(formula(q[:, None], k[:, None], v[:, None])[:, 0])
    return np.concatenate(heads, axis=-1) @ attention.output.weight.data


X, MEMORY = draw(3, 4, 6), draw(3, 5, 6)
SELF = Specimen(layer(MultiHeadAttention), (X,))
CROSS = Specimen(layer(MultiHeadAttention), (X, MEMORY))
AS_LONG = CROSS.but(inputs=(X, draw(3, 4, 6, seed=1)))
SOME = {"mode": "sampled", "samples": 8}

FAULTS = [
    fault(
        "dK reshaped without transposing back", SELF, {"target": layer(KeyReshaped)},
        found_in="numpyGPT", hidden_by="tiny weights, an absolute tolerance of 1e-4, a look at dx only",
        fails=("key.weight", "key.bias", "x"), settings=SOME,
        unseen={"target": layer(KeyReshaped, init=normal(0.02))}, unseen_in=("x",), tolerance=1e-4,
    ),
    fault(
        "attention's dQ and dK divided by the batch size", SELF, {"target": layer(SoftmaxByBatch)},
        found_in="numpy-transformer", hidden_by="a batch of 1",
        fails=("query.weight", "query.bias", "key.weight", "x"), settings=SOME,
        says="a factor 3, a size of this problem is missing", unseen={"inputs": (X[:1],)},
    ),
    fault(
        "heads summed instead of concatenated", SELF, {"target": with_output(HeadsSummed)},
        found_in="functional-transformer 8", hidden_by=RIGHT, caught_by="formula", settings={"formula": multi_head},
        unseen={},
    ),
    fault(
        "cross-attention with Q and K of the encoder, V of the decoder", AS_LONG, {"target": layer(Crossed)},
        found_in="numpy-is-all-you-need", hidden_by=RIGHT + ", and as many words on both sides",
        caught_by="formula", settings={"formula": multi_head}, unseen={},
    ),
    fault(
        "the encoder's gradient without the keys' part", CROSS, {"target": layer(KeysForgotten)},
        found_in=MUTANT, hidden_by="a look at parameters only", fails=("memory",), settings=SOME,
        unseen={}, unseen_in=("query.weight", "key.weight", "value.weight", "output.weight"),
    ),
]
