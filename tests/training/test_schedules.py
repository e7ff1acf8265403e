"""The learning rate over the steps."""

import math

import pytest

from tinytx.training import SlantedTriangular, WarmupCosine, WarmupInverseSqrt


def nanogpt(it, learning_rate, warmup_iters, lr_decay_iters, min_lr):
    """``get_lr`` of nanoGPT's train.py, word for word."""
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return min_lr
    decay_ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    assert 0 <= decay_ratio <= 1
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (learning_rate - min_lr)


@pytest.mark.parametrize("warmup, total", [(100, 2000), (0, 10), (1, 2)])
def test_equals_nanogpt(warmup, total):
    """Catches a first step at rate 0, a warm-up that is off by one, and a cosine that rises again after its end."""
    schedule = WarmupCosine(1e-3, warmup, total, 1e-4)
    for step in range(total + 50):
        assert schedule(step) == pytest.approx(nanogpt(step, 1e-3, warmup, total, 1e-4), rel=1e-12), step


def test_known_points():
    """Catches a formula copied wrong twice: the values that the docstring promises."""
    schedule = WarmupCosine(peak=8.0, warmup=3, total=13, floor=2.0)
    points = {0: 2.0, 1: 4.0, 2: 6.0, 3: 8.0, 8: 5.0, 13: 2.0, 1_000_000: 2.0}
    assert {step: schedule(step) for step in points} == pytest.approx(points)


@pytest.mark.parametrize("total", [5, 3])
def test_warmup_as_long_as_the_run(total):
    """Catches a division by zero where no step is left for the cosine."""
    schedule = WarmupCosine(peak=6.0, warmup=5, total=total, floor=1.0)
    assert [schedule(step) for step in (0, 4)] == pytest.approx([1.0, 5.0])
    assert math.isfinite(schedule(5))
    assert schedule(50) == 1.0


@pytest.mark.parametrize(("total", "cut"), [(1000, 0.1), (200, 0.25), (10, 0.1), (40, 0.5)])
def test_slanted_triangular_is_the_papers(total, cut):
    """Equation (3) as it is printed, where cut_fraction total is whole; at 1, 0, and ends that stay."""
    schedule, at = SlantedTriangular(0.01, total, cut, ratio=32), math.floor(total * cut)
    for t in range(total + 1):
        p = t / at if t < at else 1 - (t - at) / (at * (1 / cut - 1))
        assert schedule(t) == pytest.approx(0.01 * (1 + p * 31) / 32, rel=1e-9), t
    assert schedule(at) == 0.01 and schedule(0) == schedule(10 * total) == pytest.approx(0.01 / 32)


@pytest.mark.parametrize("cut", [0.0, 0.1, 1.0])
def test_slanted_triangular_of_any_length(cut):
    """Catches 0/0 where the rise or the fall has no step, and a rate below its end where the cut is not whole."""
    for total in (1, 7, 95):
        rates = [SlantedTriangular(0.5, total, cut)(t) for t in range(total + 9)]
        assert all(0.5 / 32 - 1e-12 <= rate <= 0.5 for rate in rates) and rates[-1] == 0.5 / 32


def test_rises_to_the_warm_up_and_falls_with_the_root():
    """Catches a first step at rate 0 or infinity, and a peak beside the warm-up's end: step_num starts at 1."""
    schedule = WarmupInverseSqrt(d_model=64, warmup=4, factor=2.0)
    points = {0: 1 / 32, 1: 2 / 32, 3: 4 / 32, 15: 2 / 32, 63: 1 / 32}
    assert {step: schedule(step) for step in points} == pytest.approx(points, rel=1e-14)
    rates = [schedule(step) for step in range(50)]
    assert max(rates) == rates[3]


def test_base_model_of_the_paper():
    """Catches d_model without its root: the base model's largest rate is known to be 7e-4."""
    assert WarmupInverseSqrt(512)(3999) == pytest.approx(1 / math.sqrt(512 * 4000), rel=1e-14)
    assert WarmupInverseSqrt(512)(3999) == pytest.approx(6.99e-4, rel=1e-3)


@pytest.mark.parametrize("field", ["d_model", "warmup"])
def test_refuses_what_has_no_root(field):
    with pytest.raises(ValueError, match=f"WarmupInverseSqrt: {field} is 0, expected a finite number of at least 1"):
        WarmupInverseSqrt(**{"d_model": 8, field: 0})


@pytest.mark.parametrize("value", [-5, math.nan, math.inf, None, "3"])
@pytest.mark.parametrize("field", ["peak", "warmup", "total", "floor"])
def test_cosine_refuses_what_is_no_rate_and_no_step(field, value):
    """Catches a rate of NaN in the first step, and one that climbs the hill."""
    fields = {"peak": 1e-3, "warmup": 10, "total": 100, "floor": 1e-4}
    with pytest.raises((ValueError, TypeError), match=f"WarmupCosine: {field} is .*, expected a finite number of at least 0"):
        WarmupCosine(**fields | {field: value})


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, None])
@pytest.mark.parametrize("field", ["d_model", "warmup", "factor"])
def test_inverse_sqrt_refuses_what_gives_no_rate(field, value):
    with pytest.raises((ValueError, TypeError), match=f"WarmupInverseSqrt: {field} is .*, expected a finite number"):
        WarmupInverseSqrt(**{"d_model": 64, field: value})
