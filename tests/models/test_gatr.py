"""The whole model commutes with motions; its steps do with rotations and translations; what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motions import Motion as Moved

from tinytx.core import Tape
from tinytx.data import planetary_systems
from tinytx.models import Gatr, GatrConfig
from tinytx.ops.multivector import BLADES
from tinytx.tasks import Motion

SIZES = {"n_in": 3, "n_channels": 4, "n_heads": 2, "n_layers": 2, "n_inner": 3}
NUMBERS = np.random.default_rng(1)


def body(dtype=np.float64, **options):
    model = Gatr(GatrConfig(**SIZES | options), rng=np.random.default_rng(0), dtype=dtype)
    rng = np.random.default_rng(3)
    for parameter in model.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape) / 2
    return model


MODEL, X = body(n_out=2), NUMBERS.normal(size=(2, 4, 48))
BODIES, _ = planetary_systems(3, rng=NUMBERS)
TASK = Motion(body())


@given(seed=st.integers(0, 2**32 - 1), reflections=st.integers(1, 5), far=st.sampled_from([1.0, 10.0]))
@settings(max_examples=10)
def test_to_move_all_inputs_is_to_move_all_outputs(seed, reflections, far):
    """Rotations, translations, reflections and all that they make, to 1e-10 of the largest number; whatever the weights."""
    motion = Moved(np.random.default_rng(seed), reflections, far)
    expected = motion(MODEL(X))
    assert np.abs(MODEL(motion(X)) - expected).max() <= 1e-10 * np.abs(expected).max()


@given(seed=st.integers(0, 2**32 - 1), reflections=st.sampled_from([2, 4]), parallel=st.booleans())
@settings(max_examples=10)
def test_a_scene_that_is_moved_moves_alike(seed, reflections, parallel):
    """Points and directions by the formula of a mirror, twice: nothing of the algebra is used."""
    motion = Moved(np.random.default_rng(seed), reflections, parallel=parallel)
    moved = np.concatenate([BODIES[..., :1], motion.points(BODIES[..., 1:4]), motion.directions(BODIES[..., 4:])], axis=2)
    np.testing.assert_allclose(TASK(moved), motion.directions(TASK(BODIES)), rtol=0, atol=1e-10 * np.abs(TASK(BODIES)).max())


def test_a_mirrored_scene_is_another_one():
    """The limit that the docstring of `Motion` names; and the test of the tests above."""
    motion = Moved(np.random.default_rng(0), 1)
    moved = np.concatenate([BODIES[..., :1], motion.points(BODIES[..., 1:4]), motion.directions(BODIES[..., 4:])], axis=2)
    assert np.abs(TASK(moved) - motion.directions(TASK(BODIES))).max() > 1e-3 * np.abs(TASK(BODIES)).max()


def test_float32_is_exact_far_away():
    """200 away the steps are the same to what the numbers of the places lose: no term of the model grows with the square."""
    task = Motion(body(np.float32))
    near = BODIES.astype(np.float32)
    far = near + np.float32(200) * np.eye(7, dtype=np.float32)[2]
    np.testing.assert_allclose(task(far), task(near), rtol=0, atol=3e-3 * np.abs(task(near)).max())


def test_the_order_of_bodies_is_none():
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(MODEL(X[:, order]), MODEL(X)[:, order], rtol=1e-10, atol=1e-12)


def test_the_reference_is_the_mean_of_the_inputs():
    """Of the numbers e123, in all channels."""
    x = X.copy()
    x.reshape(2, 4, 3, 16)[:, :, 0, BLADES.index((1, 2, 3))] += 1
    np.testing.assert_allclose(MODEL.orientation(x), MODEL.orientation(X) + 1 / 3, rtol=1e-12)


def test_the_reference_has_a_gradient():
    """The inputs act through it on the joins of all blocks: the gradient along the numbers e123 alone, against differences."""
    h, step, dy, tape = 1e-5, np.zeros(X.shape), NUMBERS.normal(size=(2, 4, 32)), Tape()
    step[..., BLADES.index((1, 2, 3)) :: 16] = 1
    MODEL(X, tape)
    slope = np.sum(MODEL.backward(dy, tape) * step)
    difference = np.sum(dy * (MODEL(X + h * step) - MODEL(X - h * step))) / (2 * h)
    assert abs(slope - difference) < 1e-5 * abs(slope) and abs(slope) > 0.01


def test_measures_weigh_bodies():
    """Batches of unlike sizes count by their bodies."""
    moved = NUMBERS.normal(size=(3, 4, 3))
    parts = [(BODIES[:1], moved[:1]), (BODIES[1:], moved[1:])]
    assert np.isclose(TASK.measure(parts)["error"], ((TASK(BODIES) - moved) ** 2).sum(axis=2).mean(), rtol=1e-12)
    assert np.isclose(TASK.loss(BODIES, moved), TASK.measure(parts)["error"]) and TASK.count(BODIES, moved) == 12


def test_what_goes_in_has_a_gradient():
    """Of all numbers, against differences: places are read twice, as points and as origins."""
    x, h, dy = BODIES[:1, :2].copy(), 1e-5, NUMBERS.normal(size=(1, 2, 3))
    tape = Tape()
    TASK(x, tape)
    dx = TASK.backward(dy, tape)
    for at in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[at] = h
        slope = np.sum(dy * (TASK(x + step) - TASK(x - step))) / (2 * h)
        assert np.isclose(dx[at], slope, rtol=1e-4, atol=1e-5 * np.abs(dx).max()), at


def test_a_random_batch_is_one_that_the_loss_takes():
    for dtype in (np.float32, np.float64):
        task = Motion(body(dtype))
        x, moved = task.random_batch(np.random.default_rng(0), 5, 7)
        assert x.dtype == dtype and np.isfinite(task.loss(x, moved)) and task.n_tokens(x) == 35


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"Gatr: x has shape \(2, 4, 32\), expected \(2, 4, 48\)"):
        MODEL(X[:, :, :32])
    with pytest.raises(TypeError, match="Gatr: x is float32, weights is float64"):
        MODEL(X.astype(np.float32))
    with pytest.raises(ValueError, match="GatrConfig: n_heads 3 does not divide n_channels 4"):
        GatrConfig(n_in=3, n_channels=4, n_heads=3)
    with pytest.raises(ValueError, match="Motion: the config has n_in 2 and d_model 32, expected 3 and 16"):
        Motion(body(n_in=2, n_out=2))
