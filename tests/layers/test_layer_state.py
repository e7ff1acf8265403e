"""The state of decoding: memories computed once, and rows that a search keeps, repeats and puts in order."""

import numpy as np
import pytest
from cases import Seeded
from hypothesis import given
from hypothesis import strategies as st

from tinytx.layers import DotProduct, MultiHeadAttention
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.state import State


def layer_of(seed=0, **options):
    layer = MultiHeadAttention(6, 2, rng=np.random.default_rng(0), dtype=np.float64, **options)
    make = Seeded(seed)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.4)
    return layer


def test_keys_of_a_memory_are_computed_once():
    """Catches a memory that is read again at every position, and one that counts as positions."""
    layer, memory, x = layer_of(), Seeded(1).array(2, 7, 6), Seeded(2).array(2, 4, 6)
    expected, calls = layer(x, memory), []
    forward = layer.key.forward
    layer.key.forward = lambda *arguments: calls.append(1) or forward(*arguments)
    state = State()
    parts = [layer(x[:, t : t + 1], memory, state=state) for t in range(4)]
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=0, atol=1e-14)
    assert len(calls) == 1
    assert state.length == 0


def test_layers_have_memories_of_their_own():
    one, two, memory, x = layer_of(), layer_of(7), Seeded(1).array(2, 5, 6), Seeded(2).array(2, 1, 6)
    state = State()
    for _ in range(2):
        with state.forward():
            np.testing.assert_array_equal(one(x, memory, state=state), one(x, memory))
            np.testing.assert_array_equal(two(x, memory, state=state), two(x, memory))


def run(rows_at, x, memory):
    """Attend position by position; before each, keep the rows that ``rows_at`` names. Return the last outputs."""
    itself, cross, state = layer_of(core=DotProduct(pattern=CAUSAL)), layer_of(7), State()
    for t in range(x.shape[1]):
        if t in rows_at:
            state.select(rows_at[t])
            x, memory = x[rows_at[t]], memory[rows_at[t]]
        with state.forward():
            y = itself(x[:, t : t + 1], state=state) + cross(x[:, t : t + 1], memory, state=state)
    return y, itself(x)[:, -1:] + cross(x[:, -1:], memory)


@given(data=st.data())
def test_selected_rows_go_on_as_if_they_had_always_been_there(data):
    """Catches keys without their values, memories that stay behind, and arrays that grow from the old rows."""
    make = Seeded(0)
    rows_at, size = {}, 3
    for t in sorted(data.draw(st.sets(st.integers(1, 5)))):
        rows = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=6)))
        rows_at[t], size = rows, len(rows)
    y, expected = run(rows_at, make.array(3, 6, 6), make.array(3, 4, 6))
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-14)


def test_rows_may_be_booleans():
    make, keep = Seeded(0), np.array([True, False, True])
    y, expected = run({2: keep}, make.array(3, 4, 6), make.array(3, 5, 6))
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-14)
    assert len(y) == 2


def test_selecting_from_nothing_is_nothing():
    State().select([0, 3])


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([0, 2], ValueError, r"State: row 2 at position \(1,\) is outside 0\.\.1"),
        ([-1], ValueError, r"row -1 at position \(0,\)"),
        ([0.0], TypeError, "expected integers"),
        ([[0]], ValueError, r"rows have shape \(1, 1\), expected one axis; the state holds 2"),
        ([True], ValueError, r"rows have shape \(1,\)"),
        (0, ValueError, r"rows have shape \(\)"),
    ],
)
def test_bad_rows_are_named_and_change_nothing(rows, error, message):
    layer, x, state = layer_of(core=DotProduct(pattern=CAUSAL)), Seeded(1).array(2, 3, 6), State()
    layer(x[:, :2], state=state)
    with pytest.raises(error, match=message):
        state.select(rows)
    np.testing.assert_allclose(layer(x[:, 2:], state=state), layer(x)[:, 2:], rtol=0, atol=1e-14)
