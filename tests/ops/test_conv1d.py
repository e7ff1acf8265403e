"""Convolution along a sequence: what each output reads, and what is refused. Its gradients are in test_properties_of_ops.py."""

import re

import numpy as np
import pytest

from tinytx import ops

X, W = np.arange(1.0, 7).reshape(1, 6, 1), np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [321, 432, 543, 654]),
        ({"left": 2}, [100, 210, 321, 432, 543, 654]),
        ({"left": 1, "right": 1}, [210, 321, 432, 543, 654, 65]),
        ({"step": 2}, [321, 543]),
        ({"step": 3}, [321, 654]),
        ({"step": 9}, [321]),
        ({"distance": 2}, [531, 642]),
        ({"distance": 2, "left": 4}, [100, 200, 310, 420, 531, 642]),
    ],
)
def test_each_output_reads_what_it_should(options, expected):
    """By hand: catches a sequence turned around, zeros at the wrong end, an output too few, distance in place of step."""
    y, _ = ops.conv1d(X, W, **options)
    assert y.ravel().tolist() == expected


def test_zeros_in_front_alone_keep_the_future_out():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 7, 3)), rng.normal(size=(3, 3, 4))
    other = x.copy()
    other[:, 4:] = 0
    y, changed = (ops.conv1d(each, weight, left=2)[0] for each in (x, other))
    np.testing.assert_array_equal(y[:, :4], changed[:, :4])
    assert y.shape == (2, 7, 4) and (y[:, 4:] != changed[:, 4:]).all()


@pytest.mark.parametrize(
    ("x", "weight", "message"),
    [
        (X[0], W, "conv1d: x has shape (6, 1), expected (B, T, I)"),
        (X, W[0], "conv1d: weight has shape (1, 1), expected (K, I, O)"),
        (X, np.ones((3, 2, 4)), "conv1d: weight has shape (3, 2, 4), expected (3, 1, 4) from x of shape (1, 6, 1)"),
        (X[:, :2], W, "has 2 positions with the zeros at its ends, expected at least 3 for weight of shape (3, 1, 1)"),
        (X, W[:0], "weight of shape (0, 1, 1), of which K is at least 1"),
    ],
)
def test_refused(x, weight, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.conv1d(x, weight)
