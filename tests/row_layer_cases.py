"""The cases of layers that cut images into rows, normalise rows by those beside them, send rows to experts, and make words of characters: part of `layer_cases.LAYERS`."""

import numpy as np
from cases import LayerCase

from tinytx.layers import (
    BatchNorm,
    CharacterWords,
    ClassToken,
    FeedForward,
    GridPositions,
    Highway,
    MixtureOfExperts,
    PatchEmbedding,
)


def patch_embedding(make):
    b, rows, columns, size, c, d = make.sizes(6)
    images = make.array(b, rows * size, columns * size, c)
    return LayerCase(make, lambda dtype: PatchEmbedding(size, c, d, rng=np.random.default_rng(0), dtype=dtype), {"images": images})


def batch_norm(make):
    b, t, d = make.sizes(3)
    mask = np.arange(t + 2) < make.integers(3, t + 2, (b, 1))
    return LayerCase(make, lambda dtype: BatchNorm(d, eps=0.01, dtype=dtype), {"x": make.array(b, t + 2, d)}, batch=(), mask=mask)


def class_token(make):
    b, t, d = make.sizes(3)
    return LayerCase(make, lambda dtype: ClassToken(d, rng=np.random.default_rng(0), dtype=dtype), {"x": make.array(b, t, d)})


def highway(make, **options):
    b, t, d = make.sizes(3)
    return LayerCase(make, lambda dtype: Highway(d, rng=np.random.default_rng(0), dtype=dtype, **options), {"x": make.array(b, t, d)}, reach=0.02)


def character_words(make, **options):
    """Words of 1 to C characters of which no two are alike, so that no filter has two largest values; and padding."""
    b, t, c, d, f, d_model = make.sizes(6)
    lengths = np.where(np.arange(b * t).reshape(b, t, 1) < b * t - 1, make.integers(1, c, (b, t, 1)), 0)
    spelled = np.where(np.arange(c) < lengths, 1 + (np.arange(c) + make.integers(0, 3, (b, t, 1))) % (c + 1), 0)

    def build(dtype):
        return CharacterWords(c + 2, d, f, d_model, n_widths=3, rng=np.random.default_rng(0), dtype=dtype, **options)

    return LayerCase(make, build, {}, before=(spelled,), reach=0.005)


def grid_positions(make):
    b, rows, columns = make.sizes(3)
    d, leading = make.choice(8, 12), make.integers(0, 2)
    x = make.array(b, leading + rows * columns, d)
    return LayerCase(make, lambda dtype: GridPositions(rows, columns, d, leading=leading, dtype=dtype), {"x": x})


def mixture_of_experts(make, **options):
    """No batch of rows: how many rows an expert gets changes the order of its sums, and so the last digit."""
    (b, t, d, f), x = make.sizes(4), make.integers(1, 4)

    def build(dtype):
        rng = np.random.default_rng(0)
        experts = [FeedForward(d, f, activation="gelu", rng=rng, dtype=dtype) for _ in range(x)]
        return MixtureOfExperts(d, experts, n_chosen=min(2, x), rng=rng, dtype=dtype, **options)

    return LayerCase(make, build, {"x": make.array(b, t, d)}, batch=(), reach=0.002)


ROW_LAYERS = {
    "PatchEmbedding": patch_embedding,
    "BatchNorm": batch_norm,
    "ClassToken": class_token,
    "GridPositions": grid_positions,
    "Highway": highway,
    "Highway tanh": lambda make: highway(make, activation="tanh"),
    "CharacterWords": character_words,
    "CharacterWords without a highway": lambda make: character_words(make, n_highways=0),
    "MixtureOfExperts": mixture_of_experts,
    "MixtureOfExperts as they are": lambda make: mixture_of_experts(make, renormalise=False),
}
