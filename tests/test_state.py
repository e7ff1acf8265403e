"""What a model remembers between calls: slots in the order of calls, rows, shards, files."""

import numpy as np
import pytest
from blocks import make_block

from tinytx.core import Layer
from tinytx.layers import MultiHeadAttention
from tinytx.state import Slot, State


def block():
    return make_block(8, 2, 12, causal=True, rng=np.random.default_rng(0), dtype=np.float64)


class Shared(Layer):
    """One block used twice, as ALBERT does."""

    def __init__(self):
        self.block = block()

    def forward(self, x, tape=None, *, state=None):
        return self.block(self.block(x, tape, state=state), tape, state=state)


def test_a_shared_causal_block_used_twice_equals_the_full_forward():
    """Catches keys and values that two uses of one layer write into one array."""
    layer, x, state = Shared(), np.random.default_rng(1).normal(size=(2, 5, 8)), State()
    parts = [layer(part, state=state) for part in (x[:, :3], x[:, 3:4], x[:, 4:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(x), rtol=0, atol=1e-14)
    assert state.length == 5


def test_a_layer_called_outside_of_a_forward_is_told_so():
    with pytest.raises(RuntimeError, match="no forward is going on"):
        State().next()


def held(state):
    return {name: array.tobytes() for name, array in state.state_dict().items()}


def test_a_forward_that_fails_changes_nothing():
    """Catches half a forward in the state: positions that some layers hold and others do not."""
    layer, x, state = Shared(), np.random.default_rng(1).normal(size=(2, 4, 8)), State()
    whole, calls = layer.block, []

    def broken(*arguments, **settings):
        calls.append(1)
        if len(calls) % 2 == 0:
            raise KeyError("the second use")
        return whole(*arguments, **settings)

    for at in (np.s_[:, :3], np.s_[:, 3:]):
        before, layer.block = held(state), broken
        with pytest.raises(KeyError, match="the second use"):
            layer(x[at], state=state)
        assert held(state) == before
        layer.block = whole
        y = layer(x[at], state=state)
    np.testing.assert_allclose(y, layer(x)[:, 3:], rtol=0, atol=1e-14)


def test_shards_go_on_as_the_whole_does():
    """Catches rows of another shard, room that is kept as if it were positions, and parts in another order."""
    layer, x, state = Shared(), np.random.default_rng(1).normal(size=(5, 4, 8)), State()
    layer(x[:, :2], state=state)
    before, parts = held(state), [state.part(0, 2), state.part(2, 3), state.part(3, 5)]
    y = [layer(x[rows, 2:3], state=part) for rows, part in zip((np.s_[:2], np.s_[2:3], np.s_[3:]), parts)]
    assert held(state) == before
    state.join(parts)
    y = [np.concatenate(y), layer(x[:, 3:], state=state)]
    np.testing.assert_allclose(np.concatenate(y, axis=1), layer(x)[:, 2:], rtol=0, atol=1e-14)


def test_saved_and_loaded():
    layer, x, state, other = Shared(), np.random.default_rng(1).normal(size=(2, 4, 8)), State(), State()
    layer(x[:, :3], state=state)
    other.load_state_dict(state.state_dict())
    assert held(other) == held(state) and other.length == 3
    np.testing.assert_array_equal(layer(x[:, 3:], state=other), layer(x[:, 3:], state=state))


@pytest.mark.parametrize("names", [[], ["lengths", "1.0"], ["lengths", "0.1"], ["0.0", "0.1"]])
def test_other_arrays_are_refused(names):
    state = State()
    layer, x = block(), np.ones((1, 2, 8))
    layer(x, state=state)
    before = held(state)
    with pytest.raises(ValueError, match="not those of a state"):
        state.load_state_dict({name: np.ones(1, int) for name in names})
    assert held(state) == before


def test_what_does_not_change_is_made_once():
    layer = MultiHeadAttention(8, 2, rng=np.random.default_rng(0), dtype=np.float64)
    x, memory, state = np.ones((2, 1, 8)), np.random.default_rng(1).normal(size=(2, 3, 8)), State()
    y = layer(x, memory, state=state)
    np.testing.assert_array_equal(layer(x, 0 * memory, state=state), y)
    assert state.length == 0


def test_forgotten_positions_leave_no_trace():
    """Catches a slot that keeps what was forgotten, also where it grows or is empty again, and a memory that is forgotten."""
    rng, state = np.random.default_rng(0), State()
    words = [rng.normal(size=(2, 3, n, 4)) for n in (2, 1, 70)]

    def read(new):
        with state.forward():
            state.next().once(lambda: (np.ones((2, 5)),))
            return state.next().extend(new)[0].copy()

    read(words[0])
    read(words[1])
    state.forget(1)
    assert state.length == 2
    np.testing.assert_array_equal(read(words[2]), np.concatenate([words[0], words[2]], axis=2))
    state.forget(72)
    assert state.length == 0 and held(state).keys() == {"lengths", "0.0"}
    np.testing.assert_array_equal(read(words[1]), words[1])
    assert state.part(0, 1).length == 1
    for n in (2, -1):
        with pytest.raises(ValueError, match=f"State: n is {n}, expected a whole number of at least 0 and at most 1"):
            state.forget(n)


def test_a_state_comes_back_to_a_mark():
    """Catches positions that stay or that go with those left out, in a slot that grew, in a new one, and in one of constants."""
    rng, state = np.random.default_rng(0), State()
    words = [rng.normal(size=(2, 3, n, 4)) for n in (5, 80, 2)]

    def read(new):
        with state.forward():
            state.next().once(lambda: (np.ones((2, 5)),))
            return [state.next().extend(new)[0].copy() for _ in range(2)]

    empty = state.mark()
    read(words[0])
    mark, before = state.mark(), held(state)
    for keep in (0, 1, 60, 80):
        read(words[1])
        state.rewind(mark, keep)
        assert [slot.length for slot in state.slots] == [0, 5 + keep, 5 + keep]
        for array in read(words[2]):
            np.testing.assert_array_equal(array, np.concatenate([words[0], words[1][:, :, :keep], words[2]], axis=2))
        state.rewind(mark)
        assert held(state) == before
    for keep in (2, -1):
        read(words[2][:, :, :1])
        with pytest.raises(ValueError, match=f"State: keep is {keep}, expected a whole number of at least 0 and at most 1"):
            state.rewind(mark, keep)
        state.rewind(mark)
    state.rewind(empty)
    assert not state.slots and state.length == 0


def test_a_recurrent_state_comes_back_whole_or_not_at_all():
    """Catches one that would hold what was left out, and a refusal that changes the other slots."""
    rng, state = np.random.default_rng(0), State()

    def read(n):
        with state.forward():
            state.next().extend(rng.normal(size=(1, 2, n, 4)))
            slot = state.next()
            slot.arrays = (np.full((1, 3), n + sum(array.sum() for array in slot.arrays)),)

    read(4)
    mark, first = state.mark(), held(state)
    read(3)
    second = held(state)
    with pytest.raises(ValueError, match="State: slot 1 holds what came of all 7 positions together, such as a recurrent state"):
        state.rewind(mark, keep=2)
    assert held(state) == second
    state.rewind(mark)
    assert held(state) == first


@pytest.mark.parametrize("rows", [[2, 0, 2, 1], [False, True, True]])
def test_rows_are_those_of_all_that_is_held(rows):
    """Catches a memory, or a recurrent state, that stays with the rows it had: neither has positions."""
    rng = np.random.default_rng(0)
    memory, hidden, keys = (rng.normal(size=shape) for shape in ((3, 5), (3, 4), (3, 2, 6, 4)))
    state = State([Slot((memory,)), Slot((hidden, 2 * hidden)), Slot((keys,), 6)])
    state.select(rows)
    expected = {"0.0": memory[rows], "1.0": hidden[rows], "1.1": 2 * hidden[rows], "2.0": keys[rows]}
    assert held(state) == {"lengths": np.array([0, 0, 6]).tobytes()} | {name: a.tobytes() for name, a in expected.items()}


def test_passes_share_their_slots():
    """And begin at the slot where the first one began; outside a forward each call opens one itself."""
    state = State()
    with state.forward():
        before = state.next()
        passes = [(part, state.next(), state.next()) for part in state.passes("abc")]
        assert [part for part, *_ in passes] == ["a", "b", "c"]
        assert all(first is passes[0][1] and second is passes[0][2] for _, first, second in passes)
        assert len({id(slot) for slot in (before, *passes[0][1:], state.next())}) == 4
    assert list(State().passes((1, 2))) == [1, 2]
