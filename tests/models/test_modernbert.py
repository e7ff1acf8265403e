"""ModernBERT: which words a block sees, how it turns them, its norms, its published size, its config."""

import numpy as np
import pytest
from sizes import Untold, n_parameters

from tinytx.layers import DotProduct, LayerNorm, MultiHeadAttention
from tinytx.models import ModernBert, ModernBertConfig
from tinytx.ops import rotary_frequencies
from tinytx.ops.attention_patterns import FULL, Band
from tinytx.tasks import HiddenWords

PAD = 3
SIZES = {"max_len": 20, "d_model": 24, "n_heads": 4, "n_layers": 4, "pad_id": PAD}


def body_of(**options):
    body = ModernBert(ModernBertConfig(11, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for i, parameter in enumerate(body.parameters()):
        parameter.data[...] = np.random.default_rng(i).normal(size=parameter.data.shape)
    return body


def layers_of(body, kind):
    return [layer for _, layer in body.named_layers() if isinstance(layer, kind)]


def test_settings_reach_the_layers():
    options = {"eps": 0.25, "dropout": 0.2, "embedding_dropout": 0.3, "feed_forward_dropout": 0.1, "activation": "silu"}
    body = body_of(n_layers=5, window=6, global_every=2, rope_base=9.0, rope_base_local=5.0, **options)
    assert [core.pattern for core in layers_of(body, DotProduct)] == [FULL, Band(3, 3), FULL, Band(3, 3), FULL]
    for i, attention in enumerate(layers_of(body, MultiHeadAttention)):
        np.testing.assert_array_equal(attention.rotary.frequencies, rotary_frequencies(6, 5.0 if i % 2 else 9.0))
    assert {(block.attention.dropout.p, block.attention.f.core.p, block.feed_forward.dropout.p) for block in body.blocks} == {(0.2,) * 3}
    assert {(block.feed_forward.f.dropout.p, block.feed_forward.f.activation) for block in body.blocks} == {(0.1, "silu")}
    norms = layers_of(body, LayerNorm)
    assert len(norms) == 2 + 4 + 5 and {norm.eps for norm in norms} == {0.25} and body.dropout.p == 0.3
    assert ModernBertConfig(11).inner_width == 1152 and ModernBertConfig(11, d_ff=7).inner_width == 7


def test_nothing_but_the_output_layer_has_a_bias():
    model = HiddenWords(body_of(), rng=np.random.default_rng(1))
    assert [path for path, _ in model.named_parameters() if path.endswith("bias")] == ["head.bias"]


@pytest.mark.parametrize(("n_layers", "reach"), [(1, 12), (3, 12)])
def test_a_global_block_sees_the_whole_text(n_layers, reach):
    assert seen_from_the_first_word(body_of(n_layers=n_layers, window=2)) == reach


def test_local_blocks_see_half_a_window_on_each_side():
    """Without its first block: two blocks of 2 words on each side reach 4 words far."""
    body = body_of(n_layers=3, window=4)
    del body.blocks[0]
    assert seen_from_the_first_word(body) == 4


def seen_from_the_first_word(body):
    """Return the distance of the furthest of 13 words that the first one's vector depends on."""
    ids = np.random.default_rng(0).integers(4, 10, (1, 13))
    y, moved = body(ids), []
    for t in range(13):
        other = ids.copy()
        other[0, t] += 1
        moved.append(np.abs(body(other) - y)[0, 0].max() > 1e-12)
    assert moved == sorted(moved, reverse=True)
    return sum(moved) - 1


def test_padding_is_not_looked_at():
    body, ids = body_of(), np.array([[5, 6, 7, 8]])
    padded = np.pad(ids, ((0, 0), (0, 3)), constant_values=PAD)
    np.testing.assert_allclose(body(padded)[:, :4], body(ids), rtol=0, atol=1e-12)


def test_the_published_size():
    """Base with its head of words, as counted in transformers."""
    model = HiddenWords.around(ModernBert, ModernBertConfig(50_368), rng=Untold())
    assert n_parameters(model) == 149_655_232


def test_weights_that_write_into_the_stream_start_smaller():
    body = ModernBert(ModernBertConfig(50, d_model=64, n_heads=4, n_layers=8), rng=np.random.default_rng(0))
    for path, parameter in body.named_parameters():
        if "norm" not in path:
            expected = 0.02 / 4 if path.split(".")[-2] in ("output", "contract") else 0.02
            assert abs(parameter.data.std() / expected - 1) < 0.1, path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"d_model": 12, "n_heads": 4}, "the width of a head is 3, expected an even number"),
        ({"n_heads": 5}, "n_heads 5 does not divide d_model 24"),
        ({"pad_id": 11}, "pad_id"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        ModernBertConfig(11, **SIZES | options)
