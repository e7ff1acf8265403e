"""Stars with planets: their orbits are those of the laws, they are anywhere and turned anyhow, and the seed decides."""

import numpy as np
import pytest

from tinytx.data import planetary_systems
from tinytx.data.bodies import SOFT, _later


def test_a_circle_is_a_circle():
    """A light planet at r goes round with the speed that the attraction of (2) of its place asks for."""
    r, mass, time = 1.2, np.array([[2.0, 1e-12]]), 0.9
    speed = np.sqrt(2.0 * r**2 / (r**2 + SOFT**2) ** 1.5)
    x, v = np.array([[[0.0, 0, 0], [r, 0, 0]]]), np.array([[[0.0, 0, 0], [0, speed, 0]]])
    angle = speed / r * time
    np.testing.assert_allclose(_later(x, v, mass, time)[0, 1], [r * np.cos(angle), r * np.sin(angle), 0], atol=1e-4)


def test_the_centre_of_mass_goes_straight_on():
    """Forces are mutual: catches a force without its opposite."""
    bodies, moved = planetary_systems(20, time=0.8, rng=np.random.default_rng(0))
    mass, v = bodies[..., :1], bodies[..., 4:]
    np.testing.assert_allclose((mass * moved).sum(axis=1), 0.8 * (mass * v).sum(axis=1), atol=1e-12)
    assert ((moved - 0.8 * v)[:, 1:] ** 2).sum(axis=2).min() > 1e-4  # and no planet does


def test_systems_are_turned_and_placed_at_random():
    bodies, _ = planetary_systems(2000, rng=np.random.default_rng(0))
    star, planet = bodies[:, 0, 1:4], bodies[:, 1, 1:4] - bodies[:, 0, 1:4]
    assert np.abs(star.mean(axis=0)).max() < 0.1 and np.abs(np.cov(star.T) - np.eye(3)).max() < 0.15
    radius = np.linalg.norm(planet, axis=1)
    directions = planet / radius[:, None]
    assert 0.5 <= radius.min() and radius.max() <= 1.5
    assert np.abs(directions.mean(axis=0)).max() < 0.06 and np.abs(directions.T @ directions / 2000 - np.eye(3) / 3).max() < 0.03


def test_the_generator_decides():
    (a, _), (b, _), (c, _) = (planetary_systems(3, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()
    for n, n_planets in ((0, 3), (2, 0)):
        bodies, moved = planetary_systems(n, n_planets=n_planets, rng=np.random.default_rng(0))
        assert bodies.shape == (n, 1 + n_planets, 7) and moved.shape == (n, 1 + n_planets, 3)


def test_what_is_refused():
    for options, match in (({"n_planets": -1}, "n_planets is -1"), ({"time": -1.0}, "time is -1.0"), ({"time": np.inf}, "time is inf")):
        with pytest.raises(ValueError, match=f"planetary_systems: {match}"):
            planetary_systems(2, rng=np.random.default_rng(0), **options)
