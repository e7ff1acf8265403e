import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import IGNORE_INDEX, mask_words

V, MASK, NEVER = 1000, 4, (0, 1, 2, 3)
MILLION = np.random.default_rng(7).integers(0, V, size=(2000, 500))  # special ids among them
MILLION.flags.writeable = False


def masked(ids=MILLION, seed=0, **options):
    return mask_words(ids, rng=np.random.default_rng(seed), mask_id=MASK, vocab_size=V, never=NEVER, **options)


def within_3_sigma(count, n, p):
    """Whether a count of n independent trials is what probability p gives."""
    return abs(count - n * p) <= 3 * math.sqrt(n * p * (1 - p))


ORDINARY = MILLION > MASK


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "rate, replace",
    [(0.15, (0.8, 0.1, 0.1)), (0.4, (0.5, 0.3, 0.2)), (0.15, (1, 0, 0)), (1, (0, 1, 0)), (1, (0, 0, 1))],
)
def test_rates_over_a_million_tokens(rate, replace, seed):
    inputs, targets = masked(rate=rate, replace=replace, seed=seed)
    chosen = targets != IGNORE_INDEX
    assert within_3_sigma(chosen.sum(), ORDINARY.sum(), rate)
    n = chosen.sum()
    hidden, kept = chosen & (inputs == MASK), chosen & (inputs == MILLION)
    right_by_chance = replace[1] / (V - 5)  # of random words
    assert within_3_sigma(hidden.sum(), n, replace[0])
    assert within_3_sigma(kept.sum(), n, replace[2] + right_by_chance)
    assert within_3_sigma((chosen & ~hidden & ~kept).sum(), n, replace[1] - right_by_chance)


def test_special_tokens_are_never_chosen_and_never_put_in():
    inputs, targets = masked(rate=1, replace=(0, 1, 0))
    assert (targets[~ORDINARY] == IGNORE_INDEX).all()
    np.testing.assert_array_equal(inputs[~ORDINARY], MILLION[~ORDINARY])
    assert (inputs[ORDINARY] > MASK).all()
    np.testing.assert_array_equal(targets[ORDINARY], MILLION[ORDINARY])


def test_random_words_are_all_words_alike():
    """A chi-squared statistic, whose mean is its degrees of freedom, and its variance twice that."""
    inputs, _ = masked(rate=1, replace=(0, 1, 0))
    counts = np.bincount(inputs[ORDINARY], minlength=V)[MASK + 1 :]
    assert counts.min() > 0
    expected = counts.mean()
    degrees = len(counts) - 1
    assert abs(((counts - expected) ** 2 / expected).sum() - degrees) <= 3 * math.sqrt(2 * degrees)


def test_never_may_stand_anywhere_in_the_vocabulary():
    never, mask_id = (17, 500), V - 1
    inputs, targets = mask_words(
        MILLION, rng=np.random.default_rng(0), mask_id=mask_id, vocab_size=V, never=never, rate=1, replace=(0.5, 0.5, 0)
    )
    special = np.isin(MILLION, [*never, mask_id])
    np.testing.assert_array_equal(inputs[special], MILLION[special])
    assert not np.isin(inputs[~special], never).any()
    assert (targets[special] == IGNORE_INDEX).all() and (targets[~special] != IGNORE_INDEX).all()
    assert set(np.unique(inputs)) == set(range(V))


@pytest.mark.parametrize("row, column", [(0, 1), (0, 2), (1, 0), (1, 1)])
def test_positions_are_independent(row, column):
    """Of two positions, a step apart in any direction, both are chosen as often as independence says."""
    ids = np.full_like(MILLION, 50)
    inputs, targets = masked(ids)
    for event, p in [
        (targets != IGNORE_INDEX, 0.15),
        (inputs == MASK, 0.12),
        ((targets == 50) & (inputs == 50), 0.015),
    ]:
        here, there = event[row:, column:], event[: len(ids) - row, : ids.shape[1] - column]
        # neighbouring pairs share a position: sum of n products of variance p^2 (1-p)^2 + 2 p^3 (1-p) each, at most
        sigma = math.sqrt(here.size * (p**2 * (1 - p**2) + 2 * p**3 * (1 - p)))
        assert abs((here & there).sum() - here.size * p**2) <= 3 * sigma


def test_what_is_not_chosen_is_untouched():
    ids = MILLION.copy()
    inputs, targets = masked()
    np.testing.assert_array_equal(MILLION, ids)
    ignored = targets == IGNORE_INDEX
    np.testing.assert_array_equal(inputs[ignored], ids[ignored])
    np.testing.assert_array_equal(targets[~ignored], ids[~ignored])
    assert inputs.dtype == targets.dtype == np.int64 and not np.shares_memory(inputs, ids)


def test_rate_0_and_1():
    inputs, targets = masked(rate=0)
    assert (targets == IGNORE_INDEX).all() and (inputs == MILLION).all()
    assert (masked(rate=1, replace=(1, 0, 0))[0] == np.where(ORDINARY, MASK, MILLION)).all()


def test_the_generator_alone_decides():
    a, b, c = masked(seed=1), masked(seed=1), masked(seed=2)
    np.testing.assert_array_equal(a, b)
    assert (a[1] != c[1]).any()
    before = np.random.get_state()[1].copy()
    masked()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 3), (0,)])
def test_any_shape_and_integers(shape, dtype):
    ids = np.full(shape, 9, dtype)
    inputs, targets = masked(ids, rate=1)
    assert inputs.shape == targets.shape == shape
    assert inputs.dtype == targets.dtype == np.int64
    assert (targets == 9).all()


# ---------------------------------------------------------------------------------------- whole words


@given(
    starts=st.lists(st.booleans(), min_size=1, max_size=40),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.2, 0.5]),
)
def test_pieces_of_a_word_are_chosen_together(starts, seed, rate):
    starts = np.array(starts)
    _, targets = masked(np.full(len(starts), 9), seed=seed, rate=rate, word_starts=starts)
    for word in np.split(targets != IGNORE_INDEX, np.flatnonzero(starts)):
        assert word.all() or not word.any()


def test_words_are_chosen_at_the_rate_and_pieces_replaced_each_for_itself():
    starts = np.random.default_rng(3).random(MILLION.shape) < 0.6
    starts[:, 0] = True
    ids = np.full_like(MILLION, 50)
    inputs, targets = masked(ids, word_starts=starts)
    chosen = targets == 50
    assert within_3_sigma(chosen[starts].sum(), starts.sum(), 0.15)
    first, second = chosen[:, :-1] & ~starts[:, 1:], chosen[:, 1:] & ~starts[:, 1:]
    np.testing.assert_array_equal(first, second)
    both = (inputs[:, :-1] == MASK) & (inputs[:, 1:] == MASK) & first
    assert within_3_sigma(both.sum(), first.sum(), 0.64)


def test_words_end_at_special_tokens_and_at_rows():
    """[CLS] a ##b [SEP] ##c: nothing joins across [SEP], and padding and special tokens stay out of words."""
    ids = np.tile([2, 50, 51, 3, 52, 0, 0], (5000, 1))
    starts = np.tile([True, True, False, False, False, False, False], (5000, 1))
    _, targets = masked(ids, rate=0.5, word_starts=starts)
    chosen = targets != IGNORE_INDEX
    assert not chosen[:, [0, 3, 5, 6]].any()
    np.testing.assert_array_equal(chosen[:, 1], chosen[:, 2])
    assert within_3_sigma((chosen[:, 1] != chosen[:, 4]).sum(), 5000, 0.5)
    rows = masked(np.full((5000, 2), 50), rate=0.5, word_starts=np.zeros((5000, 2), bool))[1] == 50
    np.testing.assert_array_equal(rows[:, 0], rows[:, 1])
    assert within_3_sigma((rows[1:, 0] != rows[:-1, 0]).sum(), 4999, 0.5)


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"rate": 1.1}, ValueError, "mask_words: rate is 1.1"),
        ({"rate": -0.1}, ValueError, "rate is -0.1"),
        ({"rate": math.nan}, ValueError, "rate is nan"),
        ({"replace": (0.8, 0.1)}, ValueError, r"replace is \(0.8, 0.1\)"),
        ({"replace": (0.8, 0.1, 0.2)}, ValueError, "of sum 1"),
        ({"replace": (1.2, -0.1, -0.1)}, ValueError, "replace is"),
        ({"replace": (math.nan, 0, 0)}, ValueError, "replace is"),
        ({"mask_id": 10}, ValueError, r"mask_id is 10, expected an id of 0\.\.9"),
        ({"mask_id": -1}, ValueError, "mask_id is -1"),
        ({"mask_id": None}, ValueError, "mask_id is None"),
        ({"never": [10]}, ValueError, "never is .*10"),
        ({"never": [-1]}, ValueError, "never is .*-1"),
        ({"never": range(10)}, ValueError, "all 10 ids are in never"),
        ({"ids": [[5, 10]]}, ValueError, r"mask_words: token id 10 at position \(0, 1\) is outside 0\.\.9"),
        ({"ids": [5, -100]}, ValueError, r"id -100 at position \(1,\)"),
        ({"ids": [0.5]}, TypeError, "dtype float64"),
        ({"word_starts": [True]}, ValueError, r"word_starts has shape \(1,\), expected \(2,\)"),
    ],
)
def test_errors(change, error, match):
    arguments = {"ids": [5, 6], "rng": np.random.default_rng(0), "mask_id": 4, "vocab_size": 10} | change
    with pytest.raises(error, match=match):
        mask_words(**arguments)
