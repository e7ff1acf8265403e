"""Llama: settings that reach its layers, what a word sees, its size, its config."""

import math

import numpy as np
import pytest

from tinytx.layers import DotProduct, MultiHeadAttention, RMSNorm
from tinytx.models import Llama, LlamaConfig
from tinytx.ops import rotary_frequencies
from tinytx.tasks import NextToken
from tinytx.testing import leak_check, state_check

SIZES = {"max_len": 20, "d_model": 24, "n_heads": 4, "n_layers": 2}
IDS = np.random.default_rng(0).integers(0, 11, (3, 9))


def llama(**options):
    return Llama(LlamaConfig(11, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)


def layers_of(body, kind):
    return [layer for _, layer in body.named_layers() if isinstance(layer, kind)]


def test_settings_reach_the_layers():
    body = llama(n_kv_heads=2, d_key=8, window=5, rope_base=7.0, rope_factor=4.0, rope_length=30, eps=0.3, dropout=0.2)
    expected = rotary_frequencies(8, 7.0, scaling=("llama3", 4.0, 1.0, 4.0, 30))
    for attention in layers_of(body, MultiHeadAttention):
        assert (attention.n_heads, attention.n_kv_heads) == (4, 2)
        np.testing.assert_array_equal(attention.rotary.frequencies, expected)
    assert {(core.pattern.left, core.pattern.right, core.p) for core in layers_of(body, DotProduct)} == {(4, 0, 0.2)}
    norms = layers_of(body, RMSNorm)
    assert len(norms) == 5 and {norm.eps for norm in norms} == {0.3}
    assert {block.feed_forward.f.activation for block in llama(activation="gelu").blocks} == {"gelu"}


@pytest.mark.parametrize(
    ("options", "scaling", "scale"),
    [
        ({}, None, 1.0),
        ({"rope_factor": 2.0, "rope_scaling": "linear"}, ("linear", 2.0), 1.0),
        ({"rope_factor": 2.0, "rope_scaling": "yarn", "rope_low": 0.5}, ("yarn", 2.0, 0.5, 4.0, 8192), 0.1 * math.log(2) + 1),
        ({"rope_factor": 2.0, "rope_scaling": "yarn", "rope_scale": 0.8}, ("yarn", 2.0, 1.0, 4.0, 8192), 0.8),
    ],
)
def test_how_positions_turn(options, scaling, scale):
    rotary = llama(d_key=12, rope_share=0.7, rope_neighbours=True, rope_base=50.0, **options).blocks[0].attention.f.rotary
    np.testing.assert_array_equal(rotary.frequencies, rotary_frequencies(8, 50.0, scaling=scaling))
    assert rotary.neighbours and rotary.scale == pytest.approx(scale)
    assert not llama().blocks[0].attention.f.rotary.neighbours


@pytest.mark.parametrize("options", [{}, {"qkv_bias": True, "tied_head": True}])
def test_which_maps_have_a_bias(options):
    model = NextToken(llama(**options), rng=np.random.default_rng(1))
    biased = {path.split(".")[-2] for path, _ in model.named_parameters() if path.endswith("bias")}
    assert biased == ({"query", "key", "value"} if options else set())
    assert (model.body.output_table is not None) == bool(options)


def test_weights_that_write_into_the_stream_start_smaller():
    body = Llama(LlamaConfig(50, d_model=64, n_layers=8), rng=np.random.default_rng(0))
    for path, parameter in body.named_parameters():
        if "norm" not in path:
            expected = 0.02 / 4 if path.split(".")[-2] in ("output", "contract") else 0.02
            assert abs(parameter.data.std() / expected - 1) < 0.1, path


def test_a_window():
    """Two blocks of window 3 reach 4 words back, and not 5; a text in parts is the whole."""
    body = llama(window=3)
    for parameter in body.parameters():
        parameter.data[...] = np.random.default_rng(1).normal(size=parameter.data.shape)
    y, other = body(IDS), IDS.copy()
    other[:, 0] = (other[:, 0] + 1) % 11
    changed = np.abs(body(other) - y).max(axis=(0, 2)) > 1e-12
    assert changed.tolist() == [True] * 5 + [False] * 4
    state_check(body, IDS)
    leak_check(body, IDS)


def test_widths_that_are_not_given():
    """Of the published 7B: 11,008 is 8/3 of 4,096, rounded up to a multiple of 256; here to one of 32."""
    assert LlamaConfig(11, d_model=4096, n_heads=32).inner_width == 10944
    assert (LlamaConfig(11, d_model=96).inner_width, LlamaConfig(11, d_model=96, d_ff=7).inner_width) == (256, 7)
    assert LlamaConfig(11, d_model=96, n_heads=4).key_width == 24


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"d_model": 12, "n_heads": 4}, "3 numbers of a head are turned, of 3 with rope_share 1; expected an even"),
        ({"rope_share": 0.5, "d_key": 6}, "3 numbers of a head are turned, of 6"),
        ({"rope_share": 0.1}, "0 numbers of a head are turned, of 6"),
        ({"n_kv_heads": 3}, "n_kv_heads is 3, expected a divisor of n_heads, 4"),
        ({"n_heads": 5}, "n_heads"),
        ({"rope_factor": 8.0, "rope_low": 4.0}, "rope_low is 4.0, expected less than rope_high, 4.0"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        LlamaConfig(11, **SIZES | options)
