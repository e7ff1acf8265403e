"""Recurrent layers: parts of a text with a state, first and final states, what padding and later positions may reach, initial weights."""

import math

import numpy as np
import pytest
from cases import Seeded
from hypothesis import given
from hypothesis import strategies as st

from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.layers import GRU, LSTM, RNN, Bidirectional, Dropout, ExternalMemory, MultiplicativeLSTM, RecurrentStack
from tinytx.layers.recurrent import CELLS
from tinytx.state import State
from tinytx.testing import batch_check, gradcheck, leak_check, padding_check, state_check

kinds = pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
DRAW = {"rng": np.random.default_rng(0), "dtype": np.float64}


def randomised(layer):
    make = Seeded(0)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    return layer


def layer_of(kind=LSTM, d=3, r=5, **options):
    return randomised(kind(d, r, **DRAW, **options))


def two_ways(kind=LSTM, d=3, r=5):
    return randomised(Bidirectional(kind(d, r, **DRAW), kind(d, r, reverse=True, **DRAW)))


def stack_of(*kinds):
    return randomised(RecurrentStack([kind(d, 5, **DRAW) for kind, d in zip(kinds, (3, 5, 5))]))


@kinds
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_parts_with_a_state_are_the_whole(kind, sizes):
    """Catches a state that is not read, not written, or h and c exchanged."""
    layer, x, state, parts, start = layer_of(kind), Seeded(1).array(2, sum(sizes), 3), State(), [], 0
    for size in sizes:
        parts.append(layer(x[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(x), rtol=0, atol=1e-14)


def test_rows_and_parts_of_a_state():
    """Rows in another order, in a stack of different layers, which have states of their own."""
    state_check(stack_of(LSTM, GRU, RNN), Seeded(1).array(3, 6, 3))


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


class Bottleneck(Layer):
    """An encoder whose final states alone reach the decoder."""

    def __init__(self, encoder, decoder):
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x, target, tape=None, *, mask=None):
        _, *states = self.encoder(x, tape, mask=mask, final=True)
        return self.decoder(target, *states, tape)

    def backward(self, dy, tape):
        dtarget, *dstates = self.decoder.backward(dy, tape)
        return self.encoder.backward((None, *dstates), tape), dtarget


def stack_two_ways():
    return randomised(RecurrentStack([two_ways(RNN), LSTM(10, 5, **DRAW)]))


@pytest.mark.parametrize("build", [lambda: layer_of(GRU), stack_two_ways], ids=["one", "stack"])
def test_an_encoders_final_states_reach_a_decoder(build):
    make, mask = Seeded(1), np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
    model = Bottleneck(build(), build())
    settings = {"options": {"mask": mask}, "randomize": False, "mode": "sampled", "samples": 2}
    report = gradcheck(model, make.array(2, 4, 3), make.array(2, 3, 3), **settings)
    assert report, str(report)


def test_two_ways_are_both_layers_beside_each_other():
    layer, x, initial = two_ways(), Seeded(1).array(2, 4, 3), [Seeded(n).array(2, 5) for n in range(4)]
    y, *final = layer(x, *initial, final=True)
    left = layer.left_to_right(x, *initial[:2], final=True)
    right = layer.right_to_left(x[:, ::-1], *initial[2:])  # it reads a turned text from the right: from the left
    np.testing.assert_array_equal(y[..., :5], left[0])
    np.testing.assert_array_equal(y[..., 5:], layer.right_to_left(x, *initial[2:]))
    assert not np.allclose(y[..., 5:], right) and len(final) == 4
    np.testing.assert_array_equal(final[2], y[:, 0, 5:])  # the layer from the right ends at the first position


@pytest.mark.parametrize("kind", [RNN, MultiplicativeLSTM])
def test_weight_drop_is_one_mask_for_all_positions_and_rows(kind):
    """The layer is one with the masked matrix, whose gradient is masked; a shard of the batch has the same mask."""
    layer, plain, x = layer_of(kind, weight_drop=0.4), layer_of(kind), Seeded(1).array(3, 4, 3)
    tape, other, dy = Tape(seed=1, step=2), Tape(), Seeded(2).array(3, 4, 5)
    weight, saved = ops.dropout(layer.weight_h.data, 0.4, Tape(seed=1, step=2).dropout_key())
    plain.weight_h.data[...] = weight
    assert 0.2 < (weight == 0).mean() < 0.6
    y = plain(x, other)
    np.testing.assert_array_equal(layer(x, tape), y)
    np.testing.assert_array_equal(layer.backward(dy, tape), plain.backward(dy, other))
    np.testing.assert_array_equal(layer.weight_h.grad, ops.dropout_backward(plain.weight_h.grad, saved))
    np.testing.assert_array_equal(layer.weight_x.grad, plain.weight_x.grad)
    np.testing.assert_allclose(layer(x[1:], Tape(seed=1, step=2, first_row=1)), y[1:], rtol=0, atol=1e-14)
    assert (layer(x, Tape(seed=1, step=3)) != y).any()


def test_without_a_seed_no_weight_is_dropped():
    layer, x = layer_of(weight_drop=0.4), Seeded(1).array(3, 4, 3)
    np.testing.assert_array_equal(layer(x), layer_of()(x))
    np.testing.assert_array_equal(layer(x, Tape()), layer_of()(x))


def test_a_stacks_dropout_can_be_locked():
    """Catches an option that is not handed on: with it all positions of the upper layer's input lack the same units."""
    layers = [LSTM(3, 5, **DRAW), LSTM(5, 5, **DRAW)]
    x = np.broadcast_to(Seeded(1).array(2, 1, 3), (2, 4, 3))
    one, other = (randomised(RecurrentStack(layers, dropout=0.5, locked=locked))(x, Tape(seed=1)) for locked in (False, True))
    expected = layers[1](Dropout(0.5, locked=True)(layers[0](x), Tape(seed=1)))
    np.testing.assert_array_equal(other, expected)
    assert (one != other).any()


def test_dropout_is_between_layers_only():
    layers = [LSTM(3, 5, **DRAW), LSTM(5, 5, **DRAW)]
    for n in (1, 2):
        stack, x = randomised(RecurrentStack(layers[:n], dropout=0.5)), Seeded(1).array(2, 4, 3)
        assert (stack(x, Tape(seed=1)) == stack(x)).all() == (n == 1)
        assert stack(x, Tape(seed=1)).all()  # nothing of the last layer is dropped


@kinds
def test_later_positions_other_rows_and_padding_reach_nothing(kind):
    layer, x = layer_of(kind), Seeded(1).array(3, 5, 3)
    leak_check(layer, x)
    batch_check(layer, x)
    padding_check(layer, x, [2, 5, 3], make_options=lambda lengths, size: {"mask": np.arange(size) < lengths[:, None]})


def test_padding_reaches_nothing_from_the_right():
    def make_options(lengths, size):
        return {"mask": np.arange(size) < lengths[:, None]}

    padding_check(two_ways(GRU), Seeded(1).array(3, 5, 3), [2, 5, 3], make_options=make_options)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, h: layer_of()(x, h, h, state=State()), "LSTM: an initial state is given, and a state holds one too"),
    (lambda x, h: layer_of()(x, h), "LSTM: 1 arrays of an initial state are given, expected h and c, or none"),
    (lambda x, h: layer_of(GRU)(x, h, h), "GRU: 2 arrays of an initial state are given, expected h, or none"),
    (lambda x, h: layer_of(RNN, reverse=True)(x, state=State()), "RNN: it reads from the right, and what follows"),
    (lambda x, h: two_ways()(x, state=State()), "LSTM: it reads from the right"),
    (lambda x, h: stack_of(GRU, LSTM)(x, h), "RecurrentStack: 1 arrays of initial states are given, expected 3"),
    (lambda x, h: RecurrentStack([]), "RecurrentStack: layers is empty"),
    (lambda x, h: Bidirectional(layer_of(), layer_of()), "Bidirectional: right_to_left has reverse=False, expected reverse=True"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 1, 3)), np.zeros((2, 5)))


@pytest.mark.parametrize(("kind", "biases"), [(RNN, 1), (GRU, 2), (LSTM, 1), (MultiplicativeLSTM, 1)])
def test_weights_start_as_pytorchs(kind, biases):
    """Uniform in +-1/sqrt(R), the weights of the input too; one bias is the sum of two such numbers."""
    layer, bound = kind(900, 400, rng=np.random.default_rng(0)), 1 / math.sqrt(400)
    weight_x, weight_h, *others = layer.parameters()
    assert len(others) == biases
    for parameter in (weight_x, weight_h, *others):
        size = math.sqrt(2) if parameter.data.ndim == 1 and biases == 1 else 1
        assert abs(parameter.data.std() / (size * bound / math.sqrt(3)) - 1) < 0.1
        assert abs(parameter.data).max() <= size**2 * bound


def sigma(a):
    return 1 / (1 + np.exp(-a))


def gates_of(layer, x, h):
    """Return the gates of one position, by the equations of the cell's page."""
    r, name = len(layer.weight_h.data), layer.cell.name
    wx, wh = layer.weight_x.data, layer.weight_h.data
    if name == "rnn":
        return {}
    if name == "gru":
        a = x @ wx + layer.bias_x.data + h @ wh + layer.bias_h.data
    elif name == "original_gru":
        a = x @ wx + h @ wh + layer.bias.data
    elif name == "mlstm":
        a = x @ wx[:, r:] + ((x @ wx[:, :r]) * (h @ wh[:, :r])) @ wh[:, r:] + layer.bias.data
    else:
        a = x @ wx + h @ wh + layer.bias.data
    parts = {"i": 0, "f": 1, "o": 3} if "lstm" in name else {"r": 0, "z": 1}
    return {gate: sigma(a[:, n * r : (n + 1) * r]) for gate, n in parts.items()}


@pytest.mark.parametrize("kind", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_it_carries_is_what_forward_had(kind, reverse):
    """Catches states of the position before, gates under another's name, and dropout of the weights."""
    layer, x = layer_of(kind, reverse=reverse, weight_drop=0.5), Seeded(1).array(2, 4, 3)
    initial = [Seeded(n + 2).array(2, 5) for n in range(layer.n_states)]
    mask = np.array([[True, True, True, True], [True, True, False, False]])
    carried, before = layer.carried(x, *initial, mask=mask, final=True), initial
    assert list(carried.states) == list(layer.cell.states) and carried.reverse == reverse
    np.testing.assert_array_equal(carried.x, x)
    np.testing.assert_array_equal(carried.mask, mask)
    for t in reversed(range(4)) if reverse else range(4):
        gates = gates_of(layer, x[:, t], before[0])
        assert [name[:1] for name in carried.gates] == [*gates]
        for name, gate in carried.gates.items():
            np.testing.assert_allclose(gate[mask[:, t], t], gates[name[:1]][mask[:, t]], rtol=0, atol=1e-12)
        _, *after = layer(x[:, t : t + 1], *before, mask=mask[:, t : t + 1], final=True)
        for state, expected in zip(carried.states.values(), after, strict=True):
            np.testing.assert_allclose(state[:, t], expected, rtol=0, atol=1e-14)
        before = after
    with pytest.raises(ValueError, match="carried got a state, expected none"):
        layer.carried(x, state=State())


def test_what_a_layer_with_a_memory_carries():
    layer, x = ExternalMemory(3, 4, 5, 2, 2, **DRAW), Seeded(1).array(2, 6, 3)
    carried = layer.carried(x)
    assert {name: array.shape for name, array in carried.states.items()} == {"h": (2, 6, 4), "r": (2, 6, 4)}
    np.testing.assert_array_equal(np.concatenate([*carried.states.values()], axis=2), layer(x))
