"""Maxout: ties, numbers that are not numbers, and rows that have no pairs."""

import numpy as np
import pytest

from tinytx.ops import maxout, maxout_backward, plain

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("pair", "y", "dx"),
    [
        ((1, 3), 3, (0, 5)),
        ((3, 1), 3, (5, 0)),
        ((2, 2), 2, (5, 0)),
        ((0.0, -0.0), 0, (5, 0)),
        ((-0.0, 0.0), 0, (5, 0)),
        ((-INF, INF), INF, (0, 5)),
        ((NAN, 1), NAN, (5, 0)),
        ((1, NAN), NAN, (0, 5)),
        ((NAN, NAN), NAN, (5, 0)),
    ],
)
def test_which_of_two_is_taken(pair, y, dx):
    """Catches a tie whose gradient goes to both, or to none, and a NaN that goes under."""
    for forward, backward in ((maxout, maxout_backward), (plain.maxout, plain.maxout_backward)):
        actual, saved = forward(np.array([pair], float))
        np.testing.assert_array_equal(actual, [[y]])
        assert backward(np.array([[5.0]]), saved).tolist() == [[*dx]]


def test_backward_decides_as_forward_did():
    """Also where x was changed in between: what is kept is the choice, a byte for each pair, and not x."""
    x = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)
    y, saved = maxout(x)
    assert saved.second.dtype == bool and saved.second.nbytes == y.size
    x[...] = -x
    dx = maxout_backward(np.ones_like(y), saved)
    np.testing.assert_array_equal((dx * -x).reshape(3, 5, 2).sum(axis=-1), y)


def test_rows_without_pairs_are_refused():
    for x in (np.ones((2, 3)), np.array(1.0)):
        with pytest.raises(ValueError, match=r"maxout: x has shape .*, expected \(\.\.\., 2 L\)"):
            maxout(x)
    y, saved = maxout(np.ones((2, 0)))
    assert y.shape == maxout_backward(y, saved).shape == (2, 0)
    y, saved = maxout(np.array([1.0, 2.0]))
    assert y.tolist() == [2] and maxout_backward(y, saved).tolist() == [0, 2]
