"""Batches of noised texts: what a row becomes depends on (seed, epoch, row) alone."""

import numpy as np
import pytest

from tinytx.data import NoisedBatches, infilled

ROWS = [np.arange(10, 10 + n) for n in (7, 9, 12, 8, 20)]
FRAME = {"pad_id": 0, "start_id": 1, "stop_id": 2}


def hidden(ids, rng):
    return infilled(ids, rng=rng, mask_id=3, rate=0.4), ids


def batches(batch_size=2, seed=4, **options):
    return NoisedBatches(ROWS, hidden, batch_size=batch_size, seed=seed, **FRAME, **options)


def by_row(batches, epoch=0):
    """Return {number of the row: (source, target)} of an epoch, without padding."""
    found = {}
    for source, target in batches.epoch(epoch):
        assert (target[:, 0] == 1).all() and len(source) == len(target)
        for s, t in zip(source, target):
            s, t = s[s != 0], t[t != 0]
            assert t[-1] == 2 and np.isin(s, [*t, 3]).all()
            found[[len(row) for row in ROWS].index(len(t) - 2)] = s.tolist(), t[1:-1].tolist()
    return found


def test_every_row_once_and_whole():
    found = by_row(batches())
    assert {row: target for row, (_, target) in found.items()} == {i: row.tolist() for i, row in enumerate(ROWS)}
    assert len(batches()) == 3 and [len(source) for source, _ in batches().epoch()] == [2, 2, 1]


def test_noise_depends_on_seed_epoch_and_row():
    """Not on the batch, nor on its size; and with dynamic=False not on the epoch."""
    first = by_row(batches())
    assert by_row(batches(batch_size=5)) == first == by_row(batches())
    assert by_row(batches(), epoch=1) != first != by_row(batches(seed=5))
    static = batches(dynamic=False)
    assert by_row(static, epoch=1) == by_row(static)
    again = batches().batch(7)
    for array, same in zip(again, batches()(7), strict=True):
        np.testing.assert_array_equal(array, same)


def test_another_order_in_each_epoch():
    orders = {tuple(len(row[row != 0]) for batch in batches(batch_size=5).epoch(epoch) for row in batch[1]) for epoch in range(5)}
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"rows": []}, "there are no rows"), ({"batch_size": 0}, "batch_size is 0"), ({"seed": -1}, "seed is -1")],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=f"NoisedBatches: {message}"):
        NoisedBatches(**{"rows": ROWS, "noised": hidden, "batch_size": 2, "seed": 0} | FRAME | change)
    with pytest.raises(TypeError, match="NoisedBatches: rows is a str"):
        NoisedBatches("abc", hidden, batch_size=1, seed=0, **FRAME)
