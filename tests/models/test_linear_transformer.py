"""Linear attention over many chunks, and the transformer that is made of it."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import LinearAttention
from tinytx.models import LinearTransformer, LinearTransformerConfig
from tinytx.ops import plain
from tinytx.ops.linear_attention import CHUNK

SIZES = {"max_len": 12, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7}


@pytest.mark.parametrize(("t", "s", "causal"), [(2 * CHUNK + 5, 2 * CHUNK + 5, True), (CHUNK + 1, 3 * CHUNK, True), (2 * CHUNK, CHUNK - 3, False)])
def test_chunks_are_the_whole(t, s, causal):
    """Outputs and gradients where a sequence is several chunks, and where some keys stand before the first query."""
    rng = np.random.default_rng(0)
    q, k, v, dy = (rng.normal(size=(2, 2, n, width)) for n, width in ((t, 3), (s, 3), (s, 4), (t, 4)))
    (y, saved), (expected, all_saved) = (f(q, k, v, causal=causal) for f in (ops.linear_attention, plain.linear_attention))
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)
    pairs = zip(ops.linear_attention_backward(dy, saved), plain.linear_attention_backward(dy, all_saved), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_nothing_grows_with_the_square_of_the_length():
    """A sequence whose scores would be 40 GB."""
    x = np.random.default_rng(0).normal(size=(1, 1, 100_000, 2)).astype(np.float32)
    y, saved = ops.linear_attention(x, x, x)
    gradients = ops.linear_attention_backward(y, saved)
    assert all(np.isfinite(array).all() for array in (y, *gradients))


def test_weights_are_those_of_the_output():
    q, k, v = (np.random.default_rng(seed).normal(size=(2, 2, n, 3)) for seed, n in ((0, 4), (1, 6), (2, 6)))
    weights = ops.linear_attention_weights(q, k)
    np.testing.assert_allclose(weights @ v, ops.linear_attention(q, k, v)[0], rtol=0, atol=1e-14)
    assert not np.triu(weights[0, 0], 3).any()


@pytest.mark.parametrize("causal", [True, False])
def test_a_layer_is_causal_or_not(causal):
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 2, 5, 3))
    layer = LinearAttention(causal=causal)
    np.testing.assert_array_equal(layer(q, k, v), ops.linear_attention(q, k, v, causal=causal)[0])
    assert np.triu(layer.weights(q, k, v)[0, 0], 1).any() == (not causal)


def test_features_that_vanish_give_0():
    """exp(-200) is 0 in float32: no key has a weight, and no gradient is NaN."""
    x = np.full((1, 1, 3, 2), -200, np.float32)
    y, saved = ops.linear_attention(x, x, x)
    assert not any(array.any() for array in (y, *ops.linear_attention_backward(y + 1, saved)))


def test_a_word_depends_on_no_later_one():
    body = LinearTransformer(LinearTransformerConfig(11, **SIZES), rng=np.random.default_rng(0), dtype=np.float64)
    ids = np.arange(10)[None]
    other = ids.copy()
    other[0, 7] = 10
    moved = np.abs(body(ids) - body(other)).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(moved, np.arange(10) >= 7)


def test_it_has_no_settings_without_effect():
    """Weights are never computed, so none is dropped, and there is no window."""
    for name in ("windows", "attention_dropout"):
        with pytest.raises(TypeError, match=name):
            LinearTransformerConfig(11, **{name: None})
    body, ids = LinearTransformer(LinearTransformerConfig(11, **SIZES, dropout=0.5), rng=np.random.default_rng(0)), np.arange(10)[None]
    assert not np.array_equal(body(ids, Tape(seed=1)), body(ids, Tape()))
