"""The cases of recurrent layers: part of `layer_cases.LAYERS`."""

import math

import numpy as np
from cases import LayerCase

from tinytx.core import Layer, Tape
from tinytx.layers import GRU, LSTM, RNN, Bidirectional, RecurrentStack


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


def two_ways(kind, d, r, draw):
    return Bidirectional(kind(d, r, **draw), kind(d, r, reverse=True, **draw))


def stack(kind, d, r, draw, dropout):
    return RecurrentStack([kind(d, r, **draw), kind(r, r, **draw)], dropout=dropout)


def recurrent(make, kind=LSTM, build=one, begun=False, padded=False, final=False, seed=None, **options):
    b, t, d, r = make.sizes(4)

    def layer_of(dtype):
        layer = build(kind, d, r, {"rng": np.random.default_rng(0), "dtype": dtype}, **options)
        return WithFinal(layer) if final else layer

    n_states = build(kind, d, r, {"rng": np.random.default_rng(0)}, **options).n_states if begun else 0
    inputs = {"x": make.array(b, t, d)} | {f"initial{n}": make.array(b, r, scale=0.5) for n in range(n_states)}
    mask = np.arange(t) < make.integers(1, t, (b, 1)) if padded else None
    return LayerCase(make, layer_of, inputs, mask=mask, tape=lambda: Tape(seed=seed))


RECURRENT_LAYERS = {
    "LSTM": recurrent,
    "LSTM begun, padded, final": lambda make: recurrent(make, begun=True, padded=True, final=True),
    "RNN": lambda make: recurrent(make, RNN),
    "GRU begun": lambda make: recurrent(make, GRU, begun=True),
    "Bidirectional": lambda make: recurrent(make, GRU, two_ways, padded=True),
    "RecurrentStack dropout": lambda make: recurrent(make, GRU, stack, begun=True, seed=5, dropout=0.4),
}
