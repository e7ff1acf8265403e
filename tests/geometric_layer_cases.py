"""The cases of layers for multivectors: part of `layer_cases.LAYERS`."""

import numpy as np
from cases import LayerCase

from tinytx.layers import (
    Distances,
    EquivariantLinear,
    EquivariantNorm,
    GatedGELU,
    GeometricAttention,
    GeometricBlock,
    GeometricFeedForward,
    Orientation,
)

EPS = 1.0  # of `Distances`: where a point's weight is near 0, and eps smaller, its place and so the scores change fast


def drawn(kind, *sizes, dtype, **options):
    return kind(*sizes, rng=np.random.default_rng(0), dtype=dtype, **options)


def linear(make, **options):
    b, t, n_in, n_out = make.sizes(4)
    return LayerCase(
        make, lambda dtype: drawn(EquivariantLinear, n_in, n_out, dtype=dtype, **options), {"x": make.array(b, t, 16 * n_in)}
    )


def one_input(build):
    def case(make):
        b, t, c = make.sizes(3)
        return LayerCase(make, lambda dtype: build(c, dtype), {"x": make.array(b, t, 16 * c)})

    return case


def distances(make):
    b, h, t, s, c = make.sizes(5)
    shapes = {"q": (t, 16 * c), "k": (s, 16 * c), "v": (s, c)}
    inputs = {name: make.array(b, h, *shape, scale=0.5) for name, shape in shapes.items()}
    return LayerCase(make, lambda dtype: Distances(eps=EPS), inputs, reach=0.01)


def attention(make):
    b, t, c = make.sizes(3)

    def build(dtype):
        layer = drawn(GeometricAttention, c, c, dtype=dtype)
        layer.core.eps = EPS
        return layer

    return LayerCase(make, build, {"x": make.array(b, t, 16 * c, scale=0.3)}, reach=0.01)


def feed_forward(make):
    b, t, c = make.sizes(3)
    inputs = {"x": make.array(b, t, 16 * c, scale=0.5), "reference": make.array(b)}
    return LayerCase(make, lambda dtype: drawn(GeometricFeedForward, c, 1, dtype=dtype), inputs, reach=0.01)


def block(make):
    b, t, c = make.sizes(3)

    def build(dtype):
        layer = drawn(GeometricBlock, c, 1, 1, dtype=dtype)
        layer.attention.f.core.eps = EPS
        return layer

    return LayerCase(make, build, {"x": make.array(b, t, 16 * c, scale=0.5), "reference": make.array(b)}, reach=0.01)


GEOMETRIC_LAYERS = {
    "EquivariantLinear": linear,
    "EquivariantLinear without bias": lambda make: linear(make, bias=False),
    "EquivariantNorm": one_input(lambda c, dtype: EquivariantNorm(eps=0.1)),
    "GatedGELU": one_input(lambda c, dtype: GatedGELU()),
    "Orientation": one_input(lambda c, dtype: Orientation(c, dtype)),
    "Distances": distances,
    "GeometricAttention": attention,
    "GeometricFeedForward": feed_forward,
    "GeometricBlock": block,
}
