"""The cases of layers that turn images into sequences: part of `layer_cases.LAYERS`."""

import numpy as np
from cases import LayerCase

from tinytx.layers import ClassToken, GridPositions, PatchEmbedding


def patch_embedding(make):
    b, rows, columns, size, c, d = make.sizes(6)
    images = make.array(b, rows * size, columns * size, c)
    return LayerCase(make, lambda dtype: PatchEmbedding(size, c, d, rng=np.random.default_rng(0), dtype=dtype), {"images": images})


def class_token(make):
    b, t, d = make.sizes(3)
    return LayerCase(make, lambda dtype: ClassToken(d, rng=np.random.default_rng(0), dtype=dtype), {"x": make.array(b, t, d)})


def grid_positions(make):
    b, rows, columns = make.sizes(3)
    d, leading = make.choice(8, 12), make.integers(0, 2)
    x = make.array(b, leading + rows * columns, d)
    return LayerCase(make, lambda dtype: GridPositions(rows, columns, d, leading=leading, dtype=dtype), {"x": x})


IMAGE_LAYERS = {"PatchEmbedding": patch_embedding, "ClassToken": class_token, "GridPositions": grid_positions}
