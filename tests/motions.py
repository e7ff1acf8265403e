"""Motions drawn at random, and what they make of multivectors and of points: for tests of equivariance."""

import numpy as np

from tinytx.ops.multivector import BLADES, DIRECTION, product_table

TABLE = product_table()
GRADE = np.array([len(blade) for blade in BLADES])
REVERSED = (-1.0) ** (GRADE * (GRADE - 1) // 2)


def times(x, y):
    """Return the geometric product of two multivectors (16,), term by term."""
    z = np.zeros(16)
    for k, i, j, sign in TABLE:
        z[k] += sign * x[i] * y[j]
    return z


class Motion:
    """A product of reflections at random planes, which are up to ``far`` from the origin.

    Two reflections are a rotation about a line, or a translation if the planes are parallel.
    """

    def __init__(self, rng, reflections, far=3.0, parallel=False):
        self.odd, self.planes, u = reflections % 2 == 1, [], np.eye(16)[0]
        normal = rng.normal(size=3)
        for _ in range(reflections):
            normal = normal if parallel else rng.normal(size=3)
            self.planes.append((normal / np.linalg.norm(normal), rng.uniform(-far, far)))
            plane = np.zeros(16)
            plane[2:5], plane[1] = self.planes[-1]
            u = times(u, plane)
        signs = (-1.0) ** GRADE if self.odd else np.ones(16)
        self.matrix = np.stack([times(times(u, row), u * REVERSED) for row in np.eye(16) * signs])  # x -> x @ matrix

    def __call__(self, x):
        """Move multivectors (..., 16 C)."""
        return (x.reshape(*x.shape[:-1], -1, 16) @ self.matrix).reshape(x.shape)

    def points(self, p):
        """Move points (..., 3), by the formula of a mirror: nothing of the algebra is used."""
        for normal, distance in reversed(self.planes):
            p = p - 2 * (p @ normal + distance)[..., None] * normal
        return p

    def directions(self, v):
        """Move directions (..., 3)."""
        return self.points(v) - self.points(np.zeros(3))


def as_points(p):
    """(..., 3) -> (..., 16)."""
    return p @ DIRECTION + np.eye(16)[BLADES.index((1, 2, 3))]


def motions(seed=0, most=4):
    """Yield motions of 1 to ``most`` reflections, and a translation."""
    rng = np.random.default_rng(seed)
    yield from (Motion(rng, n) for n in range(1, most + 1))
    yield Motion(rng, 2, parallel=True)
