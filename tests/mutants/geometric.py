"""Mistakes in operations and layers for multivectors: wrong backwards (``GRADIENTS``), and mistakes of all kinds (``TABLE``)."""

GRADIENTS = {
    "ops/geometric_product.py": [
        ("tables of the two factors exchanged", "wrong operand", "geometric_product", "zip(PRODUCT[1:], (y, x))", "zip(PRODUCT[:0:-1], (y, x))"),
        ("dx from x", "wrong operand", "geometric_product", "zip(PRODUCT[1:], (y, x))", "zip(PRODUCT[1:], (x, x))"),
        ("the table forward, for dx", "transposed", "geometric_product",
         "for order in ([0, 1, 2, 3], [1, 0, 2, 3]", "for order in ([0, 1, 2, 3], [0, 1, 2, 3]"),
        ("the join's table is the product's", "wrong operand", "join", "a, b = _apply(JOIN[1]", "a, b = _apply(PRODUCT[1]"),
        ("the join's gradient without its reference", "missing term", "join",
         "return *(_times(d.T.reshape(shape), reference)", "return *(_times(d.T.reshape(shape), reference / reference)"),
        ("the reference of the whole batch", "missing term", "join", "(x * a).sum(axis=0).reshape(shape[0], -1).sum(axis=1)",
         "np.full(shape[0], (x * a).sum() / shape[0])"),
    ],
    "ops/equivariant_linear.py": [
        ("a weight's last pair alone", "= for +=", "equivariant_linear", "np.add.reduceat(dpairs, _FIRST)", "dpairs[_FIRST]"),
        ("a bias on all numbers", "extra term", "equivariant_linear",
         "[:, :, SCALAR].sum(axis=0) if", ".sum(axis=(0, 2)) if"),
        ("pairs transposed", "transposed", "equivariant_linear", "n_out, n)[:, SOURCE, :, TARGET]  # (24", "n_out, n)[:, TARGET, :, SOURCE]  # (24"),
    ],
    "ops/equivariant_norm.py": [
        ("the length is a constant", "missing term", "equivariant_norm", "dx[n, first + i] -= y[n, first + i] * inner", "pass"),
        ("its sign", "sign", "equivariant_norm", "dx[n, first + i] -= y", "dx[n, first + i] += y"),
        ("all 16 numbers change the length", "extra term", "equivariant_norm",
         "            for i in euclidean:\n                dx[n", "            for i in range(16):\n                dx[n"),
        ("the mean over all numbers", "wrong constant", "equivariant_norm", "inner *= r[n] / y.dtype.type(d // 16)", "inner *= r[n] / y.dtype.type(d)"),
    ],
    "ops/gated_gelu.py": [
        ("the gate is a constant", "missing term", "gated_gelu", "dx[:, SCALAR] += gelu_tanh_backward", "gelu_tanh_backward"),
        ("the scalar acts through the gate alone", "= for +=", "gated_gelu", "dx[:, SCALAR] += gelu", "dx[:, SCALAR] = gelu"),
    ],
    "ops/distance_features.py": [
        ("keys as queries", "wrong operand", "distance_features of keys",
         "a, b, c = (-second, -first, 2 * c) if of_keys else (first, second, c)", "a, b, c = first, second, c"),
        ("the weight's part in a place", "missing term", "distance_features", "(w * dv + (t * dp).sum(axis=-1, keepdims=True))", "(w * dv)"),
        ("the weight among the 8 numbers", "= for +=", "distance_features", "POINT_WEIGHT + 1] += u * dv", "POINT_WEIGHT + 1] = u * dv"),
        ("slope of u", "sign", "distance_features", "(eps - w * w) / (w * w + eps) ** 2", "(eps + w * w) / (w * w + eps) ** 2"),
        ("place without its square's factor", "factor", "distance_features", "dp, dv = 2 * a * p", "dp, dv = a * p"),
    ],
    "ops/displacement.py": [
        ("the weight has no gradient", "missing term", "displacement", "dx[..., POINT_WEIGHT] = -np.sum", "dx[..., POINT_WEIGHT] = 0 * np.sum"),
        ("the place pulls", "sign", "displacement", "return dx, -x", "return dx, x"),
    ],
    "ops/squared_error.py": [
        ("half of it", "factor", "squared_error", "dtype.type(2 * check", "dtype.type(check"),
    ],
    "layers/geometric.py": [
        ("the second factor of products is a constant", "missing term", "GeometricFeedForward", "dx = dx + self.right.backward(dright, tape)", "self.right.backward(dright, tape)"),
        ("the first factor of joins is a constant", "missing term", "GeometricFeedForward", "dx = dx + self.first.backward(dfirst, tape)", "self.first.backward(dfirst, tape)"),
        ("keys exchanged with queries", "wrong operand", "Distances",
         "ops.distance_features_backward(dq, saved_q), ops.distance_features_backward(dk, saved_k), dv",
         "ops.distance_features_backward(dq, saved_q), ops.distance_features_backward(dk, (saved_k[0], False, saved_k[2])), dv"),
        ("the reference is a constant", "missing term", "GeometricBlock", "return self.attention.backward(dx, tape), dreference",
         "return self.attention.backward(dx, tape), 0 * dreference"),
        ("the orientation of the first channel", "wrong constant", "Orientation", "ops.pool_backward(dy.reshape(-1, 1), saved_pool), saved, frozen=True)[0]",
         "ops.pool_backward(dy.reshape(-1, 1), saved_pool), saved, frozen=True)[0] * (np.arange(32) < 16)"),
    ],
}

TABLE = {
    "ops/multivector.py": [
        ("e0 squared is 1", "0 if 0 in a and 0 in b else (-1) ** swaps", "(-1) ** swaps"),
        ("vectors commute", "(-1) ** swaps", "1"),
        ("the outer product is the product", "if not set(BLADES[row[1]]) & set(BLADES[row[2]])", "if True"),
        ("the join without the sign of a dual", "row[3] * dual[row[0]] * dual", "row[3] * dual"),
        ("a point's height upside down", "(2, (0, 1, 2), -1)", "(2, (0, 1, 2), 1)"),
    ],
    "ops/equivariant_linear.py": [
        ("a tenth map, e0123 to e0123 twice", "_KEPT + _RAISED)", "_KEPT + _RAISED + [(8, 15, 15)])"),
        ("the bias on e0", "y[..., SCALAR::n] += bias", "y[..., SCALAR + 1 :: n] += bias"),
    ],
    "ops/equivariant_norm.py": [
        ("a length of all 16 numbers", "            for i in euclidean:\n                squares", "            for i in range(16):\n                squares"),
    ],
    "ops/distance_features.py": [
        ("numbers with e0 are compared", "np.concatenate([each[..., EUCLIDEAN], *parts]", "np.concatenate([each[..., :8], *parts]"),
    ],
    "models/gatr.py": [
        ("the reference of the first block alone", "dreference = dreference + dmore", "dreference = dmore"),
        ("the orientation of the inputs has no gradient", "return dx + self.orientation.backward(dreference, tape)", "self.orientation.backward(dreference, tape)\n        return dx"),
    ],
    "tasks/motion.py": [
        ("a position is a direction", "weight[1, POINT_WEIGHT] = 1", "weight[1, POINT_WEIGHT] = 0"),
        ("a velocity is a point", "weight[1, POINT_WEIGHT] = 1", "weight[1:, POINT_WEIGHT] = 1"),
        ("the position as an origin has no gradient", "dx[..., PLACE] += dplace", "pass"),
    ],
    "recipes/gatr.py": [
        ("what is judged was learned", "validation=[systems((HELD_OUT, i), 128", "validation=[systems((LEARNED, settings.seed), 128"),
        ("far systems are near", "bodies.dtype.type(FAR), moved)", "bodies.dtype.type(0), moved)"),
        ("steps of other systems", "return bodies[rows], moved[rows]", "return bodies[rows], moved[rows[::-1]]"),
    ],
    "data/bodies.py": [
        ("a body is attracted by its own mass", "mass[:, None] / ((step", "mass[:, :, None] / ((step"),
        ("all orbits lie in one plane of space", "(array @ turn,", "(array @ np.eye(3),"),
        ("the last half kick is a whole one at first", "v = v + dt / 2 * _acc", "v = v + dt * _acc"),
        ("a fall with the distance", "** 1.5", "** 1.0"),
    ],
    "layers/geometric.py": [
        ("attention without distances", "q, saved_q = ops.distance_features(q, eps=self.eps)", "q, saved_q = ops.distance_features(0 * q, eps=self.eps)"),
        ("heads may have parts of channels", "if check_whole(\"GeometricAttention\", \"n_channels\", n_channels) % check_whole", "if 0 * check_whole(\"GeometricAttention\", \"n_channels\", n_channels) % check_whole"),
    ],
}
