"""Checks of what a user hands in: they name the place, the facts and the value."""

import numpy as np
import pytest

from tinytx.shapes import check_float, check_ids, check_mask, check_shape, contiguous, rows


def test_check_float_names_every_dtype():
    with pytest.raises(TypeError, match="place: x is float32, weight is float64; expected all float32 or all float64"):
        check_float("place", x=np.zeros(2, np.float32), weight=np.zeros(2))
    with pytest.raises(TypeError, match="x is float16"):
        check_float("place", x=np.zeros(2, np.float16))
    check_float("place", x=np.zeros(2))


def test_check_shape_says_where_the_shape_comes_from():
    with pytest.raises(ValueError, match=r"place: w has shape \(2,\), expected \(3,\) from d_model"):
        check_shape("place", "w", np.zeros(2), (3,), "d_model")


@pytest.mark.parametrize("ids", [[3, 1], [[0], [4]], np.zeros((0, 3), int)])
def test_check_ids_gives_int64(ids):
    checked = check_ids("place", ids, 5)
    assert checked.dtype == np.int64 and checked.flags.c_contiguous and checked.shape == np.shape(ids)


def test_check_ids_names_the_first_fault():
    with pytest.raises(ValueError, match=r"place: token id 9 at position \(1, 0\) is outside 0..4"):
        check_ids("place", [[0, 1], [9, -3]], 5)
    with pytest.raises(ValueError, match="target -100"):
        check_ids("place", [-100], 5, what="target")
    check_ids("place", [-100, 4], 5, allowed=-100)
    for nearest in (-1, 5):  # just outside
        with pytest.raises(ValueError, match=f"token id {nearest} at position"):
            check_ids("place", [0, nearest], 5)
    with pytest.raises(ValueError, match="18446744073709551615"):
        check_ids("place", np.array([2**64 - 1], np.uint64), 5)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (1, 1, 4), (2, 3, 4)])
def test_a_mask_that_broadcasts_is_let_through(shape):
    mask = np.ones(shape, bool)
    assert check_mask("place", mask, (2, 3, 4)) is mask


@pytest.mark.parametrize("shape", [(5,), (3,), (2, 4), (1, 2, 3, 4), (0,)])
def test_a_mask_that_does_not_broadcast_is_named(shape):
    """Catches one that is larger than what it masks, and one that is smaller."""
    with pytest.raises(ValueError) as error:
        check_mask("place", np.ones(shape, bool), (2, 3, 4))
    assert str(error.value) == f"place: mask has shape {shape}, expected one that broadcasts to (2, 3, 4)"


def test_a_mask_of_other_kinds_is_named():
    with pytest.raises(TypeError, match="place: mask is int64, expected bool: True where an element is allowed"):
        check_mask("place", np.ones(4, int), (2, 3, 4))
    with pytest.raises(TypeError, match="place: mask cannot be made an array of booleans"):
        check_mask("place", [[True], [True, False]], (2, 3, 4))


def test_contiguous_copies_only_what_needs_it():
    x = np.zeros((4, 6))
    assert contiguous(x) is x
    locked = np.zeros((4, 6))
    locked.flags.writeable = False
    for other in (x.T, x[:, ::2], locked):
        ready = contiguous(other)
        assert ready.flags.c_contiguous and ready.flags.writeable
        np.testing.assert_array_equal(ready, other)


def test_rows_is_a_view_where_it_can_be():
    x = np.zeros((2, 3, 4))
    assert rows(x).shape == (6, 4) and np.shares_memory(rows(x), x)
    assert rows(x[..., 0].T).shape == (3, 2)
