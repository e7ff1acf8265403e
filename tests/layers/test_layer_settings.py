"""Settings of layers that cannot be: refused where the layer is made, with its name, the setting and its value."""

import numpy as np
import pytest

from tinytx.layers import (
    GRU,
    LSTM,
    Activation,
    DotProduct,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    RecurrentStack,
    SinusoidalPositions,
    causal_mask,
    padding_mask,
)


def rng():
    return np.random.default_rng(0)


NO_SIZES = [-1, 2.5, "3", None, True, [2], np.array([2, 3]), 2**70]
NO_DTYPES = [int, np.float16, ">f4", "half a float", None, complex]
NO_NUMBERS = [np.ones(2), "1", None, 1j, np.nan]

REFUSED = {
    "Linear: d_in": (lambda value: Linear(value, 3, rng=rng()), NO_SIZES),
    "Linear: d_out": (lambda value: Linear(3, value, rng=rng()), NO_SIZES),
    "Linear: dtype": (lambda value: Linear(2, 3, rng=rng(), dtype=value), NO_DTYPES),
    "Embedding: vocab_size": (lambda value: Embedding(value, 3, rng=rng()), NO_SIZES),
    "Embedding: d_model": (lambda value: Embedding(3, value, rng=rng()), NO_SIZES),
    "Embedding: dtype": (lambda value: Embedding(2, 3, rng=rng(), dtype=value), NO_DTYPES),
    "Embedding: scale": (lambda value: Embedding(2, 3, rng=rng(), scale=value), [*NO_NUMBERS, np.inf]),
    "LearnedPositions: max_len": (lambda value: LearnedPositions(value, 3, rng=rng()), NO_SIZES),
    "LearnedPositions: dtype": (lambda value: LearnedPositions(2, 3, rng=rng(), dtype=value), NO_DTYPES),
    "sinusoidal_positions: max_len": (lambda value: SinusoidalPositions(value, 3), NO_SIZES),
    "sinusoidal_positions: d_model": (lambda value: SinusoidalPositions(3, value), NO_SIZES),
    "sinusoidal_positions: dtype": (lambda value: SinusoidalPositions(2, 3, dtype=value), NO_DTYPES),
    "LayerNorm: d_model": (LayerNorm, NO_SIZES),
    "LayerNorm: dtype": (lambda value: LayerNorm(3, dtype=value), NO_DTYPES),
    "LayerNorm: eps": (lambda value: LayerNorm(3, eps=value), [*NO_NUMBERS, -1e-5, np.inf]),
    "LSTM: d_in": (lambda value: LSTM(value, 3, rng=rng()), NO_SIZES),
    "LSTM: d_state": (lambda value: LSTM(3, value, rng=rng()), NO_SIZES),
    "LSTM: dtype": (lambda value: LSTM(2, 3, rng=rng(), dtype=value), NO_DTYPES),
    "GRU: reverse": (lambda value: GRU(2, 3, reverse=value, rng=rng()), [None, 0, 1, "left"]),
    "Dropout: p ": (lambda value: RecurrentStack([LSTM(2, 3, rng=rng())], dropout=value), [*NO_NUMBERS, -0.1, 1]),
    "Dropout: p": (Dropout, [*NO_NUMBERS, -0.1, 1, True]),
    "MultiHeadAttention: d_model": (lambda value: MultiHeadAttention(value, 1, rng=rng()), NO_SIZES),
    "MultiHeadAttention: n_heads": (lambda value: MultiHeadAttention(4, value, rng=rng()), [2.0, "2", None, True, 2**70]),
    "DotProduct: dropout": (lambda value: DotProduct(dropout=value), [*NO_NUMBERS, -0.1, 1]),
    "DotProduct: pattern": (lambda value: DotProduct(pattern=value), [1, "causal", None, True]),
    "MultiHeadAttention: n_kv_heads": (lambda value: MultiHeadAttention(4, 2, n_kv_heads=value, rng=rng()), [2.0, "2", 0]),
    "MultiHeadAttention: d_key": (lambda value: MultiHeadAttention(4, 2, d_key=value, rng=rng()), [2.0, "2", 0]),
    "Activation: unknown name": (Activation, [None, ["gelu"], {}, 3, "GELU"]),
    "Linear: d_out ": (lambda value: FeedForward(3, value, rng=rng()), NO_SIZES),
    "padding_mask: ids": (lambda value: padding_mask(value, 0), [None, [[0.5]], [["a"]], [[0], [1, 2]], np.zeros(3, int)]),
    "padding_mask: pad_id": (lambda value: padding_mask([[0, 1]], value), [None, 0.0, "0", [0], 2**63]),
    "causal_mask: n_queries": (lambda value: causal_mask(value, 3), NO_SIZES),
    "causal_mask: n_keys": (lambda value: causal_mask(3, value), [value for value in NO_SIZES if value is not None]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_cannot_be_is_named(name):
    """Catches NumPy's own errors, which name neither layer nor setting, and integers as parameters."""
    build, values = REFUSED[name]
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf"^{name.strip()}\b.* (is|are|have|does not|expected)\b") as error:
            build(value)
        assert len(str(error.value)) < 250


@pytest.mark.parametrize("size", [np.int64(3), np.array(3), 3])
def test_sizes_may_be_numpys(size):
    assert Linear(size, size, rng=rng()).weight.data.shape == (3, 3)
    assert causal_mask(size).shape == (3, 3)
