"""Settings of a config, and of a layer, are those that the numbers are computed with."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.layers import LayerNorm, LearnedPositions
from tinytx.models import Bert, BertConfig, Transformer, TransformerConfig


def rng():
    return np.random.default_rng(0)


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


@pytest.mark.parametrize("doubled", [False, True])
def test_sinusoids_are_those_asked_for(doubled):
    """Catches the paper's where the tutorial's are meant; learned ones are a layer of their own."""
    expected = ops.sinusoidal_positions(6, 8, doubled=doubled)
    for stack in stacks(positions="doubled" if doubled else "sinusoidal"):
        np.testing.assert_array_equal(stack.position.table, expected)
    for stack in stacks(positions="learned"):
        assert isinstance(stack.position, LearnedPositions)


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.5])
def test_a_norm_computes_with_its_eps(eps):
    """Catches an eps that the layer keeps, and does not hand on."""
    x = rng().normal(size=(2, 3, 4))
    layer = LayerNorm(4, eps=eps, dtype=np.float64)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12)
