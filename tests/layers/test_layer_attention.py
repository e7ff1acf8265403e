"""Multi-head attention: which weight does what, and keys and values that were kept."""

import numpy as np
import pytest
from cases import Seeded

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import DotProduct, MultiHeadAttention
from tinytx.ops.attention_patterns import CAUSAL, Documents
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
    layer, make, tape = layer_of(core=DotProduct(pattern=CAUSAL)), Seeded(1), Tape()
    y = layer(make.array(3, 5, 6), tape)
    layer.backward(make.array(*y.shape), tape)
    largest = np.abs(layer.key.weight.grad).max()
    assert np.abs(layer.key.bias.grad).max() < 1e-13 * largest < np.abs(layer.query.bias.grad).max()


@pytest.mark.parametrize("chunks", [[1] * 11, [5, 6], [4, 1, 1, 5], [11]])
@pytest.mark.parametrize("capacity", [1, 4, 64])
def test_kept_keys_and_values_are_as_good_as_new(chunks, capacity, monkeypatch):
    """Catches a state that overwrites, or forgets when it grows, and a causal mask aligned at the top."""
    layer, x = layer_of(core=DotProduct(pattern=CAUSAL)), Seeded(1).array(3, 11, 6)
    monkeypatch.setattr("tinytx.state.CAPACITY", capacity)
    state, parts, start = State(), [], 0
    for size in chunks:
        assert state.length == start
        parts.append(layer(x[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), layer(x), rtol=0, atol=1e-12)


def test_layers_have_slots_of_their_own():
    one, two, x = layer_of(core=DotProduct(pattern=CAUSAL)), layer_of(core=DotProduct(pattern=CAUSAL), seed=7), Seeded(1).array(2, 4, 6)
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
    with pytest.raises(ValueError, match="DotProduct: dropout is 1"):
        DotProduct(dropout=1)


@pytest.mark.parametrize(("n_kv_heads", "d_key"), [(2, None), (1, 5), (3, 4), (6, 5)])
def test_groups_and_width_are_those_of_a_layer_with_repeated_keys(n_kv_heads, d_key):
    """Catches heads of a wrong width, and maps of keys that belong to another group."""
    layer, x = layer_of(12, 6, n_kv_heads=n_kv_heads, d_key=d_key, core=DotProduct(pattern=CAUSAL)), Seeded(1).array(2, 5, 12)
    full = layer_of(12, 6, d_key=d_key, core=DotProduct(pattern=CAUSAL))
    for name in ("query", "key", "value", "output"):
        for mine, other in zip(getattr(layer, name).parameters(), getattr(full, name).parameters(), strict=True):
            data = mine.data
            if name in ("key", "value"):
                heads = data.reshape(*data.shape[:-1], n_kv_heads, -1)
                data = np.repeat(heads, 6 // n_kv_heads, axis=-2).reshape(*data.shape[:-1], -1)
            other.data[...] = data
    np.testing.assert_allclose(layer(x), full(x), rtol=0, atol=1e-13)
    assert layer.attention_weights(x).shape == (2, 6, 5, 5)


def test_refuses_groups_that_do_not_divide_the_heads():
    with pytest.raises(ValueError, match="n_kv_heads 4 does not divide n_heads 6"):
        layer_of(12, 6, n_kv_heads=4)


def test_a_core_takes_a_bias_a_scale_and_a_pattern_of_the_batch():
    """Catches settings that are lost on the way: each changes the result as it does in the operation."""
    make, tape = Seeded(1), Tape()
    q, k, v, dy, bias = (make.array(*shape) for shape in ((2, 3, 4, 5),) * 4 + ((1, 3, 4, 4),))
    core = DotProduct(pattern=CAUSAL, scale=0.3)
    ids = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    y = core(q, k, v, bias, tape, pattern=Documents(ids))
    expected, saved = ops.attention(q, k, v, bias, pattern=CAUSAL & Documents(ids), scale=0.3)
    np.testing.assert_array_equal(y, expected)
    for gradient, right in zip(core.backward(dy, tape), ops.attention_backward(dy, saved), strict=True):
        np.testing.assert_array_equal(gradient, right)
    np.testing.assert_array_equal(core.weights(q, k, v, bias, pattern=Documents(ids)), ops.attention_weights(saved))
