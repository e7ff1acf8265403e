"""Probe: its gradients, and what it learns of vectors that stay as they are."""

import numpy as np

from tinytx.testing import gradcheck
from tinytx.training import Probe, fitted_probe

RNG = np.random.default_rng(0)
VECTORS, LABELS = RNG.normal(size=(40, 3, 5)), RNG.integers(0, 4, 40)


def test_the_gradient():
    probe = Probe(3, 5, 4, rng=np.random.default_rng(0), dtype=np.float64)
    probe.mix.scores.data[...] = [0.5, -1, 0.2]
    assert gradcheck(probe.loss, VECTORS, LABELS, mode="directional", seed=0).verdict == "PASS"


def test_it_finds_the_layer_that_knows():
    """Labels that a linear map reads out of layer 1 alone: the mix learns to read it, and the vectors stay as they are."""
    labels, before = (VECTORS @ RNG.normal(size=(5, 4)))[:, 1].argmax(axis=1), VECTORS.copy()
    probe = fitted_probe(VECTORS, labels, 4)
    assert probe.shares.argmax() == 1 and np.isclose(probe.shares.sum(), 1)
    np.testing.assert_array_equal(VECTORS, before)

    def right(vectors):
        return (fitted_probe(vectors, labels, 4)(vectors).argmax(axis=-1) == labels).mean()

    assert right(VECTORS[:, 1:2]) == 1 > right(VECTORS[:, 2:])
    assert (probe(VECTORS).argmax(axis=-1) == labels).mean() > right(VECTORS[:, 2:])


def test_the_same_numbers_give_the_same_map():
    vectors = VECTORS.astype(np.float32)
    one, two = (fitted_probe(vectors, LABELS, 4, steps=20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one(vectors), two(vectors))
    assert one(vectors).dtype == np.float32
