"""More problems for `by_gradcheck`: multivectors."""

import numpy as np

from mutants.problems import _draw, _rng, layer, pair

TARGETS = _draw(2, 3, 4, seed=5)
X, Y = _draw(2, 3, 32), _draw(2, 3, 32, seed=1)


def features(m, of_keys):
    return pair(lambda x: m.distance_features(x, of_keys=of_keys, eps=0.3), m.distance_features_backward, X)


def block(m):
    """A block whose points have weights near 0 is fine, too, with a larger eps."""
    made = m.GeometricBlock(2, 1, 1, rng=_rng())
    made.attention.f.core.eps = 1.0
    return layer(made, 2, 3, 32, others=[_draw(2)])


PROBLEMS = {
    "geometric_product": lambda m: pair(m.geometric_product, m.geometric_product_backward, X, Y),
    "join": lambda m: pair(m.join, m.join_backward, X, Y, _draw(2)),
    "equivariant_linear": lambda m: pair(m.equivariant_linear, m.equivariant_linear_backward, X, _draw(9, 2, 3), _draw(3)),
    "equivariant_norm": lambda m: pair(m.equivariant_norm, m.equivariant_norm_backward, X),
    "gated_gelu": lambda m: pair(m.gated_gelu, m.gated_gelu_backward, X),
    "distance_features": lambda m: features(m, False),
    "distance_features of keys": lambda m: features(m, True),
    "displacement": lambda m: pair(m.displacement, m.displacement_backward, _draw(2, 3, 16), _draw(2, 3, 3)),
    "squared_error": lambda m: pair(lambda y: m.squared_error(y, TARGETS), m.squared_error_backward, _draw(2, 3, 4)),
    "Distances": lambda m: layer(m.Distances(eps=1.0), 2, 2, 3, 32, others=[_draw(2, 2, 4, 32, seed=1), _draw(2, 2, 4, 5)]),
    "GeometricFeedForward": lambda m: layer(m.GeometricFeedForward(2, 1, rng=_rng()), 2, 3, 32, others=[_draw(2)]),
    "GeometricBlock": block,
    "Orientation": lambda m: layer(m.Orientation(2, dtype=np.float64), 2, 3, 32),
}
