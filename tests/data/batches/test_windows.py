import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytx.data import IGNORE_INDEX, random_batch, split, windows

IDS = np.arange(1000, 1100)  # a token tells its position
IDS.flags.writeable = False
SIZES = {"max_len": 7, "batch_size": 5}


def test_targets_follow_inputs_and_both_lie_in_the_text():
    inputs, targets = random_batch(IDS, **SIZES, seed=1, step=2)
    assert inputs.shape == targets.shape == (5, 7)
    np.testing.assert_array_equal(inputs, inputs[:, :1] + np.arange(7))
    np.testing.assert_array_equal(targets, inputs + 1)
    assert inputs.min() >= IDS[0] and targets.max() <= IDS[-1]


def test_a_batch_is_a_function_of_seed_and_step_alone():
    first = random_batch(IDS, **SIZES, seed=1, step=2)
    np.random.default_rng(0).normal(size=10)
    random_batch(IDS, **SIZES, seed=1, step=3)
    np.testing.assert_array_equal(random_batch(IDS, **SIZES, seed=1, step=2), first)
    for seed, step in [(1, 3), (2, 2), (2, 1), (0, 0)]:
        assert (random_batch(IDS, **SIZES, seed=seed, step=step)[0] != first[0]).any()


def test_the_global_generator_is_not_touched():
    before = np.random.get_state()[1].copy()
    random_batch(IDS, **SIZES, seed=1, step=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_every_window_is_drawn_the_first_and_the_last_too():
    ids = IDS[:10]
    inputs, targets = random_batch(ids, max_len=7, batch_size=200, seed=0, step=0)
    assert set(inputs[:, 0]) == {1000, 1001, 1002}
    assert targets.max() == ids[-1]


def test_the_shortest_text():
    inputs, targets = random_batch(IDS[:8], max_len=7, batch_size=1, seed=0, step=0)
    np.testing.assert_array_equal(inputs[0], IDS[:7])
    np.testing.assert_array_equal(targets[0], IDS[1:8])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_batches_are_contiguous_int64(dtype):
    ids = np.arange(60).astype(dtype)[::2]
    for array in (*random_batch(ids, **SIZES, seed=0, step=0), *windows(ids, 4)):
        assert array.dtype == np.int64 and array.flags.c_contiguous and array.flags.writeable


@settings(deadline=None)
@given(n=st.integers(2, 60), max_len=st.integers(1, 70))
def test_windows_predict_every_token_but_the_first_exactly_once(n, max_len):
    ids = IDS[:n]
    inputs, targets = windows(ids, max_len)
    assert inputs.shape == targets.shape == (-(-(n - 1) // max_len), max_len)
    counted = targets != IGNORE_INDEX
    np.testing.assert_array_equal(targets[counted], ids[1:])
    np.testing.assert_array_equal(inputs[counted], ids[:-1])
    assert (inputs[~counted] == 0).all()
    assert counted[:, 0].all()  # no window is padding alone


def test_windows_start_where_the_last_one_ended():
    inputs, targets = windows(IDS[:8], 3)
    np.testing.assert_array_equal(inputs - 1000, [[0, 1, 2], [3, 4, 5], [6, -1000, -1000]])
    np.testing.assert_array_equal(targets - 1000, [[1, 2, 3], [4, 5, 6], [7, -1100, -1100]])
    assert IGNORE_INDEX == -100


@settings(deadline=None)
@given(n=st.integers(0, 100), fraction=st.floats(0, 1))
def test_split_keeps_every_token_in_order(n, fraction):
    train, validation = split(IDS[:n], fraction)
    np.testing.assert_array_equal(np.concatenate([train, validation]), IDS[:n])
    assert abs(len(train) - n * fraction) <= 0.5


def test_split_takes_nine_tenths_unless_told():
    assert [len(part) for part in split(IDS)] == [90, 10]


HUGE = np.full(20, 2**64 - 1, np.uint64)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: random_batch(IDS[:7], **SIZES, seed=0, step=0), ValueError, "7 tokens .* max_len 7, which needs 8"),
        (lambda: random_batch(IDS, max_len=0, batch_size=1, seed=0, step=0), ValueError, "max_len is 0"),
        (lambda: random_batch(IDS, max_len=1, batch_size=0, seed=0, step=0), ValueError, "batch_size is 0"),
        (lambda: random_batch(IDS, **SIZES, seed=-1, step=0), ValueError, "seed is -1"),
        (lambda: random_batch(IDS * 1.0, **SIZES, seed=0, step=0), TypeError, "random_batch: ids have dtype float64"),
        (lambda: random_batch(IDS[None], **SIZES, seed=0, step=0), ValueError, r"ids have shape \(1, 100\)"),
        (lambda: windows(IDS[:1], 4), ValueError, "windows: 1 token,"),
        (lambda: random_batch(HUGE, **SIZES, seed=0, step=0), ValueError, r"id 18446744073709551615 at position .* is outside 0\.\."),
        (lambda: windows(HUGE, 4), ValueError, r"id 18446744073709551615 at position .* is outside 0\.\."),
        (lambda: random_batch(IDS, max_len=2.0, batch_size=1, seed=0, step=0), TypeError, "max_len is 2.0, expected a"),
        (lambda: random_batch(IDS, max_len=2, batch_size="3", seed=0, step=0), TypeError, "batch_size is '3'"),
        (lambda: random_batch(IDS, **SIZES, seed=0, step=True), TypeError, "step is True"),
        (lambda: windows(IDS, 2.5), TypeError, "windows: max_len is 2.5"),
        (lambda: split(IDS, "0.9"), TypeError, "train_fraction is '0.9'"),
        (lambda: windows([3, -1, 2], 4), ValueError, r"windows: token id -1 at position \(1,\) is outside"),
        (lambda: windows([], 4), ValueError, "windows: 0 tokens"),
        (lambda: windows(IDS, 0), ValueError, "windows: max_len is 0"),
        (lambda: windows(IDS * 1.0, 4), TypeError, "windows: ids have dtype float64"),
        (lambda: split(IDS, 1.1), ValueError, "train_fraction is 1.1"),
        (lambda: split(IDS, float("nan")), ValueError, "train_fraction is nan"),
        (lambda: split(IDS[None]), ValueError, "split: ids have shape"),
    ],
)
def test_errors_name_the_values(call, error, match):
    with pytest.raises(error, match=match):
        call()
