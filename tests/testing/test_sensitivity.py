"""What size of error the defaults notice, and what must not be taken for one."""

import numpy as np
import pytest
from gradcheck_cases import Scale, X, draw, square, square_backward

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import Dropout, LayerNorm
from tinytx.testing import first_wrong_op, gradcheck, leak_check, padding_check
from tinytx.testing.promises import (
    check_float32_beside_float64,
    check_gradients,
    check_gradients_accumulate,
    check_linear_in_dy,
    check_zero_dy,
)

PAIRS = {
    "square": (square, square_backward),
    "gelu": (ops.gelu, ops.gelu_backward),
    "softmax": (ops.softmax, ops.softmax_backward),
    "exp": (lambda x: (np.exp(x), x), lambda dy, x: dy * np.exp(x)),
}

# ---------------------------------------------------------------------------------------- gradcheck


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("error", "at"), [(1e-9, (1, 2, 3)), (1e-10, ...)], ids=["one entry", "all entries"])
def test_planted_errors_are_noticed(name, error, at):
    """A billionth of one entry of typical size, a ten billionth of all."""
    f, backward = PAIRS[name]

    def planted(dy, saved):
        dx = np.array(backward(dy, saved))
        dx[at] += error * (np.sqrt(np.mean(dx**2)) if at is not ... else dx)
        return dx

    report = gradcheck(f, X, backward=planted)
    assert report.verdict == "FAIL" and (at is ... or report["x"].index == at)
    assert gradcheck(f, X, backward=backward).verdict == "PASS"


@pytest.mark.parametrize("rtol", [0.0, 1e-6])
def test_rtol_is_what_is_let_through_beyond_the_bars(rtol):
    report = gradcheck(square, X, backward=lambda dy, x: 2 * (1 + 1e-7) * dy * x, rtol=rtol)
    assert report.verdict == ("PASS" if rtol else "FAIL")


@pytest.mark.parametrize("difference", [1e-4, 1e-6, 1e-8])
def test_kinks_of_small_angle(difference):
    """Slopes on both sides that differ by 1e-8 of their size make a kink; both are subgradients, others are not."""
    f = lambda x: (np.where(x > 0, (1 + difference) * x, x), x)  # noqa: E731
    x = np.array([0.0, 1.0, -1.0])
    for part, verdict in ((0.0, "KINK"), (0.5, "KINK"), (1.0, "KINK"), (-1.0, "FAIL"), (2.0, "FAIL")):
        backward = lambda dy, x, part=part: dy * (1 + difference * np.where(x == 0, part, x > 0))  # noqa: E731
        assert gradcheck(f, x, backward=backward).verdict == verdict, part


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_parameters_that_are_exactly_0_or_1(value):
    """At a gain of 0 dx is 0 whatever else backward says: parameters are moved away from it."""

    class ForgetsTheGain(Scale):
        def backward(self, dy, tape):
            return super().backward(dy, tape) * (1.0 if value else 3.0) / np.where(value, self.weight.data, 1.0)

    layer = ForgetsTheGain(5)
    layer.weight.data[...] = value
    assert gradcheck(layer, X, randomize=False)
    assert gradcheck(layer, X).verdict == "FAIL"


def test_zeros_among_the_inputs():
    assert gradcheck(ops.gelu, np.zeros((2, 3)), backward=ops.gelu_backward)
    assert gradcheck(ops.gelu, np.zeros((2, 3)), backward=lambda dy, x: dy * (0.5 + 1e-8)).verdict == "FAIL"


# ------------------------------------------------------------------------- shorter numbers, what is not finite


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("where", [slice(None), (0, 1, 2)], ids=["all entries", "one entry"])
@pytest.mark.parametrize("f", [np.sin, np.square])
def test_shorter_numbers_inside_are_no_failure(kind, where, f):
    """A right backward of a forward in float16 or float32 is INCONCLUSIVE at worst; the reason names the precision."""
    slope = {np.sin: np.cos, np.square: lambda x: 2 * x}[f]

    def forward(x):
        y = f(x)
        y[where] = f(x.astype(kind)).astype(float)[where]
        return y, x

    report = gradcheck(forward, X, backward=lambda dy, x: dy * slope(x))
    assert report.verdict in ("PASS", "INCONCLUSIVE")
    assert report.verdict == "PASS" or "inside?" in report["x"].reason
    assert gradcheck(forward, X, backward=lambda dy, x: 1.5 * dy * slope(x)).verdict == "FAIL"


def test_an_input_that_is_only_compared_spoils_no_other():
    """Labels of 1 and -1 as floats: the smallest step changes what they are equal to; x is checked all the same."""
    labels = np.where(draw(2, 3, 5, seed=1) > 0, 1.0, -1.0)
    f = lambda x, y: (np.where(y == 1.0, x * x, np.sin(x)), (x, y))  # noqa: E731
    backward = lambda dy, saved: (dy * np.where(saved[1] == 1, 2 * saved[0], np.cos(saved[0])), 0 * dy)  # noqa: E731
    report = gradcheck(f, X, labels, backward=backward)
    assert report["x"].verdict == "PASS" and report["x"].error < 1e-10
    wrong = lambda dy, saved: (backward(dy, saved)[0] * (1 + 1e-8), 0 * dy)  # noqa: E731
    assert gradcheck(f, X, labels, backward=wrong)["x"].verdict == "FAIL"


def test_an_infinite_entry_spoils_no_other():
    """-inf in a score is a masked key: the finite entries are checked, and their size gives the step."""
    x = X.copy()
    x[0, 0, 1] = -np.inf
    assert gradcheck(ops.softmax, x, backward=ops.softmax_backward)
    wrong = lambda dy, saved: ops.softmax_backward(dy, saved) * (1 + 1e-8)  # noqa: E731
    assert gradcheck(ops.softmax, x, backward=wrong).verdict == "FAIL"
    nothing = gradcheck(ops.softmax, np.full((2, 3), -np.inf), backward=ops.softmax_backward)
    assert nothing.verdict == "INCONCLUSIVE"


def test_outputs_that_are_not_finite_are_left_out():
    """The report says so and is INCONCLUSIVE; but a mistake elsewhere is found."""
    x = np.array([1.0, 0.0, 2.0])
    log = lambda x: (np.log(x), x)  # noqa: E731
    report = gradcheck(log, x, backward=lambda dy, x: dy / x)
    assert report.verdict == "INCONCLUSIVE" and "the output is not finite in 1 entries" in report.reason
    assert gradcheck(log, x, backward=lambda dy, x: 1.1 * dy / x).verdict == "FAIL"


def test_an_exception_at_a_step_means_not_finite_there():
    def root(x):
        if (x < 0.0).any():
            raise ValueError("below 0")
        return np.sqrt(x), x

    backward = lambda dy, x: dy / (2 * np.sqrt(x))  # noqa: E731
    assert gradcheck(root, np.array([0.01, 1.0, 4.0]), backward=backward)
    edge = gradcheck(lambda x: (root(x)[0] ** 2, x), np.array([0.0, 1.0]), backward=lambda dy, x: dy)
    assert edge.verdict == "INCONCLUSIVE" and "it raised ValueError: below 0" in edge["x"].reason
    with pytest.raises(ValueError, match="below 0"):
        gradcheck(root, np.array([-1.0, 1.0]), backward=backward)


# ---------------------------------------------------------------------------------------- the promises


def changed(change):
    """Return a Scale whose dx is changed by a function (dx, dy)."""

    class Changed(Scale):
        def forward(self, x, tape=None):
            y = super().forward(x, tape)
            return y.astype(x.dtype)

        def backward(self, dy, tape):
            return change(super().backward(dy, tape), dy).astype(dy.dtype)

    return Changed(5)


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (check_gradients, lambda dx, dy: dx * (1 + 1e-9)),
        (check_linear_in_dy, lambda dx, dy: dx + 1e-9 * dy**3),
        (check_zero_dy, lambda dx, dy: dx + 1e-300),
        (check_float32_beside_float64, lambda dx, dy: dx * (1 + 3e-3 * (dy.dtype == np.float32))),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_each_promise_notices(check, change):
    check(changed(lambda dx, dy: dx), X)
    with pytest.raises(AssertionError):
        check(changed(change), X)


def test_accumulation_is_exact():
    class LosesABit(Scale):
        def backward(self, dy, tape):
            dx = super().backward(dy, tape)
            self.weight.grad = self.weight.grad * (1 + 1e-13)
            return dx

    with pytest.raises(AssertionError, match="beside twice one"):
        check_gradients_accumulate(LosesABit(5), X)


def test_leak_from_the_last_position():
    """Only the last but one output sees the last input: the smallest leak there can be."""

    class Leaks(Scale):
        def forward(self, x, tape=None):
            y = super().forward(x, tape).copy()
            y[:, -2] += 1e-8 * x[:, -1]
            return y

    with pytest.raises(AssertionError, match="x changed from position 2 on, .*row 0, position 1"):
        leak_check(Leaks(5), X)
    leak_check(Scale(5), X)


class CountsIds(Scale):
    """Ids (B, T) to (B, T, 5); sees the padding by a hair where ``leak`` is not 0."""

    leak = 0.0

    def forward(self, ids, tape=None):
        inside = ids + self.leak * ids.sum(axis=1, keepdims=True)
        return super().forward(np.repeat(inside[..., None].astype(self.weight.data.dtype), 5, axis=2), tape)

    def backward(self, dy, tape):
        super().backward(dy, tape)


def test_padding_check_for_ids():
    """Other ids are put in the padding; an output that sees them by 1e-8 is found."""
    ids = np.random.default_rng(0).integers(1, 9, (3, 4))
    options = {"make_options": lambda lengths, size: {}}
    padding_check(CountsIds(5), ids, [2, 4, 3], **options)
    leaks = CountsIds(5)
    leaks.leak = 1e-8
    with pytest.raises(AssertionError, match="padding filled with other ids: y beside row 0 alone differs"):
        padding_check(leaks, ids, [2, 4, 3], **options)


def test_first_wrong_op_under_dropout(monkeypatch):
    """The masks are those of the seed in every run, so that a small mistake behind dropout is found, and nothing else."""

    class Net(LayerNorm):
        def __init__(self):
            super().__init__(5)
            self.dropout = Dropout(0.4)

        def forward(self, x, tape=None):
            return self.dropout(super().forward(x, tape), tape)

        def backward(self, dy, tape):
            return super().backward(self.dropout.backward(dy, tape), tape)

    assert gradcheck(Net(), X, tape=lambda: Tape(seed=3))
    assert first_wrong_op(Net(), X, seed=3) is None
    right = ops.dropout_backward
    monkeypatch.setattr(ops, "dropout_backward", lambda *arguments, **options: (1 + 1e-8) * right(*arguments, **options))
    found = first_wrong_op(Net(), X, seed=3)
    assert (found.path, found.op) == ("dropout", "dropout")
    assert first_wrong_op(Net(), X) is None  # without a seed nothing is dropped


# ------------------------------------------------------------------------- singularities


@pytest.mark.parametrize("error", [0.0, 1e-10])
def test_entries_near_a_singularity_hide_nothing(error):
    """Their gradients are the largest; the directions through the other entries have short bars."""
    x = np.random.default_rng(3).uniform(-0.999, 0.999, (20, 20))
    report = gradcheck(lambda x: (np.arctanh(x), x), x, backward=lambda dy, x: dy / (1 - x * x) * (1 + error))
    assert report.verdict == ("FAIL" if error else "PASS")


@pytest.mark.parametrize("error", [0.0, 1e-10])
@pytest.mark.parametrize("seed", [4, 7, 12, 18])
def test_a_pole_is_not_taken_for_noise_everywhere(seed, error):
    """What is smooth but steep looks like noise to the steps that measure it: at the entry near the pole, nowhere else."""
    x = np.random.default_rng(seed).normal(size=(5, 5))
    report = gradcheck(lambda x: (1 / x, x), x, backward=lambda dy, x: -dy / (x * x) * (1 + error))
    assert report.verdict == ("FAIL" if error else "PASS")
