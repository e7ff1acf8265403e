"""Embedding: ids that occur twice, and ids that do not exist."""

import numpy as np
import pytest
from cases import Drawn
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import embedding, embedding_backward


@given(data=st.data())
def test_repeated_ids_add(data):
    """Catches ``dweight[ids] = dy`` and ``dweight[ids] += dy``, which keep one of several contributions."""
    make = Drawn(data.draw)
    b, t, v, d = make.sizes(4)
    ids, dy = make.ids(2, b, t), make.array(b, t, d)
    y, saved = embedding(ids, make.array(v, d))
    one_hot = np.arange(v) == ids.reshape(-1, 1)
    np.testing.assert_allclose(embedding_backward(dy, saved), one_hot.T @ dy.reshape(-1, d), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_any_integers_are_ids(dtype):
    """Catches int8 ids that overflow: 127 is the last that fits."""
    weight = np.arange(300.0).reshape(300, 1)
    ids = np.array([[0, 127], [5, 5]], dtype)
    y, saved = embedding(ids, weight)
    np.testing.assert_array_equal(y[..., 0], ids)
    np.testing.assert_array_equal(np.flatnonzero(embedding_backward(np.ones((2, 2, 1)), saved)), [0, 5, 127])


@pytest.mark.parametrize(("value", "position"), [(7, (1, 2)), (-1, (0, 1)), (2**40, (0, 0))])
def test_id_out_of_range_is_named(value, position):
    """Catches -1 that wraps to the last row, and V that reads what is not the array's."""
    ids = np.zeros((2, 3), np.int64)
    ids[position] = value
    with pytest.raises(ValueError, match=rf"token id {value} at position \({position[0]}, {position[1]}\).* 0\.\.6"):
        embedding(ids, np.zeros((7, 4)))


@pytest.mark.parametrize("ids", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.zeros((2, 3), bool)])
def test_refuses_ids_that_are_not_integers(ids):
    with pytest.raises(TypeError, match="expected integers"):
        embedding(ids, np.zeros((7, 4)))


def test_refuses_a_gradient_of_another_shape():
    _, saved = embedding(np.zeros((2, 3), int), np.zeros((7, 4)))
    with pytest.raises(ValueError, match=r"dy has shape \(2, 3, 5\), expected \(2, 3, 4\)"):
        embedding_backward(np.zeros((2, 3, 5)), saved)


@pytest.mark.parametrize("out", [np.zeros((7, 4), np.float32), np.zeros((7, 4), int)])
def test_refuses_to_add_into_another_dtype(out):
    """Catches digits that are lost, or a gradient that is cut to whole numbers, without a word."""
    _, saved = embedding(np.zeros((2, 3), int), np.zeros((7, 4)))
    with pytest.raises(TypeError, match=f"out is {out.dtype}"):
        embedding_backward(np.ones((2, 3, 4)), saved, out=out)
    assert not out.any()


def test_result_is_not_a_view_of_the_table():
    """Catches a caller's ``y += ...`` that changes the table."""
    weight = np.zeros((7, 4))
    embedding(np.arange(7), weight)[0][...] = 1
    assert not weight.any()
