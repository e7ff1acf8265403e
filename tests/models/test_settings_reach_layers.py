"""Settings of a config, and of a layer, are those that the numbers are computed with."""

import dataclasses

import numpy as np
import pytest
from sizes import Untold, n_parameters

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import LayerNorm, LearnedPositions
from tinytx.models import GPT, T5, Bert, BertConfig, GPTConfig, T5Config, Transformer, TransformerConfig
from tinytx.tasks import SequenceToSequence


def rng():
    return np.random.default_rng(0)


SMALL = {"d_model": 8, "n_heads": 2, "max_len": 6, "n_encoder_layers": 1, "n_decoder_layers": 1}


def stacks(**settings):
    """The encoder and the decoder of a small Transformer, and the encoder of a small BERT where it has the settings."""
    small = {"d_model": 8, "n_heads": 2, "max_len": 6, **settings}
    model = Transformer(TransformerConfig(9, 9, n_encoder_layers=1, n_decoder_layers=1, **small), rng=rng())
    made = [model.encoder, model.decoder]
    if "final_norm" not in settings:
        made.append(Bert(BertConfig(9, n_layers=1, **small), rng=rng()).encoder)
    return made


@pytest.mark.parametrize(
    ("norm_order", "final_norm", "expected"),
    [
        ("pre", None, True),
        ("pre", True, True),
        ("pre", False, False),
        ("post", None, False),
        ("post", True, True),
        ("post", False, False),
    ],
)
def test_the_last_norm_is_there_where_it_is_asked_for(norm_order, final_norm, expected):
    """Catches False that is taken for nothing said."""
    for stack in stacks(norm_order=norm_order, final_norm=final_norm):
        assert (stack.norm is not None) == expected


@pytest.mark.parametrize("form", ["sinusoidal", "doubled", "halves"])
def test_sinusoids_are_those_asked_for(form):
    """Catches the paper's where the tutorial's or Marian's are meant; learned ones are a layer of their own."""
    expected = ops.sinusoidal_positions(6, 8, doubled=form == "doubled", halves=form == "halves")
    for stack in stacks(positions=form):
        np.testing.assert_array_equal(stack.position.table, expected)
    for stack in stacks(positions="learned"):
        assert isinstance(stack.position, LearnedPositions) and stack.position.weight.data.shape == (6, 8)


def test_rows_of_positions_that_nothing_reads():
    """BART's table begins with two: positions start behind them, and they get no gradient."""
    model = Transformer(TransformerConfig.bart(9, **SMALL), rng=rng())
    table, ids = model.encoder.position.weight, np.full((2, 6), 5)
    assert table.data.shape == (8, 8)
    tape = Tape()
    y = model.encoder(ids, tape)
    model.encoder.backward(np.ones_like(y), tape)
    assert (table.grad[:2] == 0).all() and (table.grad[2:] != 0).any(axis=1).all()
    moved = table.data.copy()
    table.data[:2] += 1
    np.testing.assert_array_equal(model.encoder(ids), y)
    table.data[...] = np.roll(moved, 1, axis=0)
    assert np.abs(model.encoder(ids) - y).max() > 1e-3


def test_bart_and_marian_are_their_parts():
    """Their sizes as they were published, output bias included, and what stands where."""
    bart, marian = (
        SequenceToSequence(Transformer(config, rng=rng()), output_bias=True)
        for config in (TransformerConfig.bart(50265, **SMALL), TransformerConfig.marian(58101, **SMALL))
    )
    for model, norm, bias in ((bart, True, 50265), (marian, False, 58101)):
        assert (model.body.encoder.embedding_norm is not None) == (model.body.decoder.embedding_norm is not None) == norm
        assert model.head.bias.data.shape == (bias,) and model.body.encoder.norm is None
    assert bart.body.encoder.token.scale == 1 and marian.body.encoder.token.scale == 8**0.5
    assert (bart.config.start_id, marian.config.start_id) == (bart.config.stop_id, marian.config.pad_id)
    block = Transformer(TransformerConfig(9, 9, **SMALL, attention_dropout=0.3, feed_forward_dropout=0.2), rng=rng()).decoder.blocks[0]
    assert (block.attention.f.core.p, block.cross_attention.f.core.p, block.feed_forward.f.dropout.p) == (0.3, 0.3, 0.2)
    assert block.attention.dropout.p == 0.1


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.5])
def test_a_norm_computes_with_its_eps(eps):
    """Catches an eps that the layer keeps, and does not hand on."""
    x = rng().normal(size=(2, 3, 4))
    layer = LayerNorm(4, eps=eps, dtype=np.float64)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12)


def gpt(**settings):
    return GPT(GPTConfig(9, d_model=8, n_heads=2, n_layers=2, max_len=6, **settings), rng=rng())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (0, 0, 0)),
        ({"dropout": 0.3}, (0.3, 0.3, 0.3)),
        ({"dropout": 0.3, "embedding_dropout": 0.0}, (0.0, 0.3, 0.3)),
        ({"dropout": 0.3, "attention_dropout": 0.0}, (0.3, 0.0, 0.3)),
        ({"embedding_dropout": 0.1, "attention_dropout": 0.2}, (0.1, 0.2, 0)),
    ],
)
def test_each_dropout_is_where_it_is_asked_for(settings, expected):
    """Of embeddings, of attention weights, of each part; catches 0 that is taken for nothing said."""
    model = gpt(**settings)
    for block in model.blocks:
        assert (model.dropout.p, block.attention.f.core.p, block.attention.dropout.p) == expected
        assert block.feed_forward.dropout.p == expected[2]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [(None, [None, None, None]), ("all,3", [None, 2, None]), ("3,4,all,5", [2, 3, None]), ("1", [0, 0, 0])],
)
def test_each_block_has_its_window(windows, expected):
    body = GPT(GPTConfig(9, d_model=8, n_heads=2, n_layers=3, max_len=6, windows=windows), rng=rng())
    patterns = [block.attention.f.core.pattern for block in body.blocks]
    assert [(pattern.left, pattern.right) for pattern in patterns] == [(left, 0) for left in expected]


@pytest.mark.parametrize("windows", ["", "0", "all,", "8;9", "All", "-1", "1.5", "10" * 6])
def test_windows_that_are_none_are_refused(windows):
    with pytest.raises(ValueError, match="GPTConfig: windows is"):
        GPTConfig(9, windows=windows)


def test_a_gpt_norms_with_its_eps():
    model = gpt(eps=0.5)
    norms = [layer for _, layer in model.named_layers() if isinstance(layer, LayerNorm)]
    assert [norm.eps for norm in norms] == [0.5] * 5


def test_the_first_gpt():
    """Its size as it was published; a norm after each part and none at the end; one spread for all matrices."""
    config = GPTConfig.gpt1()
    one, two = (GPTConfig.gpt1(n_layers=n) for n in (1, 2))
    sizes = [n_parameters(GPT(c, rng=Untold())) for c in (one, two)]
    assert sizes[0] + (config.n_layers - 1) * (sizes[1] - sizes[0]) == 116_534_784
    model = GPT(GPTConfig.gpt1(50, d_model=96, n_layers=2), rng=rng())
    assert model.norm is None and model.blocks[0].attention.norm_order == "post"
    for _, layer in model.blocks[0].named_layers():
        if hasattr(layer, "matrix"):
            assert layer.weight.data.std() == pytest.approx(0.02, rel=0.05)
    assert gpt(d_ff=900).blocks[0].feed_forward.f.contract.weight.data.std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("tied", "scaled", "expected"), [(True, None, True), (False, None, False), (True, False, False), (False, True, True)]
)
def test_a_t5_scales_its_vectors_where_it_is_asked_to(tied, scaled, expected):
    config = T5Config(9, d_model=16, n_heads=2, d_key=4, d_ff=8, n_encoder_layers=1, n_decoder_layers=1, tied_head=tied)
    other = T5(dataclasses.replace(config, scaled_head=scaled), rng=rng())
    assert config.scales_head is tied and other.config.scales_head is expected
    assert len(other.decoder.norm.layers) == 2 + expected
