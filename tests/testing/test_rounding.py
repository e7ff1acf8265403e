"""What is measured before anything is compared: how exact forward and backward are."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.testing.numeric import EPS
from tinytx.testing.problem import make_problem
from tinytx.testing.rounding import backward_wobble, forward_noise

X = np.random.default_rng(0).normal(size=(3, 5))
DY = [np.random.default_rng(1).normal(size=(3, 5))]


def problem(f, backward=lambda dy, saved: dy):
    return make_problem(f, (X,), backward, None)


@pytest.mark.parametrize("f", [ops.gelu, ops.softmax, lambda x: (np.exp(20 * x), x)])
def test_a_forward_in_float64(f):
    """A few roundings, also where the function is steep."""
    assert 4 * EPS <= forward_noise(problem(f), DY, np.random.default_rng(2))["x"] <= 300 * EPS


def test_a_forward_in_float32():
    single = problem(lambda x: (np.tanh(x.astype(np.float32)).astype(float), x))
    assert 1e-9 < forward_noise(single, DY, np.random.default_rng(2))["x"] < 1e-6


def test_large_terms_that_cancel_inside():
    """The outputs do not show them; their rounding does."""
    hidden = problem(lambda x: ((x + 1e6) - 1e6, x))
    assert 1e-12 < forward_noise(hidden, DY, np.random.default_rng(2))["x"] < 1e-8


def test_wobble():
    """A stable backward moves by its last digits, an ill-conditioned one by more; None does not move."""
    cases = [(lambda dy, x: 2 * dy * x, 0, 1e-14), (lambda dy, x: 1e9 * ((x * 0.7) / 0.7 - x), 1e-9, 1e-5)]
    for backward, low, high in cases:
        found = problem(lambda x: (x * x, x), backward)
        wobble = backward_wobble(found, DY, found.gradients(DY), np.random.default_rng(2))
        assert low <= wobble["x"] <= high
    nothing = problem(lambda x: (x, x), lambda dy, x: None)
    assert backward_wobble(nothing, DY, {"x": None}, np.random.default_rng(2)) == {"x": 0.0}


def test_tensors_are_put_back():
    """To the bit; and dy is left alone by a backward that writes to it."""

    def backward(dy, x):
        dy *= 0
        return dy

    found, dy = problem(lambda x: (x * x, x), backward), [DY[0].copy()]
    forward_noise(found, dy, np.random.default_rng(2))
    backward_wobble(found, dy, {"x": X}, np.random.default_rng(2))
    assert np.array_equal(found.tensors["x"], X) and np.array_equal(dy[0], DY[0])
