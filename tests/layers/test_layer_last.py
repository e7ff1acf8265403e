"""The last position alone: what decoding asks a prompt for, computed without what the last block would do for the others."""

import numpy as np
import pytest
from blocks import make_block
from cases import Seeded

from tinytx.layers import Linear, MultiHeadAttention, Rotary
from tinytx.layers.block import last_of
from tinytx.models import GPT, GPTConfig
from tinytx.state import State
from tinytx.tasks import NextToken


def filled(layer):
    make = Seeded(0)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.6)
    return layer


def block(**settings):
    return filled(make_block(6, 2, 10, causal=True, rng=np.random.default_rng(0), dtype=np.float64, **settings))


def shapes_of(layer, monkeypatch):
    """Return a list to which the shapes are added that a kind of layer is given from now on."""
    seen, forward = [], type(layer).forward

    def watched(self, x, tape=None, **settings):
        if self is layer:
            seen.append(x.shape)
        return forward(self, x, tape, **settings)

    monkeypatch.setattr(type(layer), "forward", watched)
    return seen


@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("before", [0, 3])
def test_a_block_tells_its_last_position(norm_order, before, monkeypatch):
    """Catches the short cut of another position, a state that lacks positions, and a block that computes all of them."""
    layer, x = block(norm_order=norm_order), Seeded(1).array(2, 8, 6)
    states = State(), State()
    for state in states:
        if before:
            layer(x[:, :before], state=state)
    expected = layer(x[:, before:], state=states[0])[:, -1:]
    seen = shapes_of(layer.feed_forward.f.expand, monkeypatch)
    np.testing.assert_allclose(last_of(layer, x[:, before:], state=states[1]), expected, rtol=1e-12, atol=1e-12)
    assert (2, 1, 6) in seen and (2, 8 - before, 6) not in seen
    for slots in zip(*(state.slots for state in states), strict=True):
        for ours, theirs in zip(*(slot.held() for slot in slots), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("before", [0, 3])
def test_the_last_query_is_turned_by_its_own_position(before):
    attention = MultiHeadAttention(8, 2, rotary=Rotary(4), rng=np.random.default_rng(0), dtype=np.float64)
    layer, x, states = filled(attention), Seeded(1).array(2, 8, 8), (State(), State())
    for state in states:
        if before:
            layer(x[:, :before], state=state)
    expected = layer(x[:, before:], state=states[0])[:, -1:]
    np.testing.assert_allclose(last_of(layer, x[:, before:], state=states[1]), expected, rtol=1e-12, atol=1e-12)


def test_what_may_belong_to_single_positions_is_computed_in_full():
    """Catches a mask of all queries that the last one is given."""
    layer, x = block(), Seeded(1).array(2, 5, 6)
    mask = np.random.default_rng(0).random((2, 1, 5, 5)) < 0.5
    mask |= np.eye(5, dtype=bool)
    np.testing.assert_array_equal(last_of(layer, x, mask=mask), layer(x, mask=mask)[:, -1:])


def test_layers_without_the_setting_and_those_that_were_changed():
    """Catches a method that was replaced on the object and is left out, in a block and in its parts."""
    linear, x = Linear(6, 4, rng=np.random.default_rng(0), dtype=np.float64), Seeded(1).array(2, 5, 6)
    np.testing.assert_array_equal(last_of(linear, x), linear(x)[:, -1:])
    for part in ("attention", "attention.f", "feed_forward.f", "attention.dropout", ""):
        layer = whole = block()
        for name in part.split(".") if part else ():
            layer = getattr(layer, name)
        forward = layer.forward
        layer.forward = lambda *inputs, forward=forward, **settings: 2 * forward(*inputs, **settings)
        np.testing.assert_allclose(last_of(whole, x), whole(x)[:, -1:], rtol=1e-12, atol=1e-12, err_msg=part)


def test_a_prompt_asks_for_its_last_position(monkeypatch):
    """Catches a prompt whose last block computes all positions, and blocks before it that do not."""
    config = GPTConfig(vocab_size=9, max_len=8, d_model=8, n_heads=2, n_layers=3)
    model, ids = NextToken(GPT(config, rng=np.random.default_rng(0), dtype=np.float64)), np.array([[1, 2, 3, 4]])
    expected = model(ids)[:, -1]
    seen = [shapes_of(one.feed_forward.f.expand, monkeypatch) for one in model.body.blocks]
    np.testing.assert_allclose(model.last_logits(ids, state=State()), expected, rtol=1e-12, atol=1e-12)
    assert [shapes[-1] for shapes in seen] == [(1, 4, 8), (1, 4, 8), (1, 1, 8)]
