"""Attention with a memory of earlier segments: what it sees, what it remembers, and which gradients its rows have."""

import numpy as np
import pytest
from cases import Seeded

from tinytx.core import Layer, Tape
from tinytx.layers import MultiHeadAttention, Relative, SegmentMemory
from tinytx.ops.attention_patterns import CAUSAL, FULL, Band
from tinytx.state import Slot, State
from tinytx.testing import gradcheck

B, T, M, H, K, D = 2, 3, 4, 2, 5, 6


def layer_of(length=M, **options):
    draw = {"rng": np.random.default_rng(0), "dtype": np.float64}
    attention = MultiHeadAttention(D, H, d_key=K, core=Relative(D, H, K, **options, **draw), bias=False, **draw)
    make = Seeded(0)
    for parameter in attention.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.7)
    return SegmentMemory(attention, length)


class After(Layer):
    """A layer that reads x behind a memory."""

    def __init__(self, layer, memory):
        self.layer, self.memory = layer, memory

    def forward(self, x, tape=None):
        return self.layer(x, tape, state=State([Slot((self.memory,))]))

    def backward(self, dy, tape):
        return self.layer.backward(dy, tape)


def formula(layer, x, memory, ahead=0):
    """Every score by itself, as the paper writes it (Dai et al. 2019, section 3.3); ``ahead`` keys are seen after a query."""
    core, c, seen = layer.attention.core, K**-0.5, np.concatenate([memory, x], axis=1)
    q, k, v = (
        (rows @ linear.weight.data).reshape(*rows.shape[:2], H, K)
        for rows, linear in ((x, layer.attention.query), (seen, layer.attention.key), (seen, layer.attention.value))
    )
    y = np.zeros((*x.shape[:2], H, K))
    for b, t, h in np.ndindex(*x.shape[:2], H):
        scores = []
        for s in range(min(memory.shape[1] + t + 1 + ahead, seen.shape[1])):
            distance = memory.shape[1] + t - s
            angles = distance / 10000.0 ** (2 * np.arange(D // 2) / D)
            r = np.concatenate([np.sin(angles), np.cos(angles)]) @ core.position.weight.data[:, h * K : (h + 1) * K]
            scores.append(c * ((q[b, t, h] + core.content_bias.data[h]) @ k[b, s, h] + (q[b, t, h] + core.position_bias.data[h]) @ r))
        weights = np.exp(scores) / np.exp(scores).sum()
        y[b, t, h] = weights @ v[b, : len(weights), h]
    return y.reshape(*x.shape[:2], -1) @ layer.attention.output.weight.data


@pytest.mark.parametrize("m", [0, 1, 4])
@pytest.mark.parametrize(("pattern", "ahead"), [(CAUSAL, 0), (Band(None, 1), 1), (FULL, 9)])
def test_it_is_the_formula(m, pattern, ahead):
    layer, x, memory = layer_of(pattern=pattern), Seeded(1).array(B, T, D), Seeded(2).array(B, m, D)
    np.testing.assert_allclose(After(layer, memory)(x), formula(layer, x, memory, ahead), rtol=0, atol=1e-13)


@pytest.mark.parametrize("pattern", [CAUSAL, FULL])
def test_gradients_with_a_memory(pattern):
    """Catches dW_k without the rows of the memory, and du from the scores of distances."""
    layer = After(layer_of(pattern=pattern), Seeded(2).array(B, M, D))
    gradcheck(layer, Seeded(1).array(B, T, D))


def test_it_remembers_the_last_inputs():
    """Catches x put before m, which shows where M is not T, and a memory of outputs."""
    layer, state, x = layer_of(5), State(), Seeded(1).array(B, 9, D)
    for start, stop in ((0, 2), (2, 5), (5, 6), (6, 9)):
        layer(x[:, start:stop], state=state)
        np.testing.assert_array_equal(state.state_dict()["0.0"], x[:, max(0, stop - 5) : stop])
    assert state.length == 0


def test_without_length_it_remembers_nothing():
    layer, state, x = layer_of(0), State(), Seeded(1).array(B, 6, D)
    parts = [layer(x[:, i : i + 3], state=state) for i in (0, 3)]
    np.testing.assert_array_equal(parts[1], layer(x[:, 3:]))


def test_parts_with_a_long_memory_are_the_whole():
    layer, state, x = layer_of(20), State(), Seeded(1).array(B, 9, D)
    parts = [layer(x[:, i:j], state=state) for i, j in ((0, 4), (4, 5), (5, 9))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(x), rtol=0, atol=1e-13)


def test_rows_of_the_memory_have_no_gradient_of_their_own():
    """dx has x's rows: those of the memory are left out, at the right end."""
    layer, tape = After(layer_of(), Seeded(2).array(B, M, D)), Tape()
    y = layer(Seeded(1).array(B, T, D), tape)
    assert layer.backward(np.ones_like(y), tape).shape == (B, T, D)
    tape.check_empty()


def test_the_state_of_another_batch_is_refused():
    layer, state = layer_of(), State()
    layer(np.ones((2, T, D)), state=state)
    with pytest.raises(ValueError, match=r"SegmentMemory: the state's memory has shape \(2, 3, 6\), expected \(3, 3, 6\) from x"):
        layer(np.ones((3, T, D)), state=state)


@pytest.mark.parametrize("length", [-1, 2.5, "3", None, True])
def test_a_length_that_cannot_be_is_named(length):
    with pytest.raises((TypeError, ValueError), match="SegmentMemory: length is"):
        layer_of(length)
