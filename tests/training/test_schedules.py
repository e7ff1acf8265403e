"""The learning rate over the steps."""

import math

import pytest

from tinytx.training import WarmupCosine


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
