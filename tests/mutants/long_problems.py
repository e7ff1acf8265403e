"""More problems for `by_gradcheck`: what reads long texts."""

import numpy as np

from mutants.problems import _draw, _rng, layer, pair
from tinytx.core import Layer
from tinytx.layers import DotProduct, MultiHeadAttention, Relative
from tinytx.ops.attention_patterns import CAUSAL, FULL
from tinytx.state import Slot, State


class After(Layer):
    """A layer that reads its inputs behind a memory."""

    def __init__(self, layer, memory, **settings):
        self.layer, self.memory, self.settings = layer, memory, settings

    def forward(self, *inputs, tape=None):
        return self.layer(*inputs, tape, state=State([Slot((self.memory,))]), **self.settings)

    def backward(self, dy, tape):
        return self.layer.backward(dy, tape)


class Of(Layer):
    """A layer with settings."""

    def __init__(self, layer, **settings):
        self.layer, self.settings = layer, settings

    def forward(self, *inputs, tape=None):
        return self.layer(*inputs, tape, **self.settings)

    def backward(self, dy, tape):
        return self.layer.backward(dy, tape)


def two_streams(m):
    attention = MultiHeadAttention(6, 2, d_key=4, core=Relative(6, 2, 4, pattern=FULL, rng=_rng()), bias=False, rng=_rng())
    return layer(After(m.TwoStreams(attention, 2), _draw(2, 4, 6), streams=2), 2, 6, 6)


def content_apart(m):
    attention = MultiHeadAttention(6, 2, d_key=4, core=Relative(6, 2, 4, pattern=FULL, rng=_rng()), bias=False, rng=_rng())
    return layer(After(m.TwoStreams(attention, 2), _draw(2, 4, 6)), 2, 3, 6, others=[_draw(2, 3, 6, seed=1)])


def remembering(m):
    attention = MultiHeadAttention(6, 2, d_key=4, core=DotProduct(pattern=CAUSAL), bias=False, rng=_rng())
    return layer(After(m.SegmentMemory(attention, 2), _draw(2, 4, 6)), 2, 3, 6)


def linear(m, t, s, rows=2, width=3):
    """Features on both sides of 0."""
    arrays = (_draw(rows, 2, n, width, seed=seed) for seed, n in enumerate((t, s, s)))
    return pair(m.linear_attention, m.linear_attention_backward, *arrays)


IS_GLOBAL = np.array([[False, True, False, False, True], [False, False, True, False, False]])


def global_window(m, **settings):
    """Two global places in the first text and one in the second."""
    arrays = (_draw(2, 2, 2 if n == 3 else 5, 3, seed=n) for n in range(6))
    return pair(
        lambda *inputs: m.global_window_attention(*inputs, IS_GLOBAL, left=1, right=2, scale=0.7, **settings),
        m.global_window_attention_backward, *arrays,
    )


KINDS = np.random.default_rng(0).integers(0, 2, (2, 3, 5))
PROBLEMS = {
    "global_window_attention": global_window,
    "global_window_attention dilated": lambda m: global_window(m, dilation=[1, 2]),
    "GlobalWindowAttention": lambda m: layer(
        Of(m.GlobalWindowAttention(4, 2, core=m.GlobalWindow(1, 2), rng=_rng()), is_global=IS_GLOBAL), 2, 5, 4
    ),
    "segment_scores": lambda m: pair(
        lambda q, u: m.segment_scores(q, u, KINDS, scale=0.7), m.segment_scores_backward, _draw(2, 2, 3, 4), _draw(2, 2, 4)
    ),
    "Relative": lambda m: layer(m.Relative(5, 2, 3, rng=_rng()), 2, 2, 3, 3, others=[_draw(2, 2, 4, 3, seed=n) for n in (1, 2)]),
    "RelativeSegments": lambda m: layer(
        Of(m.RelativeSegments(5, 2, 3, n_kinds=2, pattern=FULL, rng=_rng()), kinds=KINDS),
        2, 2, 3, 3, others=[_draw(2, 2, 5, 3, seed=n) for n in (1, 2)],
    ),
    "linear_attention": lambda m: linear(m, 4, 4),
    "linear_attention decoding": lambda m: linear(m, 2, 5),
    "linear_attention chunks": lambda m: linear(m, 130, 130, rows=1, width=1),
    "TwoStreams": two_streams,
    "TwoStreams content apart": content_apart,
    "SegmentMemory": remembering,
    "relative_scores": lambda m: pair(m.relative_scores, m.relative_scores_backward, _draw(2, 2, 3, 4), _draw(2, 5, 4)),
    "relative_scores both signs": lambda m: pair(
        lambda q, r: m.relative_scores(q, r, ahead=2, scale=0.7), m.relative_scores_backward, _draw(2, 2, 3, 4), _draw(2, 5, 4)
    ),
}
