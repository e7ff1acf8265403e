"""Texts with a needle: one in each, where it should be, and colours elsewhere that do not count."""

import numpy as np
import pytest

from tinytx.data.texts.needles import COLOURS, CUE, SHARE, WORDS, needle_rows


def test_each_text_has_one_needle():
    """Its colour is the answer; between it and the end there are ``distance`` words, and at most ``lead`` more."""
    words, colours = needle_rows(np.random.default_rng(0), 2000, 30, lead=5)
    assert words.shape == (2000, 37) and set(colours) == set(range(1, 9))
    rows, places = np.nonzero(words == 0)
    np.testing.assert_array_equal(rows, np.arange(2000))
    np.testing.assert_array_equal(words[rows, places + 1], colours)
    assert set(places) == set(range(6))
    beside = [words[rows, np.clip(places + i, 0, 36)] for i in (-2, -1, 2, 3)]
    assert not np.isin(beside, np.arange(1, 9))[:, (places > 1)].any()
    assert np.isin(words[rows, places + 4], np.arange(1, 9)).any()
    assert {WORDS[colour] for colour in colours} == set(COLOURS) and WORDS[0] == CUE


def test_other_colours_stand_in_the_hay():
    """As many as said, all of them, and no rarer after the needle; every other word of the list is there."""
    words, colours = needle_rows(np.random.default_rng(0), 2000, 30, lead=5)
    hay = words[:, 10:]
    share = np.isin(hay, np.arange(1, 9))
    assert abs(share.mean() - SHARE) < 0.005 and len(np.unique(hay)) == len(WORDS) - 1
    assert abs((hay == colours[:, None])[share].mean() - 1 / 8) < 0.03  # they do not tell the answer


def test_numbers_below_0_are_named():
    for name in ("n_rows", "distance", "lead"):
        with pytest.raises(ValueError, match=f"needle_rows: {name} is -1"):
            needle_rows(np.random.default_rng(0), **{"n_rows": 1, "distance": 1, "lead": 1} | {name: -1})
