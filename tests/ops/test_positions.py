"""Positions: the sinusoids of the paper, and tables that are too short."""

import math

import numpy as np
import pytest

from tinytx.ops import add_positions, add_positions_backward, rotary_frequencies, rotate, sinusoidal_positions


@pytest.mark.parametrize("d", [6, 7, 1])
def test_sinusoids_are_those_of_the_paper(d):
    """Catches exponents that are doubled or not paired: sine and cosine of a pair share one wave length."""
    table = sinusoidal_positions(9, d, np.float64)
    for position in range(9):
        for i in range(d):
            angle = position / 10000 ** (2 * (i // 2) / d)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert math.isclose(table[position, i], expected, rel_tol=1e-12, abs_tol=1e-15)


@pytest.mark.parametrize("d", [6, 7, 1])
def test_doubled_sinusoids_are_those_of_the_tutorial(d):
    """Catches the paper's table under the other name: here each column has a wave length of its own."""
    table = sinusoidal_positions(9, d, np.float64, doubled=True)
    for position in range(9):
        for i in range(0, d, 2):
            assert math.isclose(table[position, i], math.sin(position / 10000 ** (2 * i / d)), abs_tol=1e-15)
            if i + 1 < d:
                expected = math.cos(position / 10000 ** (2 * (i + 1) / d))
                assert math.isclose(table[position, i + 1], expected, abs_tol=1e-15)


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("d", [6, 7, 1])
def test_halves_are_the_same_columns_with_all_sines_first(d, doubled):
    table = sinusoidal_positions(9, d, np.float64, doubled=doubled)
    halves = sinusoidal_positions(9, d, np.float64, doubled=doubled, halves=True)
    n_sines = (d + 1) // 2
    for i in range(d):
        np.testing.assert_array_equal(table[:, i], halves[:, i // 2 + (n_sines if i % 2 else 0)])


def test_sinusoids_are_rounded_once():
    """Catches angles computed in float32, which at position 5000 are off by 5e-4."""
    single, double = (sinusoidal_positions(5001, 8, dtype) for dtype in (np.float32, np.float64))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_rows_from_start_on_are_added():
    """Catches a start that forward uses and backward forgets."""
    table = np.arange(20.0).reshape(10, 2)
    y, saved = add_positions(np.zeros((3, 4, 2)), table, start=5)
    np.testing.assert_array_equal(y[2], table[5:9])
    dx, dtable = add_positions_backward(np.ones((3, 4, 2)), saved)
    np.testing.assert_array_equal(dtable[:, 0], [0] * 5 + [3] * 4 + [0])


@pytest.mark.parametrize("start", [-1, 7, 100])
def test_refuses_positions_outside_the_table(start):
    with pytest.raises(ValueError, match=f"positions {start}.* exceed 0..9"):
        add_positions(np.zeros((3, 4, 2)), np.zeros((10, 2)), start=start)


def test_refuses_a_table_of_another_width():
    with pytest.raises(ValueError, match=r"table of shape \(10, 3\) does not fit x of shape \(3, 4, 2\)"):
        add_positions(np.zeros((3, 4, 2)), np.zeros((10, 3)))


def test_rotated_far_away():
    """Catches angles in float32, which at position 100,000 are off by a hundredth."""
    f = rotary_frequencies(8)
    x = np.random.default_rng(0).normal(size=(1, 3, 2, 8)).astype(np.float32)
    far = rotate(x, f, 100_000)[0]
    np.testing.assert_allclose(far, rotate(x.astype(float), f, 100_000)[0], rtol=0, atol=1e-6)


def test_rows_may_begin_below_0():
    """Sines change their sign with the position, cosines do not."""
    table = sinusoidal_positions(9, 6, np.float64, first=-4)
    np.testing.assert_array_equal(table[4:], sinusoidal_positions(5, 6, np.float64))
    np.testing.assert_array_equal(table[::-1, 0::2], -table[:, 0::2])
    np.testing.assert_array_equal(table[::-1, 1::2], table[:, 1::2])
