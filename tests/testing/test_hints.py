"""What a wrong gradient's pattern is called."""

import numpy as np
import pytest

from tinytx.testing import gradcheck
from tinytx.testing.hints import hint

N = np.random.default_rng(0).normal(size=(3, 4, 5))  # the right gradient
SIZES = (3, 4, 5, 7)


def say(analytic, numeric=N, sizes=SIZES):
    wrong = ~np.isclose(analytic, numeric, rtol=1e-9, atol=0)
    return hint(analytic, numeric, wrong, sizes)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, "a factor 2 too many"),
        (0.5, "a factor 2 is missing"),
        (-1.0, "the sign"),
        (1 / 3, "a factor 3, a size of this problem is missing"),
        (7.0, "a factor 7, a size of this problem too many"),
        (np.sqrt(5), "a factor sqrt(5), a size of this problem too many"),
        (1 / np.sqrt(7), "a factor sqrt(7), a size of this problem is missing"),
        (1 / 12, "a factor 12 = 3 x 4, sizes of this problem is missing"),
        (0.9, "analytic = 0.9 x numeric"),
        (-2.0, "analytic = -2 x numeric"),
    ],
)
def test_factor(factor, expected):
    """2, 1/B, 1/sqrt(d), -1: the factors that get lost, named by the sizes that occur."""
    assert "a constant factor" in say(factor * N) and expected in say(factor * N)


def test_a_size_is_named_before_a_root():
    """2 is sqrt(4), too; what is likelier comes first."""
    assert "sqrt" not in say(2 * N, sizes=(3, 4)) and "2, a size" in say(2 * N, sizes=(2, 4))


def test_transposed():
    square = N[:, :3, 0]
    assert "transposed" in say(square.T, square) and "(1, 0)" in say(square.T, square)
    assert "without moving the axes back" in say(N.transpose(1, 0, 2).reshape(N.shape))
    assert "wrong places" in say(np.roll(N, 1, axis=1))


def test_missing_reduction():
    """What is off by something constant along an axis, or by a factor for each slice."""
    assert "constant along axis 2" in say(N + N.mean(axis=2, keepdims=True))
    assert "axis 1" in say(N - N.sum(axis=1, keepdims=True))
    assert "a factor that is constant along axis 2" in say(N * np.arange(2, 6)[:, None])


def test_all_zero():
    assert "all zero" in say(0 * N)


def test_not_finite():
    assert "not finite" in say(np.where(N > 1, np.nan, N))


@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-8])
def test_nearly_right(error):
    """An eps left out, a constant cut short."""
    assert "right to" in say(N + error * np.sin(N))


def test_only_the_last_position():
    analytic = N.copy()
    analytic[:, -1] += 1 + np.random.default_rng(1).random((3, 5))
    assert "only the last position of axis 1" in say(analytic)


def test_only_some_positions():
    analytic = N.copy()
    analytic[1, :, 2] += 1 + np.arange(4)
    assert "only index 1 of axis 0" in say(analytic)


def test_most_positions_are_not_listed():
    """"Only index 0, 1, 3" would send the reader to the wrong place."""
    analytic = N.copy()
    analytic[:2] += np.random.default_rng(1).normal(size=(2, 4, 5)) * (np.arange(5) != 1) * (np.arange(4) != 2)[:, None]
    assert "of 60 entries are wrong" in say(analytic)


def test_sampled_entries():
    """Where few entries are known, what needs all of them is not claimed."""
    numeric = np.where(np.arange(60).reshape(N.shape) % 7, np.nan, N)
    wrong = np.isfinite(numeric)
    assert "a constant factor: analytic = 3 x" in hint(3 * N, numeric, wrong, SIZES)
    assert hint(N.transpose(1, 0, 2).reshape(N.shape), numeric, wrong, SIZES) == ""


def test_nothing_wrong():
    assert say(N) == ""


def test_no_pattern():
    """Better no hint than a wrong one."""
    assert say(np.random.default_rng(1).normal(size=N.shape)) == ""


class TestTermsOfANormalisation:
    """What is left where a statistic is taken for a constant: a multiple of the input or the output in each row."""

    x = np.random.default_rng(2).normal(size=N.shape)
    weights = np.random.default_rng(3).normal(size=(3, 4, 1))

    def say(self, difference):
        return hint(N + difference, N, np.ones(N.shape, bool), SIZES, {"x": self.x, "the output": self.x**3})

    def test_a_multiple_of_the_input(self):
        assert "a multiple of x in each row along axis 2: a term of a norm" in self.say(self.weights * self.x)

    def test_a_multiple_of_the_output(self):
        assert "a multiple of the output in each row along axis 2" in self.say(self.weights * self.x**3)

    def test_a_multiple_and_a_constant(self):
        found = self.say(self.weights * self.x - self.weights**2)
        assert "a multiple of x, and a constant, in each row along axis 2" in found and "detached" in found

    def test_along_another_axis(self):
        assert "a multiple of x in each row along axis 1" in self.say(self.weights[:, :1] * self.x * (1 + np.arange(5)))

    def test_another_multiple_for_each_entry(self):
        assert "multiple" not in self.say(np.sin(7 * self.x) * self.x)

    def test_rows_of_which_an_entry_is_not_known(self):
        """They are left out; where no row is whole, nothing is claimed."""
        numeric, like = N.copy(), {"x": self.x}
        numeric[0, 0, 0] = np.nan
        wrong = np.isfinite(numeric)
        assert "a multiple of x in each row" in hint(N + self.weights * self.x, numeric, wrong, SIZES, like)
        numeric[..., 0] = numeric[:, 0] = numeric[0] = np.nan
        assert "multiple" not in hint(N + self.weights * self.x, numeric, np.isfinite(numeric), SIZES, like)


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return weight * centred * r + bias, (centred * r, r, weight)


@pytest.mark.parametrize(
    ("mean", "variance", "says"),
    [
        (0, 1, "constant along axis 2: a missing reduction (sum or mean) over it, such as the derivative of a mean"),
        (1, 0, "off by a multiple of x, and a constant, in each row along axis 2: terms of a normalisation"),
        (0, 0, "as if its variance, or its mean and variance, were constant (detached)"),
    ],
)
def test_a_detached_statistic_of_a_layer_norm(mean, variance, says):
    def backward(dy, saved):
        normed, r, weight = saved
        g = dy * weight
        dx = g - mean * g.mean(-1, keepdims=True) - variance * normed * (g * normed).mean(-1, keepdims=True)
        return r * dx, (dy * normed).sum(axis=(0, 1)), dy.sum(axis=(0, 1))

    report = gradcheck(layer_norm, N, N[0, 0], N[0, 1], backward=backward)
    assert says in report["x"].hint and report["weight"].verdict == report["bias"].verdict == "PASS"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (lambda t: t[0].sum(axis=0), "it adds, of axis 0 of the output, index 1, 2: 0 times"),
        (lambda t: t[:, :-1].sum(axis=(0, 1)), "it adds, of axis 1 of the output, index 3: 0 times"),
        (lambda t: t.sum(axis=(0, 1)) + t[1].sum(axis=0), "it adds, of axis 0 of the output, index 1: 2 times"),
    ],
)
def test_a_sum_over_some_rows_only(rows, says):
    scale = lambda x, weight: (x * weight, (x, weight))  # noqa: E731
    report = gradcheck(scale, N, N[0, 0], backward=lambda dy, saved: (dy * saved[1], rows(dy * saved[0])))
    assert says in report["weight"].hint and report["x"].verdict == "PASS"


def test_a_gradient_that_is_no_sum_of_rows():
    scale = lambda x, weight: (x * weight, (x, weight))  # noqa: E731
    wrong = lambda dy, saved: (dy * saved[1], np.sin(9 * (dy * saved[0]).sum(axis=(0, 1))))  # noqa: E731
    report = gradcheck(scale, N, N[0, 0], backward=wrong)
    assert report["weight"].verdict == "FAIL" and "rows" not in report["weight"].hint
