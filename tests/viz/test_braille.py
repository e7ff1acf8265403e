"""Curves of dots: each dot is where NumPy's rounding puts it."""

import math

import numpy as np
import pytest

from tinytx.viz.braille import _DOTS, braille_plot


def dots(rows):
    """Return which dots are there, an array (4 height, 2 width)."""
    found = np.zeros((4 * len(rows), 2 * len(rows[0])), bool)
    for i, row in enumerate(rows):
        for j, (character, _) in enumerate(row):
            for k, bits in enumerate(_DOTS):
                found[4 * i + k, 2 * j : 2 * j + 2] = [bool((ord(character) - 0x2800) & bit) for bit in bits]
    return found


@pytest.mark.parametrize("log", [False, True])
def test_points_are_at_their_places(log):
    """Catches a picture that is upside down, one dot short, or linear where it is to be logarithmic."""
    x, y = np.array([0.0, 3.0, 9.0]), np.array([1.0, 100.0, 10.0])
    rows, bounds = braille_plot([(x, y)], 5, 4, log=log)
    there, scale = dots(rows), np.log(y) if log else y
    assert bounds == (0, 9, 1, 100)
    for column, height in zip(np.round(x), np.round((scale - scale.min()) / np.ptp(scale) * 15)):
        assert there[15 - int(height), int(column)]
    assert there.any(axis=0).all() and there[0].sum() == 1  # the line has no gap


def test_curves_have_their_numbers():
    rows, _ = braille_plot([([0, 1], [0, 0]), ([0, 1], [1, 1]), ([], [])], 3, 2)
    assert [{curve for _, curve in row} for row in rows] == [{1}, {0}]


@pytest.mark.parametrize("curves", [[], [([], [])], [([1], [math.nan])], [([1, 2], [None, math.inf])]])
def test_nothing_to_draw(curves):
    rows, bounds = braille_plot(curves, 3, 2)
    assert bounds is None and {cell for row in rows for cell in row} == {("\u2800", None)}


def test_one_point_stands_in_the_middle():
    rows, bounds = braille_plot([([7], [2.0])], 3, 3)
    assert bounds == (7, 7, 2.0, 2.0) and np.argwhere(dots(rows)).tolist() == [[5, 2]]


def test_a_logarithm_leaves_out_what_has_none():
    assert braille_plot([([0, 1, 2], [0.0, 1.0, -1.0])], 2, 2, log=True)[1] == (1, 1, 1.0, 1.0)
