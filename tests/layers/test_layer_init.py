"""Initial values: their spread, their dtype, and the generator they come from."""

import math

import numpy as np
import pytest

from tinytx.layers import Activation, Embedding, FeedForward, LayerNorm, LearnedPositions, Linear, MultiHeadAttention
from tinytx.layers.init import normal, uniform_fan_in, xavier_uniform


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
    with pytest.raises(ValueError, match="unknown name 'swish', expected one of gelu, gelu_tanh, relu, tanh"):
        Activation("swish")
