"""Multi-head attention: which weight does what, and keys and values that were kept."""

import numpy as np
import pytest
from cases import Seeded

from tinytx.core import Tape
from tinytx.layers import MultiHeadAttention
from tinytx.state import State


def layer_of(d=6, h=2, seed=0, **options):
    layer = MultiHeadAttention(d, h, rng=np.random.default_rng(0), dtype=np.float64, **options)
    make = Seeded(seed)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.4)
    return layer


def by_the_book(layer, x, memory):
    """Return MultiHead(x, memory, memory) of the paper, one head at a time, with every map written out."""
    width = x.shape[-1] // layer.n_heads
    q, k, v = (
        z @ part.weight.data + part.bias.data
        for z, part in ((x, layer.query), (memory, layer.key), (memory, layer.value))
    )
    heads = []
    for i in range(layer.n_heads):
        part = np.s_[..., i * width : (i + 1) * width]
        e = np.exp(q[part] @ k[part].swapaxes(1, 2) / np.sqrt(width))
        heads.append(e / e.sum(-1, keepdims=True) @ v[part])
    return np.concatenate(heads, -1) @ layer.output.weight.data + layer.output.bias.data


def test_is_what_the_paper_says():
    """Catches heads that are summed, a forgotten permutation, and keys made of x in cross-attention."""
    layer, make = layer_of(), Seeded(1)
    x, memory = make.array(3, 5, 6), make.array(3, 4, 6)
    np.testing.assert_allclose(layer(x), by_the_book(layer, x, x), rtol=0, atol=1e-13)
    np.testing.assert_allclose(layer(x, memory), by_the_book(layer, x, memory), rtol=0, atol=1e-13)


def test_a_key_bias_has_no_gradient():
    """Softmax does not see a constant: catches dK that is not the transpose of what it should be."""
    layer, make, tape = layer_of(causal=True), Seeded(1), Tape()
    y = layer(make.array(3, 5, 6), tape)
    layer.backward(make.array(*y.shape), tape)
    largest = np.abs(layer.key.weight.grad).max()
    assert np.abs(layer.key.bias.grad).max() < 1e-13 * largest < np.abs(layer.query.bias.grad).max()


@pytest.mark.parametrize("chunks", [[1] * 11, [5, 6], [4, 1, 1, 5], [11]])
@pytest.mark.parametrize("capacity", [1, 4, 64])
def test_kept_keys_and_values_are_as_good_as_new(chunks, capacity, monkeypatch):
    """Catches a state that overwrites, or forgets when it grows, and a causal mask aligned at the top."""
    layer, x = layer_of(causal=True), Seeded(1).array(3, 11, 6)
    monkeypatch.setattr("tinytx.state.CAPACITY", capacity)
    state, parts, start = State(), [], 0
    for size in chunks:
        assert state.length == start
        parts.append(layer(x[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), layer(x), rtol=0, atol=1e-12)


def test_layers_have_slots_of_their_own():
    one, two, x = layer_of(causal=True), layer_of(causal=True, seed=7), Seeded(1).array(2, 4, 6)
    state = State()
    for t in range(4):
        with state.forward():
            y = [layer(x[:, t : t + 1], state=state) for layer in (one, two)]
    np.testing.assert_allclose(y[0][:, 0], one(x)[:, 3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(y[1][:, 0], two(x)[:, 3], rtol=0, atol=1e-12)
    assert state.length == 4


@pytest.mark.parametrize("n_heads", [0, -1, 4, 7])
def test_refuses_heads_that_do_not_divide_the_width(n_heads):
    with pytest.raises(ValueError, match=f"n_heads {n_heads} does not divide d_model 6"):
        layer_of(h=n_heads)


def test_refuses_a_dropout_that_is_no_probability():
    with pytest.raises(ValueError, match="MultiHeadAttention: dropout is 1"):
        layer_of(dropout=1)
