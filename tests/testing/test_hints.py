"""What a wrong gradient's pattern is called."""

import numpy as np
import pytest

from tinytx.testing.hints import hint

N = np.random.default_rng(0).normal(size=(3, 4, 5))  # the right gradient
SIZES = (3, 4, 5, 7)


def say(analytic, numeric=N, sizes=SIZES):
    wrong = ~np.isclose(analytic, numeric, rtol=1e-9, atol=0)
    return hint(analytic, numeric, wrong, sizes)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, "a factor 2 too many"),
        (0.5, "a factor 2 is missing"),
        (-1.0, "the sign"),
        (1 / 3, "a factor 3, a size of this problem is missing"),
        (7.0, "a factor 7, a size of this problem too many"),
        (np.sqrt(5), "a factor sqrt(5), a size of this problem too many"),
        (1 / np.sqrt(7), "a factor sqrt(7), a size of this problem is missing"),
        (1 / 12, "a factor 12 = 3 x 4, sizes of this problem is missing"),
        (0.9, "analytic = 0.9 x numeric"),
        (-2.0, "analytic = -2 x numeric"),
    ],
)
def test_factor(factor, expected):
    """2, 1/B, 1/sqrt(d), -1: the factors that get lost, named by the sizes that occur."""
    assert "a constant factor" in say(factor * N) and expected in say(factor * N)


def test_a_size_is_named_before_a_root():
    """2 is sqrt(4), too; what is likelier comes first."""
    assert "sqrt" not in say(2 * N, sizes=(3, 4)) and "2, a size" in say(2 * N, sizes=(2, 4))


def test_transposed():
    square = N[:, :3, 0]
    assert "transposed" in say(square.T, square) and "(1, 0)" in say(square.T, square)
    assert "without moving the axes back" in say(N.transpose(1, 0, 2).reshape(N.shape))
    assert "wrong places" in say(np.roll(N, 1, axis=1))


def test_missing_reduction():
    """What is off by something constant along an axis, or by a factor for each slice."""
    assert "constant along axis 2" in say(N + N.mean(axis=2, keepdims=True))
    assert "axis 1" in say(N - N.sum(axis=1, keepdims=True))
    assert "a factor that is constant along axis 2" in say(N * np.arange(2, 6)[:, None])


def test_all_zero():
    assert "all zero" in say(0 * N)


def test_not_finite():
    assert "not finite" in say(np.where(N > 1, np.nan, N))


@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-8])
def test_nearly_right(error):
    """An eps left out, a constant cut short."""
    assert "right to" in say(N + error * np.sin(N))


def test_only_the_last_position():
    analytic = N.copy()
    analytic[:, -1] += 1 + np.random.default_rng(1).random((3, 5))
    assert "only the last position of axis 1" in say(analytic)


def test_only_some_positions():
    analytic = N.copy()
    analytic[1, :, 2] += 1 + np.arange(4)
    assert "only index 1 of axis 0" in say(analytic)


def test_most_positions_are_not_listed():
    """"Only index 0, 1, 3" would send the reader to the wrong place."""
    analytic = N.copy()
    analytic[:2] += np.random.default_rng(1).normal(size=(2, 4, 5)) * (np.arange(5) != 1) * (np.arange(4) != 2)[:, None]
    assert "of 60 entries are wrong" in say(analytic)


def test_sampled_entries():
    """Where few entries are known, what needs all of them is not claimed."""
    numeric = np.where(np.arange(60).reshape(N.shape) % 7, np.nan, N)
    wrong = np.isfinite(numeric)
    assert "a constant factor: analytic = 3 x" in hint(3 * N, numeric, wrong, SIZES)
    assert hint(N.transpose(1, 0, 2).reshape(N.shape), numeric, wrong, SIZES) == ""


def test_nothing_wrong():
    assert say(N) == ""


def test_no_pattern():
    """Better no hint than a wrong one."""
    assert say(np.random.default_rng(1).normal(size=N.shape)) == ""
