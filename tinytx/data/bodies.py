"""Bodies that attract each other: a star with planets, now and some time later."""

import numpy as np

from tinytx.arguments import check_number, check_whole

STEPS = 100  # of the integration
SOFT = 0.1  # two bodies attract each other as if they were no nearer than about this


def planetary_systems(n, *, n_planets=3, time=0.5, rng):
    """Return stars with planets, turned and placed at random, and how far each body moves.

    Parameters
    ----------
    n : int
        Systems.
    n_planets : int
        They are at 0.5 to 1.5 from the star, near circular orbits in one plane.
    time : float
        Between the two moments, with a gravitational constant of 1: a planet at 1 of a star of mass 1 goes round in 6.28.
    rng : numpy.random.Generator

    Returns
    -------
    bodies : float64 array (n, 1 + n_planets, 7)
        Mass, position and velocity of the star, 1 to 3 heavy, and of its planets, 0.01 to 0.1 heavy.
    moved : float64 array (n, 1 + n_planets, 3)
        The position afterwards minus the one before.

    Examples
    --------
    >>> bodies, moved = planetary_systems(5, n_planets=2, rng=np.random.default_rng(0))
    >>> bodies.shape, moved.shape
    ((5, 3, 7), (5, 3, 3))
    """
    n = check_whole("planetary_systems", "n", n, least=0)
    planets = check_whole("planetary_systems", "n_planets", n_planets, least=0)
    time = check_number("planetary_systems", "time", time, "a number of at least 0", lambda t: 0 <= t < np.inf)
    star, mass = rng.uniform(1, 3, (n, 1)), rng.uniform(0.01, 0.1, (n, planets))
    radius, angle = rng.uniform(0.5, 1.5, mass.shape), rng.uniform(0, 2 * np.pi, mass.shape)
    flat = np.zeros(mass.shape)
    place = radius[:, :, None] * np.stack([np.cos(angle), np.sin(angle), flat], axis=2)
    velocity = np.sqrt(star / radius)[:, :, None] * np.stack([-np.sin(angle), np.cos(angle), flat], axis=2)
    velocity += 0.1 * rng.normal(size=velocity.shape)
    turn = _rotations(rng, n)
    x, v = (np.pad(array @ turn, ((0, 0), (1, 0), (0, 0))) for array in (place, velocity))
    x, mass = x + rng.normal(size=(n, 1, 3)), np.concatenate([star, mass], axis=1)
    return np.concatenate([mass[:, :, None], x, v], axis=2), _later(x, v, mass, time) - x


def _rotations(rng, n):
    """Return n rotations (n, 3, 3), each as likely as any other."""
    q, r = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    q = q * np.sign(np.einsum("nii->ni", r))[:, None]
    return q * np.linalg.det(q)[:, None, None]


def _accelerations(x, mass):
    """Return the accelerations (n, T, 3) of bodies at x (n, T, 3): sum_j m_j (x_j - x_i) / (|x_j - x_i|^2 + SOFT^2)^1.5."""
    step = x[:, None] - x[:, :, None]
    strength = mass[:, None] / ((step**2).sum(axis=3) + SOFT**2) ** 1.5
    return np.einsum("nij,nijk->nik", strength, step)


def _later(x, v, mass, time):
    """Return the positions after some time: half a kick, a drift, half a kick in each step, which keeps energy."""
    dt = time / STEPS
    v = v + dt / 2 * _accelerations(x, mass)
    for step in range(STEPS):
        x = x + dt * v
        v = v + (dt if step < STEPS - 1 else 0) * _accelerations(x, mass)
    return x
