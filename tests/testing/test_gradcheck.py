"""gradcheck: each verdict is reached and right, in each mode, for pairs of functions and for layers."""

import math

import numpy as np
import pytest
from gradcheck_cases import X, draw, rng, square, square_backward

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import Dropout, FeedForward, MultiHeadAttention
from tinytx.testing import gradcheck

# ---------------------------------------------------------------------------------------- verdicts


def test_pass():
    report = gradcheck(square, X, backward=square_backward, mode="full")
    assert report and report.verdict == "PASS"
    x = report["x"]
    assert x.checked == X.size and x.shape == X.shape and x.hint == x.reason == ""
    assert math.isclose(x.analytic, x.numeric, rel_tol=1e-9) and x.error < 1e-9


def test_fail():
    """With the worst entry, both numbers, their ratio and a hint."""
    report = gradcheck(square, X, backward=lambda dy, x: 3 * dy * x)
    x = report["x"]
    assert not report and report.verdict == x.verdict == "FAIL"
    assert np.abs(X[x.index]) == np.abs(X).max()
    assert math.isclose(x.ratio, 1.5) and "analytic = 1.5 x numeric" in x.hint
    with pytest.raises(AssertionError, match="1.5"):
        report.raise_for_failure()


@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e4])
def test_small_gradients_are_checked_as_large_ones_are(size):
    """No absolute tolerance: a gradient of 1e-8 that is off by a thousandth is wrong."""
    f = lambda x: (size * np.sin(x), x)  # noqa: E731
    assert gradcheck(f, X, backward=lambda dy, x: size * dy * np.cos(x))
    assert gradcheck(f, X, backward=lambda dy, x: 1.001 * size * dy * np.cos(x)).verdict == "FAIL"


def test_one_small_entry_among_large_ones():
    """An error of a millionth of the typical entry is seen in an entry that is itself small."""
    wrong = lambda dy, x: 2 * dy * x + 1e-6 * (np.arange(x.size).reshape(x.shape) == 7)  # noqa: E731
    report = gradcheck(square, X, backward=wrong)
    assert report.verdict == "FAIL" and report["x"].index == (0, 1, 2) and "1 of 30 entries" in report["x"].reason


@pytest.mark.parametrize("made_of_dy", [np.abs, np.sign, np.square, np.flip, lambda dy: np.full_like(dy, dy.mean())])
@pytest.mark.parametrize("mode", ["full", "directional"])
def test_dy_differs_in_sign_and_size_from_entry_to_entry(mode, made_of_dy):
    """Catches weights of the outputs that are all positive, or of one size: the backward takes something else for dy."""
    report = gradcheck(square, X, backward=lambda dy, x: 2 * made_of_dy(dy) * x, mode=mode)
    assert report.verdict == "FAIL"


class TestKink:
    """relu at 0, where slopes from 0 to 1 are subgradients."""

    x = np.array([[0.5, 0.0, -1.0], [2.0, -0.3, 0.0]])

    @pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
    def test_a_subgradient(self, slope):
        backward = lambda dy, y: dy * np.where(self.x == 0, slope, self.x > 0)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward)
        assert report.verdict == "KINK" and not report
        assert "2 of 6 entries are at a kink" in report["x"].reason and "0 on " in report["x"].reason
        assert gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)

    @pytest.mark.parametrize("slope", [-0.1, 1.1])
    def test_no_subgradient(self, slope):
        backward = lambda dy, y: dy * np.where(self.x == 0, slope, self.x > 0)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)
        assert report.verdict == "FAIL" and self.x[report["x"].index] == 0

    def test_a_mistake_elsewhere(self):
        """A kink does not hide a wrong entry."""
        backward = lambda dy, y: dy * (self.x > 0) * np.where(self.x == 2, 1 + 1e-6, 1)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)
        assert report.verdict == "FAIL" and report["x"].index == (1, 0)

    @pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7])
    def test_near_a_kink(self, distance):
        """Smaller steps find the slope on the side that x is on."""
        x = np.array([1.0, distance, -distance])
        assert gradcheck(ops.relu, x, backward=ops.relu_backward)
        assert gradcheck(ops.relu, x, backward=lambda dy, y: dy * (x > -2 * distance)).verdict == "FAIL"

    def test_all_at_a_kink(self):
        """More entries than are looked at closely one by one: no FAIL by exhaustion."""
        assert gradcheck(ops.relu, np.zeros((7, 9)), backward=ops.relu_backward).verdict == "KINK"

    @pytest.mark.parametrize("mode", ["directional", "auto"])
    def test_directions_through_kinks(self, mode):
        """A direction takes one kink's left slope and another's right one: they are left out, the rest is checked."""
        x = draw(30, 20)
        x[::3, ::4] = 0
        assert gradcheck(ops.relu, x, backward=ops.relu_backward, mode=mode).verdict == "KINK"
        wrong = lambda dy, y: dy * (x > 0) * (1 + 1e-4 * (x == x[10, 13]))  # noqa: E731
        x[10, 13] = 1.3
        report = gradcheck(ops.relu, x, backward=wrong, mode=mode, accept_kinks=True)
        assert report.verdict == "FAIL" and report["x"].index == (10, 13)

    def test_inside_a_layer(self):
        """relu's kinks inside a feed-forward layer are seen from the parameters before it; x has no weight there."""
        layer = FeedForward(4, 6, activation="relu", rng=rng())
        layer.expand.weight.data[:, 2] = 0
        report = gradcheck(layer, draw(1, 1, 4), randomize=False)
        kinks = [tensor.name for tensor in report.tensors if tensor.verdict == "KINK"]
        assert kinks == ["expand.weight", "expand.bias"]
        assert report.verdict == "KINK" and report["expand.weight"].index[1] == 2


class TestInconclusive:
    def test_float32_inside(self):
        """The reason names it. What is further off than that noise is wrong all the same."""
        f = lambda x: (np.sin(x.astype(np.float32)).astype(float), x)  # noqa: E731
        report = gradcheck(f, X, backward=lambda dy, x: dy * np.cos(x))
        assert report.verdict == "INCONCLUSIVE" and not report
        assert "float32 inside" in report["x"].reason
        assert gradcheck(f, X, backward=lambda dy, x: 1.01 * dy * np.cos(x)).verdict == "FAIL"

    def test_unseeded_randomness(self):
        noise = rng()
        report = gradcheck(lambda x: (x * noise.normal(size=x.shape), x), X, backward=square_backward)
        assert report.verdict == "INCONCLUSIVE" and "two forwards of the same input differ" in report.reason

    @pytest.mark.parametrize("fault", ["random", "not finite"])
    def test_one_of_two_outputs_is_enough(self, fault):
        """Catches a look at the first output only."""
        noise = rng()
        second = (lambda x: noise.normal(size=x.shape)) if fault == "random" else (lambda x: x / 0)
        report = gradcheck(lambda x: ((x, second(x)), x), X, backward=lambda dy, x: dy[0])
        says = "two forwards of the same input differ" if fault == "random" else "not finite"
        assert report.verdict == "INCONCLUSIVE" and says in report.reason

    def test_dropout_with_a_seed_is_no_randomness(self):
        assert gradcheck(Dropout(0.5), X, tape=lambda: Tape(seed=3))

    def test_output_not_finite(self):
        report = gradcheck(lambda x: (np.log(x), x), np.array([1.0, 0.0]), backward=lambda dy, x: dy / x)
        assert report.verdict == "INCONCLUSIVE" and "not finite" in report.reason

    def test_surroundings_not_finite(self):
        """Finite at x, on one side of it only."""
        f = lambda x: (np.where(x > 1, np.nan, x), x)  # noqa: E731
        report = gradcheck(f, np.array([1.0, 0.5]), backward=lambda dy, x: dy)
        assert report.verdict == "INCONCLUSIVE" and "not finite" in report["x"].reason

    def test_gradient_not_finite(self):
        """The forward is fine: that is wrong, and no matter of precision."""
        report = gradcheck(square, X, backward=lambda dy, x: np.where(x > 1, np.inf, 2 * dy * x))
        assert report.verdict == "FAIL" and "not finite" in report["x"].hint

    def test_an_ill_conditioned_backward(self):
        """Its own rounding is larger than what there is to see, and the reason says so: the forward is exact."""
        rounding = lambda x: 1e12 * ((x * 0.7) / 0.7 - x)  # noqa: E731
        report = gradcheck(square, X, backward=lambda dy, x: 2 * dy * x + rounding(x))
        assert report.verdict == "INCONCLUSIVE" and "rounded anew" in report["x"].reason
        assert gradcheck(square, X, backward=lambda dy, x: 2.1 * dy * x + rounding(x)).verdict == "FAIL"

    def test_too_steep(self):
        """A slope that changes within 1e-12 of the variable's size cannot be measured."""
        f = lambda x: (np.tanh(1e12 * (x - 0.7)), x)  # noqa: E731
        report = gradcheck(f, np.array([0.7]), backward=lambda dy, x: 1e12 * dy)
        assert report.verdict == "INCONCLUSIVE" and "rounding hides it" in report["x"].reason


@pytest.mark.parametrize("size", [10.0, 1e3, 1e5])
def test_a_saturated_softmax(size):
    """Scores up to 1e9: the gradient is next to 0 or concentrated in few entries; it is right, and never a FAIL."""
    q, k, v = size * draw(1, 3, 6, 5), size * draw(1, 3, 7, 5), draw(1, 3, 7, 5, seed=1)
    assert gradcheck(ops.attention, q, k, v, backward=ops.attention_backward).verdict in ("PASS", "INCONCLUSIVE")


def test_a_zero_gradient_is_right():
    """A key's bias shifts all scores alike: its gradient is rounding error, and its quotient says nothing."""
    report = gradcheck(MultiHeadAttention(6, 2, rng=rng()), draw(2, 3, 6))
    assert report and report["key.bias"].norm < 1e-12


# ---------------------------------------------------------------------------------------- modes


BIG = np.random.default_rng(3).normal(size=(37, 41))


def planted(error):
    """Return a backward of square that is wrong at (20, 17)."""

    def backward(dy, x):
        dx = 2 * dy * x
        dx[20, 17] += error
        return dx

    return backward


@pytest.mark.parametrize("mode", ["auto", "full", "sampled", "directional"])
def test_modes_pass(mode):
    report = gradcheck(square, BIG, backward=square_backward, mode=mode)
    assert report and report.mode == {"auto": "directions, and entries in doubt"}.get(mode, mode)
    assert report["x"].checked == {"full": BIG.size, "sampled": 48, "directional": 3, "auto": 3}[mode]


@pytest.mark.parametrize("mode", ["auto", "full", "directional"])
@pytest.mark.parametrize("error", [1.0, 1e-5])
def test_modes_find_one_wrong_entry(mode, error):
    """Directions bisect to it."""
    report = gradcheck(square, BIG, backward=planted(error), mode=mode)
    assert report.verdict == "FAIL" and report["x"].index == (20, 17)
    assert math.isclose(report["x"].analytic - report["x"].numeric, error, rel_tol=1e-3)


@pytest.mark.parametrize("at", [0, -1])
def test_the_ends_are_always_sampled(at):
    """Catches samples without the last entry, where masks and ranges go wrong first."""
    x = np.linspace(0.5, 2.0, 600)
    x[[0, 5, 9, -1]] = 1.25, 0.5, 2.0, 1.25  # neither end has the largest or the smallest gradient

    def backward(dy, x):
        dx = 2 * dy * x
        dx[at] *= 1.001
        return dx

    report = gradcheck(square, x, backward=backward, mode="sampled", samples=6)
    assert report.verdict == "FAIL" and report["x"].index == (at % 600,)


def test_samples_alone_miss_one_entry():
    """They are for mistakes that are everywhere; the ends and the largest gradients are always among them."""
    assert gradcheck(square, BIG, backward=planted(1e-3), mode="sampled")
    last = lambda dy, x: 2 * dy * x + (np.arange(x.size).reshape(x.shape) == x.size - 1)  # noqa: E731
    assert gradcheck(square, BIG, backward=last, mode="sampled")["x"].index == (36, 40)


def test_another_seed_checks_the_same():
    assert all(gradcheck(ops.gelu, X, backward=ops.gelu_backward, seed=seed) for seed in range(5))


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'quick', expected one of auto, full"):
        gradcheck(square, X, backward=square_backward, mode="quick")
