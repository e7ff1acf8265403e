"""Neighbours, beside a sort of all distances."""

import sys

import numpy as np
import pytest

from tinytx.vectors import neighbours, neighbours_kept, unit_rows


@pytest.mark.parametrize("chunk", [1, 100, 1 << 23])
@pytest.mark.parametrize("n", [1, 7, 39])
def test_equals_a_sort_of_all_distances(n, chunk, monkeypatch):
    monkeypatch.setattr(sys.modules["tinytx.vectors.neighbours"], "CHUNK", chunk)
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


@pytest.mark.parametrize("far", [1.0, 1e6, 1e12, 1e15])
def test_one_far_point_takes_no_digits_of_the_others(far):
    """Catches |x|^2 + |y|^2 - 2xy, and a mean that belongs to the outlier: both gave the first points for all."""
    x = np.array([[0.0], [1e-4], [3e-4], [7e-4], [far]])
    assert neighbours(x, 2)[:4].tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert neighbours(1e-300 * x, 2).tolist() == neighbours(1e290 * x, 2).tolist() == neighbours(x, 2).tolist()
    assert neighbours_kept(x, np.hstack([x, 0 * x]), 2) == 1


def test_points_far_from_the_origin():
    x = 1e9 + np.array([[0.0], [1.0], [3.0], [7.0]])
    assert neighbours(x, 1).tolist() == [[1], [0], [1], [2]]


@pytest.mark.parametrize("n, match", [(0, "neighbours: n is 0"), (3, "n is 3, expected at most 2, the number")])
def test_there_must_be_others(n, match):
    with pytest.raises(ValueError, match=match):
        neighbours(np.eye(3), n)


WRONG = [
    ([[1.0, 2], [np.nan, 0]], ValueError, "row 1 of x has a NaN or an infinity"),
    ([[np.inf, 2], [1, 0]], ValueError, "row 0 of x has a NaN"),
    ([1.0, 2.0], ValueError, r"x has shape \(2,\), expected \(N, D\)"),
    ([["a", "b"]], TypeError, "x has dtype <U1, expected numbers"),
    ([[1j]], TypeError, "x has dtype complex128"),
]


@pytest.mark.parametrize("x, error, match", WRONG)
@pytest.mark.parametrize("function", [neighbours, unit_rows, lambda x: neighbours_kept(x, x)])
def test_what_is_no_set_of_points(function, x, error, match):
    with pytest.raises(error, match=match):
        function(np.array(x))


@pytest.mark.parametrize("n", [1.5, "2", None, True])
def test_n_is_a_whole_number(n):
    with pytest.raises(TypeError, match="neighbours: n is .*, expected a whole number"):
        neighbours(np.eye(3), n)


def test_neighbours_kept():
    x = np.random.default_rng(0).normal(size=(60, 2))
    assert neighbours_kept(x, 3 * x + 1) == 1
    assert neighbours_kept(x, np.random.default_rng(1).normal(size=(60, 2)), 10) == pytest.approx(10 / 59, abs=0.06)
    line = np.arange(5.0)[:, None] ** 2
    assert neighbours_kept(line, line[::-1], 1) == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="60 points and 59 on their map"):
        neighbours_kept(x, x[1:])
    with pytest.raises(ValueError, match="n is 60"):
        neighbours_kept(x, x, 60)
