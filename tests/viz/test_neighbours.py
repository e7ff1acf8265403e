"""Neighbours, beside a sort of all distances."""

import sys

import numpy as np
import pytest

from tinytx.viz.neighbours import neighbours, unit_rows


@pytest.mark.parametrize("chunk", [1, 100, 1 << 23])
@pytest.mark.parametrize("n", [1, 7, 39])
def test_equals_a_sort_of_all_distances(n, chunk, monkeypatch):
    monkeypatch.setattr(sys.modules["tinytx.viz.neighbours"], "CHUNK", chunk)
    x = np.random.default_rng(0).normal(size=(40, 5)) + 100
    distances = np.linalg.norm(x[:, None] - x, axis=-1) + np.diag(np.full(40, np.inf))
    np.testing.assert_array_equal(neighbours(x, n), np.argsort(distances, axis=1)[:, :n])


def test_the_first_of_equals_comes_first_and_nobody_is_their_own_neighbour():
    assert neighbours(np.zeros((4, 2)), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_unit_rows():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1e-300, 0.0], [-1e300, 1e300]])
    np.testing.assert_allclose(unit_rows(x), [[0.6, 0.8], [0, 0], [1, 0], [-(0.5**0.5), 0.5**0.5]])
    assert unit_rows(np.ones((2, 3), np.float32)).dtype == np.float32


def test_neighbours_of_unit_rows_have_the_largest_cosines():
    x = np.random.default_rng(0).normal(size=(30, 4)) * np.random.default_rng(1).exponential(size=(30, 1))
    cosines = x @ x.T / np.linalg.norm(x, axis=1) / np.linalg.norm(x, axis=1)[:, None] - 9 * np.eye(30)
    np.testing.assert_array_equal(neighbours(unit_rows(x), 5), np.argsort(-cosines, axis=1)[:, :5])


@pytest.mark.parametrize("n", [0, 3])
def test_there_must_be_others(n):
    with pytest.raises(ValueError, match=rf"neighbours: n is {n}, and each of 3 points has 2 others"):
        neighbours(np.eye(3), n)
