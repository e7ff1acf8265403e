"""Properties that every operation and every layer must have, whatever it computes.

A property is a function of a case (`cases.OpCase`, `cases.LayerCase`) and of a generator, which draws cotangents and
directions; it raises AssertionError where the case does not have it::

    for check in PROPERTIES:
        check(case, rng)
"""

import functools
import math

import numpy as np
import pytest
from cases import arrays_in, cast, locked, signs

from tinytx.core import Tape
from tinytx.layers import Embedding
from tinytx.testing.numeric import derivative, rounding_noise

RTOL = 1e-9  # of an analytic derivative, beside three error bars
FEW = 6  # halvings of the step that most derivatives need
BLUR = 1e-7  # the largest error bar that still says something, relative to what it is an error of
FLOAT32 = 2e-5  # how far a float32 gradient may be from the float64 one
SAME = 1e-12  # two orders of summation, in float64


def cotangent(case, rng):
    return signs(rng, case.forward(case.arrays)[0].shape)


def assert_same(actual, expected, what, rtol=0.0):
    """Same names, same shapes, same values: to the bit, or to ``rtol`` of the largest value of all."""
    largest = max((np.abs(value).max(initial=0.0) for value in expected.values()), default=0.0)
    assert actual.keys() == expected.keys(), f"{what}: gradients of {set(actual)}, expected of {set(expected)}"
    for name, value in expected.items():
        assert actual[name].shape == value.shape, f"{what}: {name} has shape {actual[name].shape}, not {value.shape}"
        limit = rtol * largest
        error = np.abs(actual[name] - value).max(initial=0.0)
        assert error <= limit, f"{what}: {name} is off by {error:.3g}, allowed {limit:.3g}"


# ---------------------------------------------------------------------------------------- properties


def check_gradient(case, rng):
    """Every gradient is the derivative along a random direction: what the whole suite is about.

    No entry of a direction is small: one wrong entry of the gradient shows with half of its error or more. Analytic a
    and numeric n must agree to RTOL of the largest of |a|, |n| and the gradient's own norm (what a typical direction
    would show), plus three error bars; a bar too long to tell right from wrong is a fault of the case. Returns the
    largest error in units of what is allowed.
    """
    dy, worst = cotangent(case, rng), 0.0
    gradients = case.gradient(case.arrays, dy)
    for name, array in case.arrays.items():
        direction = signs(rng, array.shape)
        a = float(np.sum(gradients[name] * direction))
        norm = float(np.linalg.norm(gradients[name]))
        n, size = _slope(case, name, direction, dy, RTOL / 30 * max(abs(a), norm))
        scale = max(abs(a), abs(n.value), norm)
        allowed = RTOL * scale + 3 * n.error
        facts = f"{name} {array.shape}: analytic {a:.12g}, numeric {n.value:.12g} +- {n.error:.2g}"
        assert 3 * n.error <= BLUR * max(scale, 1e-3 * size), f"INCONCLUSIVE, {facts}, gradient's norm {scale:.2g}"
        assert abs(a - n.value) <= allowed, f"{facts}, ratio {a / (n.value or math.nan):.9g}"
        worst = max(worst, abs(a - n.value) / allowed if allowed else 0.0)
    return worst


def check_loss_gradient(model, loss, gradients, step):
    """Every gradient of a model's loss is the derivative along a random direction, by one central difference.

    Parameters
    ----------
    model : Task
        In float64.
    loss : function () -> float
        Of the model, with the dropout that the gradients had.
    gradients : dict of str to array
        By parameter.
    step : float
    """
    rng = np.random.default_rng(0)
    for path, parameter in model.named_parameters():
        direction, before, losses = rng.normal(size=parameter.data.shape), parameter.data, []
        for sign in (1, -1):
            parameter.data = before + sign * step * direction
            losses.append(loss())
        parameter.data = before
        numeric, analytic = (losses[0] - losses[1]) / (2 * step), (gradients[path] * direction).sum()
        assert abs(numeric - analytic) < 1e-7 * max(1, np.linalg.norm(gradients[path])), path


def _slope(case, name, direction, dy, small):
    """Return the derivative of sum(dy y) when one array moves along a direction, and the terms' size by array's RMS.

    Six halvings of the step take two thirds of the time of ten. They are enough where the error bar is ``small`` by then.
    """
    array = case.arrays[name]
    rms = math.sqrt(np.mean(array**2))

    @functools.cache
    def f(step):
        terms = dy * case.forward(case.arrays | {name: array + step * direction})[0]
        return float(np.sum(terms)), float(np.sum(np.abs(terms)))

    h0 = case.reach * rms
    noise = rounding_noise(f, 1e-6 * h0)  # measured: where terms inside the forward cancel, it is more than the output's
    middle, size = f(0.0)
    n = derivative(f, h0, halvings=FEW, noise=noise, middle=middle)
    return n if n.error <= small else derivative(f, h0, noise=noise, middle=middle), size / rms


def check_linear(case, rng):
    """A backward is linear in dy, and exactly 0 at dy = 0: catches a dy that is squared, clipped or forgotten."""
    one, two = cotangent(case, rng), cotangent(case, rng)
    first, second = case.gradient(case.arrays, one), case.gradient(case.arrays, two)
    combined = {name: 2.5 * first[name] - second[name] for name in first}
    size = {name: 2.5 * np.abs(first[name]).max(initial=0) + np.abs(second[name]).max(initial=0) for name in first}
    for name, gradient in case.gradient(case.arrays, 2.5 * one - two).items():
        error = np.abs(gradient - combined[name]).max(initial=0)
        assert error <= SAME * (size[name] + max(size.values())), f"{name} is not linear in dy: off by {error:.3g}"
    for name, gradient in case.gradient(case.arrays, np.zeros_like(one)).items():
        assert not gradient.any(), f"{name} is not 0 where dy is"


def check_unmodified(case, rng):
    """Arguments, parameters, dy and what was saved are never written to: catches ``dy *= mask``."""
    arrays = {name: locked(array) for name, array in case.arrays.items()}
    y, saved = case.forward(arrays)
    kept, y_before = [array.copy() for array in arrays_in(saved)], y.copy()
    kept_arrays = list(arrays_in(saved))
    case.backward(locked(signs(rng, y.shape)), saved)
    for array, before in zip(kept_arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before, "backward wrote to what forward saved")
    np.testing.assert_array_equal(y, y_before, "backward wrote to y")


def check_dtype(case, rng):
    """What comes in goes out: catches ``x32 * np.sqrt(64)``, which is float64. Shapes are those of the arrays."""
    for dtype in (np.float32, np.float64):
        y, saved = case.forward(cast(case.arrays, dtype))
        assert y.dtype == dtype, f"y is {y.dtype} where the arguments are {np.dtype(dtype)}"
        for name, gradient in case.backward(signs(rng, y.shape).astype(dtype), saved).items():
            assert gradient.dtype == dtype, f"gradient of {name} is {gradient.dtype}, expected {np.dtype(dtype)}"
            assert gradient.shape == case.arrays[name].shape, f"gradient of {name} has shape {gradient.shape}"


def check_float32(case, rng):
    """A float32 gradient is the float64 one, rounded: catches cancellation and short constants."""
    dy = cotangent(case, rng).astype(np.float32)
    arrays = cast(case.arrays, np.float32)
    single, double = case.gradient(arrays, dy), case.gradient(cast(arrays, np.float64), dy.astype(np.float64))
    largest = max(np.abs(gradient).max(initial=0) for gradient in double.values())
    for name, gradient in double.items():
        error = np.abs(single[name] - gradient).max(initial=0)
        allowed = FLOAT32 * np.abs(gradient).max(initial=0) + FLOAT32 / 10 * largest  # the latter where it is 0
        assert error <= allowed, f"{name} in float32 is off by {error:.3g}, allowed {allowed:.3g}"


def check_strided(case, rng):
    """The memory layout of arguments and dy does not matter: catches ``reshape`` and kernels that assume one."""
    dy = cotangent(case, rng)
    y, saved = case.forward(case.arrays)
    expected = {"y": y} | case.backward(dy, saved)
    for layout in (np.asfortranarray, _spread_out, _reversed_in_memory):
        arrays = case.arrays | {name: layout(case.arrays[name]) for name in case.strided}
        y, saved = case.forward(arrays)
        actual = {"y": y} | case.backward(layout(dy) if dy.ndim else dy, saved)
        assert_same(actual, expected, layout.__name__, SAME * 10)


def _spread_out(array):
    """A view of every second element of a larger array."""
    wide = np.full((*array.shape, 2), np.nan, array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


def _reversed_in_memory(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def check_rows_independent(case, rng):
    """Nothing in one row of a batch, NaN included, changes another row: catches sums over the wrong axis."""
    dy = cotangent(case, rng)
    y, saved = case.forward(case.arrays)
    gradients = case.backward(dy, saved)
    for change in (0.75, np.nan):
        arrays, moved_dy = {name: array.copy() for name, array in case.arrays.items()}, dy.copy()
        for name in case.batch:
            arrays[name][0] += change
        if dy.ndim:
            moved_dy[0] += change
        with np.errstate(invalid="ignore"):
            moved_y, saved = case.forward(arrays)
            moved = case.backward(moved_dy, saved)
        for name in case.batch:
            np.testing.assert_array_equal(moved[name][1:], gradients[name][1:], f"{name}: row 0 reached other rows")
        if dy.ndim and case.batch:
            np.testing.assert_array_equal(moved_y[1:], y[1:], "y: row 0 reached other rows")


def check_repeatable(case, rng):
    """Forward twice and backward twice give the same bits: catches hidden state and hidden random numbers."""
    dy = cotangent(case, rng)
    runs = []
    for _ in range(2):
        y, saved = case.forward(case.arrays)
        runs.append({"y": y} | case.backward(dy, saved))
    assert_same(*runs, "second run")


PROPERTIES = [
    check_gradient,
    check_linear,
    check_unmodified,
    check_dtype,
    check_float32,
    check_strided,
    check_rows_independent,
    check_repeatable,
]


# ---------------------------------------------------------------------------------------- properties of layers


def check_accumulates(case, rng):
    """Two backwards give exactly twice the gradient; what was there before is added to: catches ``=`` for ``+=``."""
    dy = cotangent(case, rng)
    once = case.gradient(case.arrays, dy)
    layer = case.bind(case.arrays)
    embeds = any(isinstance(part, Embedding) for _, part in layer.named_layers())
    rtol = 1e-15 if case.shares or embeds else 0.0  # in another order: (a + b) + (a + b), ((a + b) + a) + b
    layer.zero_grad()
    for _ in range(2):
        _step(case, layer, dy)
    twice = {path: parameter.grad for path, parameter in layer.named_parameters()}
    assert_same(twice, {path: 2 * once[path] for path in twice}, "called twice", rtol)
    expected = {}
    for path, parameter in layer.named_parameters():
        parameter.grad = locked(signs(rng, parameter.data.shape))  # somebody else's array: added to, not written to
        expected[path] = parameter.grad + once[path]
    _step(case, layer, dy)
    added = {path: parameter.grad for path, parameter in layer.named_parameters()}
    assert_same(added, expected, "after another's gradient", rtol)


def _step(case, layer, dy):
    tape = case.tape()
    case.call(layer, case.arrays, tape)
    dx = layer.backward(dy, tape)
    tape.check_empty()
    return dx


def check_reentrant(case, rng):
    """A layer used twice before its backwards, on two tapes or on one, gives each use its own: catches ``self.x``."""
    one = case.arrays
    two = one | {name: one[name] + 0.25 * signs(rng, one[name].shape) for name in case.inputs}
    dy_one, dy_two = cotangent(case, rng), cotangent(case, rng)
    expected_one, expected_two = case.gradient(one, dy_one), case.gradient(two, dy_two)
    saved_one, saved_two = case.forward(one)[1], case.forward(two)[1]
    assert_same(case.backward(dy_one, saved_one), expected_one, "first of two tapes")
    assert_same(case.backward(dy_two, saved_two), expected_two, "second of two tapes")
    if case.tape().seed is None:  # with dropout, the second use of a tape draws other masks
        layer, tape = case.bind(one), case.tape()
        case.call(layer, one, tape)
        case.call(layer, two, tape)
        assert_same(case.backward(dy_two, (layer, _Prefix(tape))), expected_two, "second use of one tape")
        assert_same(case.backward(dy_one, (layer, tape)), expected_one, "first use of one tape")


class _Prefix:
    """A tape of which only the newer half is to be used up."""

    def __init__(self, tape):
        self._tape, self._left = tape, len(tape) // 2

    def __getattr__(self, name):
        return getattr(self._tape, name)

    def check_empty(self):
        assert len(self._tape) == self._left, f"{len(self._tape)} values left of two uses, expected {self._left}"


def check_inference(case, rng):
    """Without a tape, and with one that has no seed, y is the same to the bit."""
    layer = case.bind(case.arrays)
    expected = {"y": case.call(layer, case.arrays, Tape())}
    assert_same({"y": case.call(layer, case.arrays)}, expected, "without a tape")


LAYER_PROPERTIES = [*PROPERTIES, check_accumulates, check_reentrant, check_inference]


def check_shards_add_up(model, *batch):
    """Loss and gradients of a batch of five are the sums of its parts', with dropout; nothing divides by a part's count."""
    tape = Tape(seed=1, step=4)
    model.zero_grad()
    loss = model.loss(*batch, tape=tape)
    model.loss_backward(tape)
    summed = model.replicate()
    for rows in (slice(0, 2), slice(2, 5)):
        tape = Tape(seed=1, step=4, first_row=rows.start)
        loss -= summed.loss(*(array[rows] for array in batch), tape=tape, count=model.count(*batch))
        summed.loss_backward(tape)
    assert abs(loss) < 1e-13
    for (path, one), other in zip(model.named_parameters(), summed.parameters(), strict=True):
        np.testing.assert_allclose(other.grad, one.grad, rtol=0, atol=SAME, err_msg=path)


# A model's input is ids, which are always contiguous; what its rows may share (targets' mean) is tested model by model.
model_checks = pytest.mark.parametrize(
    "check",
    [check for check in LAYER_PROPERTIES if check not in (check_strided, check_rows_independent)],
    ids=lambda check: check.__name__,
)
