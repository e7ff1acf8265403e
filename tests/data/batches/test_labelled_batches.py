"""Batches with labels: each row once an epoch with its own label, padding without one, and batches by step alone."""

import numpy as np
import pytest

from tinytx.data import LabelledBatches

ROWS = [np.arange(1, 2 + n) * 10 + n for n in range(7)]  # row n has n + 1 tokens, which end in n
OPTIONS = {"batch_size": 3, "pad_id": 0, "seed": 5}


def test_each_row_once_with_its_label():
    """Catches labels in another order than rows, rows lost at the end of an epoch, and the same order in all epochs."""
    batches, orders = LabelledBatches(ROWS, np.arange(7), **OPTIONS), []
    assert len(batches) == 3
    for epoch in range(3):
        said = [(ids, labels) for ids, labels in batches.epoch(epoch)]
        assert [len(ids) for ids, _ in said] == [3, 2, 2]
        orders.append([int(label) for _, labels in said for label in labels])
        assert sorted(orders[-1]) == list(range(7))
        for ids, labels in said:
            assert ids.shape == (len(labels), labels.max() + 1)
            for row, label in zip(ids, labels):
                np.testing.assert_array_equal(row, np.append(ROWS[label], [0] * (len(row) - label - 1)))
    assert len(set(map(tuple, orders))) == 3


def test_a_label_for_each_token():
    """Catches padding that has a class."""
    batches = LabelledBatches(ROWS, [row + 1 for row in ROWS], **OPTIONS)
    for ids, labels in batches.epoch():
        np.testing.assert_array_equal(labels, np.where(ids == 0, -100, ids + 1))


def test_a_step_is_a_function_of_itself():
    """Catches batches that depend on those asked for before: a resumed run would see others."""
    batches = LabelledBatches(ROWS, np.arange(7), **OPTIONS)
    there = [batches(step) for step in range(8)]
    for step in (7, 2, 4):
        for one, other in zip(LabelledBatches(ROWS, np.arange(7), **OPTIONS)(step), there[step], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("rows", "labels", "options", "message"),
    [
        ([], [], {}, "there are 0 labels for 0 rows"),
        (ROWS, np.arange(6), {}, "there are 6 labels for 7 rows"),
        (ROWS, [row[:1] for row in ROWS], {}, "row 1 has 2 tokens and 1 labels"),
        (ROWS, np.arange(7), {"batch_size": 0}, "batch_size is 0"),
        (ROWS, np.arange(7), {"seed": -1}, "seed is -1"),
    ],
)
def test_what_does_not_fit_is_named(rows, labels, options, message):
    with pytest.raises(ValueError, match=f"LabelledBatches: {message}"):
        LabelledBatches(rows, labels, **OPTIONS | options)
