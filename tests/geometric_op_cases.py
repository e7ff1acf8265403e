"""The cases of operations on multivectors, and of the squared error: part of `op_cases.OPS`."""

import numpy as np
from cases import OpCase


def multivectors(make, b, t, c):
    """(B, T, 16 C). A weight e123 is far enough from 0 for a point to have a place."""
    return make.array(b, t, 16 * c)


def linear(ops, make, biased=True):
    b, t, n_in, n_out = make.sizes(4)
    arrays = {"x": multivectors(make, b, t, n_in), "weight": make.array(9, n_in, n_out)}
    arrays |= {"bias": make.array(n_out)} if biased else {}
    backward = ops.equivariant_linear_backward if biased else lambda dy, saved: ops.equivariant_linear_backward(dy, saved)[:2]
    return OpCase(ops.equivariant_linear, backward, arrays, batch=("x",))


def product(ops, make):
    b, t, c = make.sizes(3)
    arrays = {"x": multivectors(make, b, t, c), "y": multivectors(make, b, t, c)}
    return OpCase(ops.geometric_product, ops.geometric_product_backward, arrays, batch=("x", "y"))


def join(ops, make):
    b, t, c = make.sizes(3)
    arrays = {"x": multivectors(make, b, t, c), "y": multivectors(make, b, t, c), "reference": make.array(b)}
    return OpCase(ops.join, ops.join_backward, arrays, batch=tuple(arrays))


def one(make, op, op_backward, reach=0.25, **options):
    x = multivectors(make, *make.sizes(3))
    return OpCase(op, op_backward, {"x": x}, batch=("x",), reach=reach, **options)


def displacement(ops, make):
    b, t = make.sizes(2)
    arrays = {"x": make.array(b, t, 16), "origin": make.array(b, t, 3)}
    return OpCase(ops.displacement, ops.displacement_backward, arrays, batch=tuple(arrays))


def squared_error(ops, make):
    b, t, d = make.sizes(3)
    targets, options = make.array(b, t, d), {"count": make.choice(None, 50)}

    def forward(y):
        loss, saved = ops.squared_error(y, targets.astype(y.dtype), **options)
        return np.asarray(loss, y.dtype), saved

    case = OpCase(forward, ops.squared_error_backward, {"y": make.array(b, t, d)}, batch=("y",))
    case.facts = options | {"targets": targets}
    return case


def cases(ops):
    """Return {name: function (Maker) -> OpCase}."""
    return {
        "geometric_product": lambda make: product(ops, make),
        "join": lambda make: join(ops, make),
        "equivariant_linear": lambda make: linear(ops, make),
        "equivariant_linear without bias": lambda make: linear(ops, make, biased=False),
        "equivariant_norm": lambda make: one(
            make, ops.equivariant_norm, ops.equivariant_norm_backward, eps=make.choice(0.1, 1e-2)
        ),
        "gated_gelu": lambda make: one(make, ops.gated_gelu, ops.gated_gelu_backward),
        "distance_features": lambda make: one(
            make, ops.distance_features, ops.distance_features_backward, reach=0.02, eps=make.choice(0.3, 1e-1)
        ),
        "distance_features of keys": lambda make: one(
            make, ops.distance_features, ops.distance_features_backward, reach=0.02, of_keys=True, eps=0.2
        ),
        "displacement": lambda make: displacement(ops, make),
        "squared_error": lambda make: squared_error(ops, make),
    }
