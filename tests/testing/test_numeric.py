"""Finite differences whose error bar bounds the error: at smooth points, at bends, at kinks, in noise."""

import math

import numpy as np
import pytest

from tinytx.testing.numeric import (
    EPS,
    Estimate,
    Kink,
    derivative,
    look_closely,
    noise_floor,
    rounding_noise,
)


def sized(f):
    """Return h -> (f(h), the size of its terms)."""
    return lambda h: (f(h), max(4.0, abs(f(h))))


# name -> (f, its derivative at a): f is moved to a
FUNCTIONS = {
    "exp": (math.exp, math.exp),
    "sin": (math.sin, math.cos),
    "tanh": (math.tanh, lambda a: 1 - math.tanh(a) ** 2),
    "witch": (lambda x: 1 / (1 + x * x), lambda a: -2 * a / (1 + a * a) ** 2),
    "steep": (lambda x: math.tanh(40 * x), lambda a: 40 * (1 - math.tanh(40 * a) ** 2)),
    "softplus": (lambda x: math.log1p(math.exp(3 * x)), lambda a: 3 / (1 + math.exp(-3 * a))),
    "root": (lambda x: math.sqrt(x * x + 1e-4), lambda a: a / math.sqrt(a * a + 1e-4)),
    "cube": (lambda x: x**3 - 2 * x, lambda a: 3 * a * a - 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("differentiate", [derivative, look_closely])
def test_the_bar_bounds_the_error(name, differentiate):
    """At forty points and three first steps; and where the steps suit, it is short: a long one would bound anything."""
    f, slope = FUNCTIONS[name]
    for a in np.random.default_rng(0).normal(size=40):
        for h0 in (0.02, 0.25, 1.0):
            found = differentiate(sized(lambda h, a=a: f(a + h)), h0)
            assert abs(found.value - slope(a)) <= found.error, (a, h0, found)
            if h0 < 1 or differentiate is look_closely:
                assert found.error <= 1e-8 * max(1.0, abs(slope(a))), (a, h0, found)


def bend(distance, width):
    """Return a function with slopes 0 and 1, rounded off over ``width``, and its derivative at 0."""

    def f(h):
        return (h + distance + math.hypot(h + distance, width)) / 2

    return f, (1 + distance / math.hypot(distance, width)) / 2


@pytest.mark.parametrize("width", [1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("distance", [-3e-3, -7e-4, -1e-4, 1e-4, 7e-4, 3e-3])
def test_a_bend_near_by_widens_the_bar(distance, width):
    """From afar a bend is a kink, whose central difference is constant: the veto of the small steps, (4) there."""
    f, slope = bend(distance, width)
    found = derivative(sized(lambda h: 5 + f(h)), 0.25)
    assert abs(found.value - slope) <= found.error
    closer = look_closely(sized(lambda h: 5 + f(h)), 0.25)
    assert abs(closer.value - slope) <= closer.error <= 1e-5


def test_without_the_veto_the_bar_is_too_short():
    """The test of the test above: the best cell of the triangle as the textbook takes it, for an unlucky bend."""
    f, slope = bend(2e-4, 1e-4)
    rows, best = [], (math.nan, math.inf)
    for i in range(10):
        h = 0.25 / 2**i
        rows.append([(f(h) - f(-h)) / (2 * h)])
        for k in range(1, i + 1):
            rows[i].append(rows[i][k - 1] + (rows[i][k - 1] - rows[i - 1][k - 1]) / (4**k - 1))
            change = max(abs(rows[i][k] - rows[i][k - 1]), abs(rows[i][k] - rows[i - 1][k - 1]))
            best = min(best, (rows[i][k], change), key=lambda cell: cell[1])
    assert abs(best[0] - slope) > 100 * best[1]
    found = derivative(sized(f), 0.25)
    assert abs(found.value - slope) <= found.error


@pytest.mark.parametrize("width", [1e-4, 1e-5, 1e-6])
def test_what_is_narrower_than_the_smallest_step_has_no_short_bar(width):
    """The slope is 1 within the width, and next to 0 at all steps: C(h) has not begun to settle."""
    f = sized(lambda h: 5 + width * math.tanh((h + width / 3) / width))
    slope = 1 - math.tanh(1 / 3) ** 2
    found = derivative(f, 0.25)
    assert found.error == math.inf or abs(found.value - slope) <= found.error
    closer = look_closely(f, 0.25)
    assert abs(closer.value - slope) <= closer.error <= 1e-4


def test_cancellation_shows_in_the_bar():
    """Terms of 1e8 that cancel: f is small, its rounding is not."""
    f = lambda h: ((1e8 + math.sin(h)) - 1e8, 2e8)  # noqa: E731
    found = derivative(f, 0.25)
    assert 1e-9 < abs(found.value - 1) <= found.error < 1e-5


@pytest.mark.parametrize("differentiate", [derivative, look_closely])
def test_a_constant_has_slope_zero(differentiate):
    assert differentiate(lambda h: (3.0, 3.0), 0.25).value == 0


def test_a_forward_that_is_not_finite_far_away():
    """Steps that overflow are left out; where nothing is left, the bar is infinite and the value NaN."""
    near = derivative(lambda h: (math.sin(h) if abs(h) < 0.05 else math.nan, 1.0), 0.25)
    assert abs(near.value - 1) <= near.error < 1e-9
    far = derivative(lambda h: (math.inf if h > 0 else 0.0, 1.0), 0.25)
    assert math.isnan(far.value) and far.error == math.inf


class TestLookClosely:
    @pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 2.001)])
    def test_kink(self, left, right):
        """Both slopes of a kink at 0, between parts that are curved."""
        f = sized(lambda h: math.sin(right * h) if h > 0 else math.expm1(left * h))
        found = look_closely(f, 0.25)
        assert isinstance(found, Kink)
        assert abs(found.left - left) <= found.error and abs(found.right - right) <= found.error < 1e-6
        assert math.isclose(found.value, (found.left + found.right) / 2)

    @pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-5, 1e-7])
    @pytest.mark.parametrize("side", [-1, 1])
    def test_a_kink_elsewhere_is_none(self, distance, side):
        """The steps go below its distance, and find the slope of the side that 0 is on."""
        found = look_closely(sized(lambda h: 2.0 + max(h + side * distance, 0.0)), 0.25)
        assert isinstance(found, Estimate)
        assert abs(found.value - (side > 0)) <= found.error <= 1e-13 / distance

    def test_smooth_points_are_no_kinks(self):
        """However steep: a kink is what stays at every step that rounding allows."""
        for steepness in (1, 1e2, 1e4):
            found = look_closely(sized(lambda h, k=steepness: 1 + math.tanh(k * h)), 0.25)
            assert isinstance(found, Estimate)
            assert abs(found.value - steepness) <= found.error <= 1e-6 * steepness


    @pytest.mark.parametrize("beside", [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)], ids=["right", "left", "both"])
    def test_a_jump(self, beside):
        """A value that holds at 0 and on one side at most has no slope, wherever the steps are."""
        left, right = beside
        found = look_closely(sized(lambda h: 2 + math.sin(h) + (h < 0) * left + (h > 0) * right), 0.25)
        assert isinstance(found, Kink) and found[:2] == (-math.inf, math.inf)

    def test_a_steep_start_is_no_jump(self):
        """The root's slope grows without end, but the values beside 0 come back to it; and a stair is flat at 0."""
        assert not isinstance(look_closely(sized(lambda h: math.copysign(abs(h) ** 0.2, h)), 0.25), Kink)
        assert not isinstance(look_closely(sized(lambda h: float(np.float16(1 + h))), 0.25), Kink)


class TestRoundingNoise:
    def test_float64(self):
        assert rounding_noise(sized(math.cos), 1e-7) <= 16 * EPS

    def test_float32_inside(self):
        """Found to within an order of magnitude."""
        noise = rounding_noise(sized(lambda h: float(np.cos(np.float32(1 + h)))), 1e-7)
        assert 1e-8 < noise < 1e-6

    def test_curvature_is_no_noise(self):
        """Fourth differences cancel it, where second differences of f would be 1e-9."""
        assert rounding_noise(sized(lambda h: math.exp(300 * h)), 1e-7) <= 16 * EPS

    @pytest.mark.parametrize("size", [1e-7, 1e-3])
    def test_a_jump_at_the_point_itself_is_no_noise(self, size):
        """As of a label that is compared with 1: every other value is another class."""
        assert rounding_noise(sized(lambda h: 2 + h + (h == 0)), size) <= 16 * EPS

    def test_nothing_at_all(self):
        assert rounding_noise(lambda h: (0.0, 0.0), 1e-7) == 4 * EPS


SHORTER = {"float32": np.float32, "float16": np.float16}


class TestNoiseFloor:
    @pytest.mark.parametrize("name", SHORTER)
    def test_shorter_numbers(self, name):
        """Found whether the steps are felt or not, to within an order of magnitude and more."""
        kind = SHORTER[name]
        noise = noise_floor(lambda h: (float(np.cos(kind(0.7 + h))), 1.0), 1.0)
        assert np.finfo(kind).eps / 30 < noise < 30 * np.finfo(kind).eps

    @pytest.mark.parametrize("x", [0.22, 1.514, 1.583, 1.591, -1.605])
    def test_wide_stairs(self, x):
        """Near the top of a sine the stairs of float16 are so wide that only the largest steps cross several."""
        assert noise_floor(lambda h: (float(np.sin(np.float16(x + h))), 1.0), 1.0) > 1e-5

    @pytest.mark.parametrize("f", [math.exp, lambda h: math.tanh(30 * h), lambda h: 1 / (0.02 + h * h)])
    def test_smooth_functions_have_none(self, f):
        assert noise_floor(sized(f), 1.0) < 1e-12

    def test_a_kink_is_no_noise(self):
        assert noise_floor(sized(lambda h: abs(h) + h), 1.0) < 1e-12

    def test_a_pole_near_by_is_no_noise(self):
        """The larger steps cross it; the smaller do not, and show less."""
        assert noise_floor(lambda h: (1 / (0.05 + h), 20.0), 1.0) < 1e-11

    def test_where_the_function_ends(self):
        assert noise_floor(lambda h: (math.sqrt(h + 1e-5) if h > -1e-5 else math.nan, 1.0), 1.0) < 1e-12
