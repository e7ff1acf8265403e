"""Pooling: padding that counts for nothing, ties, rows without a word, and the example of the page."""

import numpy as np
import pytest

from tinytx.ops import pool, pool_backward

COLUMN = np.array([4.0, 1, 4, 9]).reshape(1, 4, 1)  # the last is padding
MASK = np.array([[True, True, True, False]])


@pytest.mark.parametrize(
    ("kind", "y", "dx"),
    [("mean", 3, [2, 2, 2, 0]), ("max", 4, [6, 0, 0, 0]), ("first", 4, [6, 0, 0, 0]), ("last", 4, [0, 0, 6, 0])],
)
def test_the_example_of_the_page(kind, y, dx):
    """Catches a maximum that both tied positions get, a mean over padding, and the last position of all."""
    actual, saved = pool(COLUMN, [kind], mask=MASK)
    assert actual.tolist() == [[y]]
    assert pool_backward(np.array([[6.0]]), saved).reshape(-1).tolist() == dx


def test_at_a_tie_the_gradient_is_a_subgradient():
    """The maximum lies nowhere below the plane through the tie that the gradient describes."""
    rng = np.random.default_rng(0)
    x = np.zeros((1, 5, 1))
    y, saved = pool(x, ["max"])
    dx = pool_backward(np.ones((1, 1)), saved)
    assert dx.sum() == 1 and (dx >= 0).all()
    for _ in range(50):
        v = rng.normal(size=x.shape)
        assert pool(x + v, ["max"])[0] >= y + (dx * v).sum()


@pytest.mark.parametrize("kind", ["first", "last", "max", "mean"])
@pytest.mark.parametrize("padding", [0.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_padding_holds_is_never_read(kind, padding):
    """Catches 0 times NaN; gradients are those of the sequence without its padding."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 3))
    mask = np.array([[True, False, True, True, False], [False, True, False, False, True]])
    x[~mask] = padding
    y, saved = pool(x, [kind], mask=mask)
    dx = pool_backward(dy, saved)
    assert not dx[~mask].any()
    for row in range(2):
        expected, alone = pool(x[row, mask[row]][None], [kind])
        np.testing.assert_array_equal(y[[row]], expected)
        np.testing.assert_array_equal(dx[row, mask[row]], pool_backward(dy[[row]], alone)[0])


def test_a_sequence_without_a_word_gives_0():
    """Catches 0/0, and position -1, which is the last."""
    x, mask = np.ones((2, 3, 2), np.float32), np.array([[False] * 3, [True] * 3])
    for shape in ((2, 3, 2), (2, 0, 2), (0, 3, 2), (2, 3, 0)):
        empty = np.ones(shape, np.float32)
        y, saved = pool(empty, ["first", "last", "max", "mean"], mask=np.zeros(shape[:2], bool))
        assert y.shape == (shape[0], 4 * shape[2]) and y.dtype == np.float32 and not y.any()
        dx = pool_backward(np.ones_like(y), saved)
        assert dx.shape == shape and not dx.any()
    y, saved = pool(x, ["last", "mean"], mask=mask)
    assert y.tolist() == [[0] * 4, [1] * 4]
    assert pool_backward(np.ones_like(y), saved)[0].tolist() == [[0] * 2] * 3


def test_not_a_number_is_the_maximum():
    """Catches a comparison that NaN always loses: a model that has gone wrong must not look sound."""
    for x in ([1, np.nan, 2], [np.nan, 1, 2], [1, 2, np.nan]):
        y, saved = pool(np.array(x).reshape(1, 3, 1), ["max"])
        assert np.isnan(y).all()
        assert pool_backward(np.ones((1, 1)), saved)[0, :, 0].tolist() == np.isnan(x).tolist()


def test_kinds_in_their_order():
    rng = np.random.default_rng(0)
    x, kinds = rng.normal(size=(2, 4, 3)), ("mean", "first", "max", "last", "mean")
    y, _ = pool(x, kinds)
    np.testing.assert_allclose(y, np.concatenate([x.mean(1), x[:, 0], x.max(1), x[:, -1], x.mean(1)], axis=1), rtol=1e-15)
