"""Initial values: their spread, their dtype, and the generator they come from."""

import math

import numpy as np
import pytest

from tinytx.layers import (
    GRU,
    LSTM,
    Activation,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
)
from tinytx.layers.init import normal, uniform_fan_in, xavier_uniform
from tinytx.layers.linear import draw_biases


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (normal(0.02), 0.02),
        (uniform_fan_in, 1 / math.sqrt(3 * 300)),
        (xavier_uniform, math.sqrt(2 / 500)),
    ],
)
def test_spread_is_what_the_source_says(init, std):
    """Catches fan-out in place of fan-in: the shape is (d_in, d_out)."""
    values = init(np.random.default_rng(0), (300, 200))
    assert values.shape == (300, 200)
    assert abs(values.std() / std - 1) < 0.02 and abs(values.mean()) < 5 * std / math.sqrt(values.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_parameter_has_the_dtype_asked_for(dtype):
    options = {"rng": np.random.default_rng(0), "dtype": dtype}
    layers = [
        Linear(3, 4, **options),
        Embedding(5, 3, **options),
        LearnedPositions(5, 3, **options),
        FeedForward(3, 5, **options),
        MultiHeadAttention(4, 2, **options),
        LSTM(3, 4, **options),
        GRU(3, 4, **options),
        LayerNorm(3, dtype=dtype),
    ]
    for layer in layers:
        assert {parameter.data.dtype for parameter in layer.parameters()} == {np.dtype(dtype)}


def test_the_generator_handed_in_is_the_only_one():
    """Catches the global generator: the same one twice gives the same weights, and two layers differ."""
    one, two = (MultiHeadAttention(4, 2, rng=np.random.default_rng(3)) for _ in range(2))
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        np.testing.assert_array_equal(first.data, second.data)
    assert (one.query.weight.data != one.key.weight.data).all()


def test_unknown_activation():
    with pytest.raises(ValueError, match="unknown name 'swish', expected one of gelu, gelu_tanh, relu, silu, tanh"):
        Activation("swish")


D_IN, D_OUT = 20, 500  # the fan in and the fan out give spreads that differ by 5


@pytest.mark.parametrize(
    ("build", "stds"),
    [
        (lambda **o: Linear(D_IN, D_OUT, **o), {"weight": 1 / math.sqrt(3 * D_IN)}),
        (lambda **o: Linear(D_OUT, D_IN, **o), {"weight": 1 / math.sqrt(3 * D_OUT)}),
        (lambda **o: Linear(D_IN, D_OUT, init=xavier_uniform, **o), {"weight": math.sqrt(2 / (D_IN + D_OUT))}),
        (lambda **o: Linear(D_OUT, D_IN, init=xavier_uniform, **o), {"weight": math.sqrt(2 / (D_IN + D_OUT))}),
        (
            lambda **o: FeedForward(D_IN, D_OUT, **o),
            {"expand.weight": 1 / math.sqrt(3 * D_IN), "contract.weight": 1 / math.sqrt(3 * D_OUT)},
        ),
        (
            lambda **o: FeedForward(D_IN, D_OUT, init=normal(0.5), init_output=normal(0.1), **o),
            {"expand.weight": 0.5, "contract.weight": 0.1},
        ),
        (lambda **o: Embedding(D_OUT, D_IN, **o), {"weight": 1.0}),
        (lambda **o: LearnedPositions(D_OUT, D_IN, **o), {"weight": 0.02}),
        (
            lambda **o: MultiHeadAttention(100, 4, init_output=normal(0.3), **o),
            {f"{part}.weight": 1 / math.sqrt(300) for part in ("query", "key", "value")} | {"output.weight": 0.3},
        ),
    ],
)
def test_spread_in_layers_that_are_not_square(build, stds):
    """Catches the fan out in place of the fan in, and the two matrices of a layer exchanged."""
    layer = build(rng=np.random.default_rng(0))
    parameters = dict(layer.named_parameters())
    for path, std in stds.items():
        values = parameters[path].data.astype(float)
        assert abs(values.std() / std - 1) < 0.03, f"{path}: {values.std():.4g}, expected {std:.4g}"
        assert abs(values.mean()) < 5 * std / math.sqrt(values.size)
    for path, parameter in parameters.items():
        assert path in stds or not parameter.data.any(), f"{path} does not start at 0"


def test_biases_drawn_as_by_pytorch():
    """Catches the bound of the fan out, and one matrix's bound for all."""
    layer = FeedForward(D_IN, D_OUT, rng=np.random.default_rng(0))
    draw_biases(layer, np.random.default_rng(1))
    for linear, d_in in ((layer.expand, D_IN), (layer.contract, D_OUT)):
        values, bound = linear.bias.data, 1 / math.sqrt(d_in)
        assert np.abs(values).max() <= bound
        assert abs(values.std() / (bound / math.sqrt(3)) - 1) < 5 / math.sqrt(values.size)


@pytest.mark.parametrize("d_in", [0, 1])
def test_a_layer_without_inputs(d_in):
    """Catches 1 / sqrt(0)."""
    layer = Linear(d_in, 3, rng=np.random.default_rng(0))
    draw_biases(layer, np.random.default_rng(0))
    assert layer(np.zeros((2, d_in), np.float32)).shape == (2, 3)
    assert Linear(0, 0, rng=np.random.default_rng(0), init=xavier_uniform).weight.data.shape == (0, 0)
