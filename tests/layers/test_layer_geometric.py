"""Layers for multivectors commute with motions, whatever their weights; attention knows distances; what they refuse."""

import numpy as np
import pytest
from motions import as_points, motions

from tinytx.layers import Distances, EquivariantNorm, GeometricAttention, GeometricBlock, Orientation


def block(seed=0, n_channels=4):
    layer = GeometricBlock(n_channels, 2, 3, rng=np.random.default_rng(seed), dtype=np.float64)
    for parameter in layer.parameters():
        parameter.data[...] = np.random.default_rng(seed).normal(size=parameter.data.shape) / 2
    return layer


def test_a_block_commutes_with_motions():
    """Rotations, translations and reflections, of which the reference changes its sign."""
    x, reference = np.random.default_rng(1).normal(size=(2, 3, 64)), np.array([0.7, -1.2])
    y = block()(x, reference)
    for motion in motions():
        sign = -1 if motion.odd else 1
        moved = block()(motion(x), sign * reference)
        assert np.abs(moved - motion(y)).max() <= 1e-10 * np.abs(motion(y)).max()


def test_orientation_is_a_sign_of_reflections():
    x = np.random.default_rng(1).normal(size=(2, 3, 64))
    layer = Orientation(4, np.float64)
    np.testing.assert_allclose(layer(x), x.reshape(2, 12, 16)[:, :, 14].mean(axis=1), rtol=1e-12)
    for motion in motions():
        np.testing.assert_allclose(layer(motion(x)), (-1 if motion.odd else 1) * layer(x), rtol=1e-10)


def test_near_points_are_attended_to():
    """Points on a line: each looks at itself most, and at the others less the farther they are."""
    x = as_points(np.arange(5.0)[:, None] * [3, 0, 0])[None, None]
    weights = Distances().weights(x, x, x)[0, 0]
    assert (weights.argmax(axis=1) == np.arange(5)).all() and (np.diff(weights[0]) < 0).all()
    assert np.isclose(np.log(weights[0, 0] / weights[0, 1]), 9 / np.sqrt(13), rtol=0.01)


def test_attention_weights_are_what_forward_uses():
    layer = GeometricAttention(4, 2, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(2, 3, 64))
    weights, values = layer.attention_weights(x), layer.value(x).reshape(2, 3, 2, 32).swapaxes(1, 2)
    expected = layer.output((weights @ values).swapaxes(1, 2).reshape(2, 3, 64))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10)


def test_a_position_that_is_masked_changes_nothing():
    x, reference, mask = np.random.default_rng(1).normal(size=(2, 3, 64)), np.ones(2), np.array([True, True, False])
    other = x.copy()
    other[:, 2] += 1
    np.testing.assert_array_equal(block()(x, reference, mask=mask)[:, :2], block()(other, reference, mask=mask)[:, :2])
    assert (block()(x, reference)[:, :2] != block()(other, reference)[:, :2]).any()


def test_what_is_refused():
    with pytest.raises(ValueError, match="GeometricAttention: n_heads 3 does not divide n_channels 4"):
        GeometricAttention(4, 3, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="EquivariantNorm: eps is -1"):
        EquivariantNorm(-1)
    with pytest.raises(ValueError, match=r"equivariant_norm: x has shape \(2, 3, 60\), expected \(\.\.\., 16 C\)"):
        block()(np.ones((2, 3, 60)), np.ones(2))
