"""The cases of recurrent layers, and of the attention between them: part of `layer_cases.LAYERS`."""

import math

import numpy as np
from cases import LayerCase

from tinytx.core import Layer, Tape
from tinytx.layers import (
    GRU,
    LSTM,
    RNN,
    ActivationPenalty,
    Additive,
    Bidirectional,
    Conv1d,
    DotProduct,
    ExternalMemory,
    Linear,
    MultiHeadAttention,
    MultiplicativeLSTM,
    OriginalGRU,
    Pairs,
    Pointer,
    RecurrentStack,
    ScalarMix,
    SingleHeadAttention,
)


class WithFinal(Layer):
    """Outputs and final states behind each other, as one array (B, N)."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, *inputs, tape=None, mask=None):
        outputs = self.layer(*inputs, tape, mask=mask, final=True)
        if tape is not None:
            tape.push(self, [array.shape for array in outputs])
        return np.concatenate([array.reshape(len(array), -1) for array in outputs], axis=1)

    def backward(self, dy, tape):
        shapes = tape.pop(self)
        edges = np.cumsum([math.prod(shape[1:]) for shape in shapes])[:-1]
        return self.layer.backward(tuple(part.reshape(shape) for part, shape in zip(np.split(dy, edges, axis=1), shapes)), tape)


def one(kind, d, r, draw):
    return kind(d, r, **draw)


def dropping(kind, d, r, draw):
    return kind(d, r, weight_drop=0.4, **draw)


def two_ways(kind, d, r, draw):
    return Bidirectional(kind(d, r, **draw), kind(d, r, reverse=True, **draw))


def stack(kind, d, r, draw, **options):
    return RecurrentStack([kind(d, r, **draw), kind(r, r, **draw)], **options)


def recurrent(make, kind=LSTM, build=one, begun=False, padded=False, final=False, seed=None, **options):
    b, t, d, r = make.sizes(4)

    def layer_of(dtype):
        layer = build(kind, d, r, {"rng": np.random.default_rng(0), "dtype": dtype}, **options)
        return WithFinal(layer) if final else layer

    n_states = build(kind, d, r, {"rng": np.random.default_rng(0)}, **options).n_states if begun else 0
    inputs = {"x": make.array(b, t, d)} | {f"initial{n}": make.array(b, r, scale=0.5) for n in range(n_states)}
    mask = np.arange(t) < make.integers(1, t, (b, 1)) if padded else None
    return LayerCase(make, layer_of, inputs, mask=mask, tape=lambda: Tape(seed=seed))


def additive(make, **options):
    """The core alone: two heads share the keys of a group."""
    b, g, t, s, a = make.sizes(5)
    inputs = {"q": make.array(b, 2 * g, t, a, scale=0.5), "k": make.array(b, g, s, a, scale=0.5), "v": make.array(b, g, s, a + 1)}

    def build(dtype):
        return Additive(2 * g, a, rng=np.random.default_rng(0), dtype=dtype, **options)

    return LayerCase(make, build, inputs, tape=lambda: Tape(seed=5 if options else None))


def single_head(make, score):
    """Positions of a decoder look at a memory that ends in padding."""
    b, t, s, d, e = make.sizes(5)
    d = e if score == "dot" else d

    def build(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        if score == "additive":
            return SingleHeadAttention(Additive(1, d + 1, **draw), query=Linear(d, d + 1, **draw), key=Linear(e, d + 1, **draw))
        return SingleHeadAttention(DotProduct(scale=1.0), query=Linear(d, e, **draw) if score == "general" else None)

    mask = np.arange(s) < make.integers(1, s, (b, 1, 1, 1))
    inputs = {"x": make.array(b, t, d, scale=0.5), "memory": make.array(b, s, e, scale=0.5)}
    return LayerCase(make, build, inputs, mask=mask)


def pointer(make):
    """Without a mask: a score of -inf has no difference quotient (tests/models/test_pointer.py)."""
    b, t, s, d = make.sizes(4)
    inputs = {"x": make.array(b, t, d, scale=0.5), "memory": make.array(b, s, d, scale=0.5)}
    return LayerCase(make, lambda dtype: Pointer(d, rng=np.random.default_rng(0), dtype=dtype), inputs)


def conv1d(make, **options):
    b, t, k, d_in, d_out = make.sizes(5)
    x = make.array(b, t + 2 * k, d_in)
    return LayerCase(make, lambda dtype: Conv1d(d_in, d_out, k, rng=np.random.default_rng(0), dtype=dtype, **options), {"x": x})


def activation_penalty(make):
    """What it returns; what it reports is in the losses of `model_cases`."""
    sizes = make.sizes(3)
    inputs = {name: make.array(*sizes) for name in ("raw", "dropped")}
    return LayerCase(make, lambda dtype: ActivationPenalty(2.0, 1.0), inputs, tape=lambda: Tape(seed=5))


def pairs(make):
    b, t, d_in, d_out = make.sizes(4)
    return LayerCase(make, lambda dtype: Pairs(d_in, d_out, rng=np.random.default_rng(0), dtype=dtype), {"x": make.array(b, t, d_in)})


def scalar_mix(make):
    b, t, n, d = make.sizes(4)
    return LayerCase(make, lambda dtype: ScalarMix(n, dtype=dtype), {"layers": make.array(b, t, n, d)})


def heads_of_sums(make):
    """The core of additive scores in the frame of several heads."""
    b, t, h, a = make.sizes(4)

    def build(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        return MultiHeadAttention(h * a, h, core=Additive(h, a, **draw), **draw)

    return LayerCase(make, build, {"x": make.array(b, t, h * a, scale=0.5)})


def memory(make, n_reads=1):
    """All steps but the last write what a later one reads."""
    b, t, d, c, n, w = make.sizes(6)
    draw = {"rng": np.random.default_rng(0)}

    def build(dtype):
        return ExternalMemory(d, c, n, w + 1, n_reads, dtype=dtype, **draw)

    return LayerCase(make, build, {"x": make.array(b, t, d)}, reach=0.02)


RECURRENT_LAYERS = {
    "ExternalMemory": memory,
    "ExternalMemory with two reading heads": lambda make: memory(make, n_reads=2),
    "LSTM": recurrent,
    "LSTM begun, padded, final": lambda make: recurrent(make, begun=True, padded=True, final=True),
    "RNN": lambda make: recurrent(make, RNN),
    "GRU begun": lambda make: recurrent(make, GRU, begun=True),
    "LSTM weight drop": lambda make: recurrent(make, build=dropping, seed=5),
    "OriginalGRU": lambda make: recurrent(make, OriginalGRU),
    "MultiplicativeLSTM begun": lambda make: recurrent(make, MultiplicativeLSTM, begun=True),
    "Bidirectional": lambda make: recurrent(make, GRU, two_ways, padded=True),
    "RecurrentStack locked": lambda make: recurrent(make, GRU, stack, begun=True, seed=5, dropout=0.4, locked=True),
    "Additive": additive,
    "Additive dropout": lambda make: additive(make, dropout=0.3),
    "SingleHeadAttention dot": lambda make: single_head(make, "dot"),
    "SingleHeadAttention general": lambda make: single_head(make, "general"),
    "SingleHeadAttention additive": lambda make: single_head(make, "additive"),
    "MultiHeadAttention additive": heads_of_sums,
    "ActivationPenalty": activation_penalty,
    "Pointer": pointer,
    "Pairs": pairs,
    "ScalarMix": scalar_mix,
    "Conv1d": conv1d,
    "Conv1d without a bias": lambda make: conv1d(make, step=2, distance=2, bias=False),
}
