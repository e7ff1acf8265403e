"""The LSTM layer: parts of a text with a state, what padding and later positions may reach, and how weights start."""

import math

import numpy as np
import pytest
from cases import Seeded
from hypothesis import given
from hypothesis import strategies as st

from tinytx.core import Tape
from tinytx.layers import LSTM
from tinytx.state import State
from tinytx.testing import batch_check, leak_check, padding_check


def layer_of(d=3, r=5):
    layer, make = LSTM(d, r, rng=np.random.default_rng(0), dtype=np.float64), Seeded(0)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    return layer


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_parts_with_a_state_are_the_whole(sizes):
    """Catches a state that is not read, not written, or h and c exchanged."""
    layer, x, state, parts, start = layer_of(), Seeded(1).array(2, sum(sizes), 3), State(), [], 0
    for size in sizes:
        parts.append(layer(x[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(x), rtol=0, atol=1e-14)


def test_rows_of_a_state_are_selected():
    layer, x, state = layer_of(), Seeded(1).array(3, 4, 3), State()
    layer(x[:, :2], state=state)
    state.select([2, 0, 2])
    np.testing.assert_allclose(layer(x[[2, 0, 2], 2:], state=state), layer(x)[[2, 0, 2], 2:], rtol=0, atol=1e-14)


def test_two_layers_have_states_of_their_own():
    one, two, x, state = layer_of(), layer_of(5, 4), Seeded(1).array(2, 4, 3), State()
    parts = []
    for t in range(4):
        with state.forward():
            parts.append(two(one(x[:, t : t + 1], state=state), state=state))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), two(one(x)), rtol=0, atol=1e-14)


def test_no_gradient_goes_through_a_state():
    """Truncated backpropagation: a part's gradients are those of a forward that has the state's h and c as constants."""
    layer, x, state, tape = layer_of(), Seeded(1).array(2, 6, 3), State(), Tape()
    layer(x[:, :4], state=state)
    h, c = (state.state_dict()[name] for name in ("0.0", "0.1"))
    dy = Seeded(2).array(2, 2, 5)
    layer(x[:, 4:], tape, state=state)
    dx = layer.backward(dy, tape)
    gradients = [parameter.grad.copy() for parameter in layer.parameters()]
    layer.zero_grad()
    layer(x[:, 4:], h, c, tape)
    np.testing.assert_array_equal(layer.backward(dy, tape)[0], dx)
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_a_state_and_h_are_refused():
    with pytest.raises(ValueError, match="LSTM: h and c are given, and a state holds them too"):
        layer_of()(np.zeros((2, 1, 3)), np.zeros((2, 5)), state=State())


def test_later_positions_other_rows_and_padding_reach_nothing():
    layer, x = layer_of(), Seeded(1).array(3, 5, 3)
    leak_check(layer, x)
    batch_check(layer, x)
    padding_check(layer, x, [2, 5, 3], make_options=lambda lengths, size: {"mask": np.arange(size) < lengths[:, None]})


def test_weights_start_as_pytorchs():
    """Uniform in +-1/sqrt(R), the weights of the input too; the bias is the sum of two such numbers."""
    layer, bound = LSTM(900, 400, rng=np.random.default_rng(0)), 1 / math.sqrt(400)
    for parameter, size in ((layer.weight_x, 1), (layer.weight_h, 1), (layer.bias, math.sqrt(2))):
        assert abs(parameter.data.std() / (size * bound / math.sqrt(3)) - 1) < 0.05
        assert abs(parameter.data).max() <= size**2 * bound
