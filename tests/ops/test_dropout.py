"""Dropout: a mask that is a function of (key, row, column), made again by backward."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import dropout, dropout_backward, word_dropout, word_dropout_backward

KEYS = st.integers(0, 2**64 - 1)


def kept(n, d, p, key, first_row=0):
    """Return the mask, True where an element stays."""
    return dropout(np.ones((n, d)), p, key, first_row)[0] != 0


@given(key=KEYS, start=st.integers(0, 6), length=st.integers(1, 5), columns=st.integers(1, 8))
def test_mask_is_a_function_of_key_row_and_column(key, start, length, columns):
    """Catches a mask that depends on the shape: a slice of the batch, and of the columns, has the slice's mask."""
    whole = kept(12, 9, 0.5, key)
    part = kept(length, columns, 0.5, key, first_row=start)
    np.testing.assert_array_equal(part, whole[start : start + length, :columns])


@given(key=KEYS, start=st.integers(0, 6), repeat=st.integers(1, 4))
def test_consecutive_rows_can_have_one_mask(key, start, repeat):
    """Catches ``first_row`` counted in rows; a last group may be shorter than the others."""
    y, saved = dropout(np.ones((7, 9)), 0.5, key, start, repeat)
    rows = np.arange(7) // repeat
    np.testing.assert_array_equal(y != 0, kept(7, 9, 0.5, key, start)[rows])
    np.testing.assert_array_equal(dropout_backward(np.ones((7, 9)), saved), y)


@pytest.mark.parametrize("repeat", [0, -1])
def test_refuses_masks_of_no_rows(repeat):
    with pytest.raises(ValueError, match=f"dropout: repeat is {repeat}"):
        dropout(np.ones((2, 3)), 0.5, 0, repeat=repeat)


def test_a_mask_that_never_changes():
    """Catches another hash, or another threshold: a run of last year could not be run again."""
    expected = ["...###..", "..######", ".#.....#"]
    assert ["".join(".#"[keep] for keep in row) for row in kept(3, 8, 0.5, 2024, first_row=10).astype(int)] == expected


@pytest.mark.parametrize("p", [1 - 2**-33, np.nextafter(1, 0)])
def test_p_just_below_one(p):
    """Catches a threshold of 33 bits: everything is dropped, but for one element in 2^32."""
    assert not kept(5, 7, p, key=3).any()


@given(key=KEYS, first_row=st.integers(0, 2**40))
def test_backward_uses_the_mask_of_forward(key, first_row):
    """Catches a second draw, and a backward without 1/(1-p)."""
    x = np.linspace(1, 2, 60).reshape(3, 4, 5)
    y, saved = dropout(x, 0.3, key, first_row)
    np.testing.assert_array_equal(dropout_backward(x, saved), y)
    np.testing.assert_allclose(y[y != 0], (x / 0.7)[y != 0], rtol=1e-15)


@pytest.mark.compiled
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("key", [0, 1, 2**63, 0xDEADBEEF])
@pytest.mark.parametrize("first_row", [0, 2**33])
def test_rate_is_p(p, key, first_row):
    """Catches a biased hash, in the whole mask and in its rows, columns and neighbours, within 4 sigma or so."""
    n, d = 400, 500
    dropped = ~kept(n, d, p, key, first_row)
    sigma = math.sqrt(p * (1 - p))
    assert abs(dropped.mean() - p) < 4 * sigma / math.sqrt(n * d)
    for axis, size in ((0, n), (1, d)):
        assert np.abs(dropped.mean(axis) - p).max() < 5.5 * sigma / math.sqrt(size) + 5 / size
    for one, other in ((dropped[1:], dropped[:-1]), (dropped[:, 1:], dropped[:, :-1])):
        together = (one & other).mean()
        assert abs(together - p * p) < 5 * math.sqrt(p * p * (1 - p * p) / (n * d)) + 2 / (n * d)


@pytest.mark.compiled
def test_keys_give_unrelated_masks():
    """Catches neighbouring keys (the same layer at the next step) whose masks overlap or are shifts of each other."""
    one = kept(200, 300, 0.5, 41)
    for key in (42, 43, 41 + 2**32, 41 ^ 2**63):
        other = kept(200, 300, 0.5, key)
        assert abs((one == other).mean() - 0.5) < 4 * 0.5 / math.sqrt(one.size)
        assert abs((one[1:] == other[:-1]).mean() - 0.5) < 5 * 0.5 / math.sqrt(one.size)


def test_p_zero_changes_nothing():
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    np.testing.assert_array_equal(dropout(x, 0.0, 5)[0], x)


def test_nan_in_a_dropped_element_is_dropped():
    """Catches x * mask, in which 0 * NaN is NaN."""
    x = np.full((40, 5), np.nan)
    y, _ = dropout(x, 0.5, 3)
    np.testing.assert_array_equal(np.isnan(y), kept(40, 5, 0.5, 3))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, math.nan])
def test_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="dropout: p is"):
        dropout(np.ones((2, 3)), p, 0)


def test_a_word_is_left_out_as_a_whole_and_wherever_it_stands():
    """Catches masks of positions, of rows of the batch, and of numbers of a vector; about p of the words are left out."""
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(2000), 2)).reshape(40, 100)
    y, saved = word_dropout(np.ones((40, 100, 3)), ids, 0.25, 7)
    np.testing.assert_array_equal(word_dropout_backward(np.ones((40, 100, 3)), saved), y)
    by_word = y[np.argsort(ids, axis=None) // 100, np.argsort(ids, axis=None) % 100].reshape(2000, -1)  # (V, 2 D)
    assert set(np.unique(y)) == {0, 1 / 0.75} and (by_word == by_word[:, :1]).all()
    assert 0.7 < np.mean(by_word[:, 0] > 0) < 0.8
    np.testing.assert_array_equal(word_dropout(np.ones((1, 100, 3)), ids[3:4], 0.25, 7)[0], y[3:4])
