"""Multivectors: the algebra follows its rules, the nine maps are all there are, and each operation commutes with motions."""

import numpy as np
import pytest
from motions import GRADE, TABLE, Motion, as_points, motions, times

from tinytx import ops
from tinytx.ops.equivariant_linear import MAP, SOURCE, TARGET
from tinytx.ops.multivector import BLADES, DIRECTION, EUCLIDEAN, blade_product, join_table

CLOSE = 1e-10


def assert_equal(a, b):
    assert np.abs(a - b).max() <= CLOSE * max(1, np.abs(b).max())


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def test_the_rules_of_the_algebra():
    """(1) of multivector.py, the product's associativity, and the numbers of terms."""
    vectors = np.eye(16)[1:5]
    for i, a in enumerate(vectors):
        for j, b in enumerate(vectors):
            expected = 2 * (i == j > 0) * np.eye(16)[0]
            np.testing.assert_array_equal(times(a, b) + times(b, a), expected)
    x, y, z = drawn(3, 16)
    assert_equal(times(times(x, y), z), times(x, times(y, z)))
    assert len(TABLE) == 192 and len(join_table()) == 81 and EUCLIDEAN.tolist() == [0, 2, 3, 4, 8, 9, 10, 14]
    assert blade_product((0, 1), (0, 2)) == (BLADES.index((1, 2)), 0)


def test_tables_are_those_of_the_authors():
    """Signs of the dual, from the file of their repository's basis, and so of the join: x v 1* = x, whatever x is."""
    dual = [blade_product(BLADES[15 - i], blade)[1] for i, blade in enumerate(BLADES)]
    assert dual == [1, -1, 1, -1, 1, 1, -1, 1, 1, -1, 1, -1, 1, -1, 1, 1]
    x = drawn(1, 16)
    volume = np.eye(16)[15][None]
    assert_equal(ops.join(volume, x, np.ones(1))[0], x * (-1.0) ** (GRADE * (4 - GRADE)))


def test_motions_move_points():
    """The formula of a mirror, and sandwiches; a point comes back with the sign of the motion as its weight."""
    p = drawn(5, 3)
    for motion in motions():
        sign = -1 if motion.odd else 1
        assert_equal(motion(as_points(p)), sign * as_points(motion.points(p)))
        assert_equal(motion(p @ DIRECTION), sign * motion.directions(p) @ DIRECTION)


def test_the_nine_maps_are_all_there_are():
    """Matrices that commute with the generators of motions: the null space has 9 dimensions, and the maps span it."""
    moves = [motion.matrix for motion in motions(most=6)]
    conditions = [np.kron(np.eye(16), m.T) - np.kron(m, np.eye(16)) for m in moves]  # of the rows of M: m M = M m
    values = np.linalg.svd(np.concatenate(conditions), compute_uv=False)
    assert (values < 1e-9).sum() == 9 and np.linalg.matrix_rank(np.concatenate(conditions), tol=1e-9) == 247
    for n in range(9):
        m = np.zeros((16, 16))
        m[SOURCE[n == MAP], TARGET[n == MAP]] = 1
        for move in moves:
            assert_equal(move @ m, m @ move)


EQUIVARIANT = {
    "geometric_product": lambda x: ops.geometric_product(x[..., :32], x[..., 32:])[0],
    "join": lambda x: ops.join(x[..., :32], x[..., 32:], x[:, 0, 14])[0],
    "equivariant_linear": lambda x: ops.equivariant_linear(x, drawn(9, 4, 3, seed=2), drawn(3, seed=3))[0],
    "equivariant_norm": lambda x: ops.equivariant_norm(x)[0],
    "gated_gelu": lambda x: ops.gated_gelu(x)[0],
}


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_to_move_the_input_is_to_move_the_output(name):
    f, x = EQUIVARIANT[name], drawn(2, 3, 64)
    for motion in motions():
        assert_equal(f(motion(x)), motion(f(x)))


def test_a_join_without_a_reference_is_mirrored():
    """The test of the test, and the reason for a reference: a reflection changes the sign."""
    x, y, one = drawn(2, 16), drawn(2, 16, seed=2), np.ones(2)
    mirror = Motion(np.random.default_rng(0), 1)
    assert_equal(ops.join(mirror(x), mirror(y), one)[0], -mirror(ops.join(x, y, one)[0]))


def test_a_function_of_each_number_is_not_equivariant():
    """The test of the test."""
    x, motion = drawn(2, 16), Motion(np.random.default_rng(0), 2)
    assert np.abs(ops.gelu_tanh(motion(x))[0] - motion(ops.gelu_tanh(x)[0])).max() > 0.1


def test_products_of_features_know_distances():
    """No motion changes them; for points of any weight far from 0 they are minus the squared distance."""
    q, k = drawn(4, 32), drawn(5, 32, seed=2)

    def scores(q, k, **options):
        return ops.distance_features(q, **options)[0] @ ops.distance_features(k, of_keys=True, **options)[0].T

    for motion in motions():
        assert_equal(scores(motion(q), motion(k)), scores(q, k))
    a, b = drawn(4, 3), drawn(5, 3, seed=3)
    distance = ((a[:, None] - b) ** 2).sum(axis=2)
    found = scores(2 * as_points(a), -3 * as_points(b), eps=0.0)
    assert_equal(found, -distance - 2 * 3)  # and the product of the weights


def test_a_displacement_is_seen_from_a_place():
    """Translations leave it, rotations and reflections turn it; of a point it is the step from the origin."""
    y, p = drawn(5, 16), drawn(5, 3, seed=2)
    for motion in motions():
        sign = -1 if motion.odd else 1
        expected = sign * motion.directions(ops.displacement(y, p)[0])
        assert_equal(ops.displacement(motion(y), motion.points(p))[0], expected)
    assert_equal(ops.displacement(as_points(p + 2), p)[0], np.full((5, 3), 2.0))
