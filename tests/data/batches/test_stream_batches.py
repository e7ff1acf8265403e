"""Streams: each batch goes on where the one before ended, and every row reads the whole text."""

import numpy as np
import pytest

from tinytx.data import stream_batch, stream_lengths

IDS = np.arange(1000, 1100)  # a token tells its position
IDS.flags.writeable = False


def test_each_batch_goes_on_where_the_one_before_ended():
    """Catches steps that overlap or leave tokens out, at the end of the text too."""
    batches = [stream_batch(IDS, length=7, batch_size=3, step=step) for step in range(40)]
    inputs, targets = (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(targets, inputs + 1)
    np.testing.assert_array_equal((inputs[:, 1:] - inputs[:, :-1]) % 99, 1)
    assert inputs[:, 0].tolist() == [1000, 1033, 1066]
    for row in inputs:
        np.testing.assert_array_equal(np.sort(row[:99]), IDS[:-1])  # each row reads every token once, then again


def test_lengths_drawn_anew_leave_nothing_out():
    """Catches a step that begins where one of the usual length would, and lengths that depend on how many are drawn."""
    batches = [stream_batch(IDS, length=9, batch_size=3, step=step, seed=4) for step in range(30)]
    assert [len(targets[0]) for _, targets in batches] == stream_lengths(9, seed=4, n=30).tolist()
    inputs, targets = (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(targets, inputs + 1)
    np.testing.assert_array_equal((inputs[:, 1:] - inputs[:, :-1]) % 99, 1)
    assert inputs[:, 0].tolist() == [1000, 1033, 1066]
    np.testing.assert_array_equal(stream_lengths(9, seed=4, n=7), stream_lengths(9, seed=4, n=30)[:7])


def test_lengths_are_the_papers():
    """Around 70, in one step of twenty around 35, and never below 5."""
    lengths = stream_lengths(70, seed=1, n=20_000)
    halved = lengths < 52
    assert 0.045 < halved.mean() < 0.055
    for part, mean in ((lengths[halved], 35), (lengths[~halved], 70)):
        assert abs(part.mean() - mean) < 1 and 4.5 < part.std() < 5.5
    assert stream_lengths(6, seed=1, n=1000).min() == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_batches_are_contiguous_int64(dtype):
    for array in stream_batch(np.arange(60).astype(dtype)[::2], length=4, batch_size=2, step=3):
        assert array.dtype == np.int64 and array.flags.c_contiguous and array.flags.writeable


def test_a_text_shorter_than_a_row():
    inputs, targets = stream_batch(IDS[:3], length=5, batch_size=2, step=0)
    np.testing.assert_array_equal(inputs, [[1000, 1001, 1000, 1001, 1000], [1001, 1000, 1001, 1000, 1001]])
    np.testing.assert_array_equal(targets, inputs + 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ids": IDS[:1]}, ValueError, "stream_batch: the text has 1 tokens"),
        ({"ids": IDS.reshape(10, 10)}, ValueError, r"stream_batch: ids have shape \(10, 10\)"),
        ({"ids": IDS / 2}, TypeError, "stream_batch: ids have dtype float64"),
        ({"length": 0}, ValueError, "stream_batch: length is 0"),
        ({"batch_size": 1.5}, TypeError, "stream_batch: batch_size is 1.5"),
        ({"seed": -1}, ValueError, "stream_batch: seed is -1"),
        ({"step": -1}, ValueError, "stream_batch: step is -1"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"ids": IDS, "length": 7, "batch_size": 3, "step": 0} | change
    with pytest.raises(error, match=message):
        stream_batch(arguments.pop("ids"), **arguments)
