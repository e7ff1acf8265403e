"""``train gatr``: which systems are learned from, and what is printed of a run."""

import re

import numpy as np
from run_files import records

from tinytx.recipes.gatr import SETTINGS, prepare, systems


def test_the_systems():
    """A fixed number of them to learn from; others are judged; the seed decides. Catches held-out systems that are learned."""
    settings = SETTINGS(n_systems=5, n_planets=2, batch_size=4)
    prepared, other = prepare(settings, None), prepare(SETTINGS(n_systems=5, n_planets=2, batch_size=4, seed=1), None)
    learned = {bodies.tobytes() for step in range(30) for bodies in prepared.batch(step)[0]}
    assert len(learned) == 5 and prepared.batch(0)[0].shape == (4, 3, 7) and prepared.batch(0)[1].shape == (4, 3, 3)
    held_out = {bodies.tobytes() for batch in prepared.validation for bodies in batch[0]}
    assert len(held_out) == 8 * 128 and not learned & held_out
    assert not learned & {bodies.tobytes() for step in range(9) for bodies in other.batch(step)[0]}
    bodies, moved = systems((0, settings.seed), 5, settings)
    row = {one.tobytes(): step for one, step in zip(bodies, moved)}
    assert all((row[one.tobytes()] == step).all() for one, step in zip(*prepared.batch(3)))


def test_a_run_says_how_far_off_it_is(trained):
    folder, (code, out, _) = trained("gatr")
    assert code == 0
    still, straight, near, far = (float(x) for x in re.findall(r"^  (?:if|as|the same).* (\d+\.\d{4})$", out, re.MULTILINE))
    last = records(folder)[-1]
    assert still > straight > 0 and np.isclose(near, last["error"], atol=1e-4) and np.isclose(far, last["error_far"], atol=1e-4)
    assert np.isclose(near, far, rtol=0.01) and last["error"] != last["error_far"]  # but for rounding
    assert "Validation loss" in out and "squared distance per body" in out
