"""Two streams with a memory beside the same attention called once for each stream, and the scores of segments by a formula."""

import numpy as np
import pytest
from cases import Seeded

from tinytx.core import Layer, Tape
from tinytx.layers import MultiHeadAttention, RelativeSegments, TwoStreams
from tinytx.ops.attention_patterns import FULL
from tinytx.state import Slot, State
from tinytx.testing import gradcheck

B, T, M, H, K, D = 2, 3, 4, 2, 5, 6
SEGMENTS = np.array([[0, 0, 2], [1, 2, 2]])


def layer_of(length=M):
    draw = {"rng": np.random.default_rng(0), "dtype": np.float64}
    core = RelativeSegments(D, H, K, pattern=FULL, **draw)
    attention = MultiHeadAttention(D, H, d_key=K, core=core, bias=False, **draw)
    make = Seeded(0)
    for parameter in attention.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.7)
    return TwoStreams(attention, length)


class After(Layer):
    """A layer that reads its inputs behind a memory."""

    def __init__(self, layer, memory, **settings):
        self.layer, self.memory, self.settings = layer, memory, settings

    def forward(self, *inputs, tape=None):
        return self.layer(*inputs, tape, state=State([Slot((self.memory,))]), **self.settings)

    def backward(self, dy, tape):
        return self.layer.backward(dy, tape)


def random_mask():
    return np.random.default_rng(4).random((B, 1, 2 * T, T)) < 0.6


@pytest.mark.parametrize("m", [0, 1, 4])
def test_each_stream_is_attention_to_the_content(m):
    """Keys and values of both are those of [m; h], and all see m, of segment 0. Catches places of the second stream behind
    those of the first, keys of g, and masks, segments and memory that are not in line."""
    layer, h, g, memory = layer_of(), Seeded(1).array(B, T, D), Seeded(2).array(B, T, D), Seeded(3).array(B, m, D)
    mask, seen = random_mask(), np.concatenate([memory, h], axis=1)
    of_keys = np.concatenate([np.zeros((B, m), int), SEGMENTS], axis=1)
    kinds = (SEGMENTS[:, :, None] != of_keys[:, None]).astype(int)
    x, expected = np.concatenate([h, g], axis=1), []
    for stream, allowed in ((h, mask[:, :, :T]), (g, mask[:, :, T:])):
        allowed = np.concatenate([np.ones((B, 1, T, m), bool), allowed], axis=3)
        expected.append(layer.attention(stream, seen, mask=allowed, kinds=kinds))
    y = After(layer, memory, mask=mask, segments=SEGMENTS, streams=2)(x)
    np.testing.assert_allclose(y, np.concatenate(expected, axis=1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("m", [0, 4])
def test_the_query_stream_alone_is_what_it_is_beside_the_content(m):
    """And the memory is of the content: catches keys of the query stream."""
    h, g, memory, mask = Seeded(1).array(B, T, D), Seeded(2).array(B, T, D), Seeded(3).array(B, m, D), random_mask()
    both = After(layer_of(), memory, mask=mask, segments=SEGMENTS, streams=2)(np.concatenate([h, g], axis=1))
    layer, state = layer_of(), State([Slot((memory,))])
    alone = layer(g, h, mask=mask[:, :, T:], segments=SEGMENTS, state=state)
    np.testing.assert_allclose(alone, both[:, T:], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(state.state_dict()["0.0"], np.concatenate([memory, h], axis=1)[:, -M:])


def test_scores_of_kinds_are_the_formula():
    """The logarithm of a weight tells a score up to a number for each query."""
    draw = {"rng": np.random.default_rng(0), "dtype": np.float64}
    core, make = RelativeSegments(D, H, K, pattern=FULL, **draw), Seeded(0)
    for parameter in core.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.7)
    q, k, kinds = make.array(B, H, T, K), make.array(B, H, M, K), make.integers(0, 1, (B, T, M))
    with_kinds, without = (np.log(core.weights(q, k, k, kinds=asked)) for asked in (kinds, None))
    expected = np.zeros((B, H, T, M))
    for b, h, t, s in np.ndindex(*expected.shape):
        expected[b, h, t, s] = K**-0.5 * (q[b, h, t] + core.kind_bias.data[h]) @ core.kind.data[kinds[b, t, s], h]
    difference = with_kinds - without - expected
    np.testing.assert_allclose(difference, difference[..., :1] + np.zeros(M), rtol=0, atol=1e-12)


def test_gradients_with_a_memory():
    """Catches keys that get the gradient of one stream, and dx of h in the rows of g."""
    settings = {"mask": random_mask(), "segments": SEGMENTS, "streams": 2}
    gradcheck(After(layer_of(), Seeded(2).array(B, M, D), **settings), Seeded(1).array(B, 2 * T, D))
    alone = After(layer_of(), Seeded(2).array(B, M, D), mask=random_mask()[:, :, T:], segments=SEGMENTS)
    gradcheck(alone, Seeded(1).array(B, T, D), Seeded(4).array(B, T, D))


def test_the_memory_is_of_the_content():
    layer, state, x = layer_of(5), State(), Seeded(1).array(B, 2 * T, D)
    layer(x, Tape(), streams=2, state=state)
    np.testing.assert_array_equal(state.state_dict()["0.0"], x[:, :T])
    layer(x, Tape(), streams=2, state=state)
    np.testing.assert_array_equal(state.state_dict()["0.0"], np.concatenate([x[:, 1:T], x[:, :T]], axis=1))
