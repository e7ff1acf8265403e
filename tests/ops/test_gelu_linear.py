"""The GELU and the linear map behind it: parts, threads that are awake, and a weight that nobody trains."""

import sys

import numpy as np
import pytest
from cases import Backwards

from tinytx import workers
from tinytx.ops import gelu_linear, gelu_linear_backward, linear, plain
from tinytx.ops.gelu_linear import FORMS

LINEAR = sys.modules[linear.__module__]  # says from which size on work is shared


def results(f, f_backward, activation):
    """More rows and columns than a part begins with."""
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=size) for size in ((50, 70), (70, 60), (60,), (50, 60)))
    y, saved = f(x, weight, bias, activation)
    return y, *f_backward(dy, saved), *f_backward(dy, saved, frozen=True)[::2]


@pytest.mark.parametrize("parts", [1, 2, 8])
@pytest.mark.parametrize("activation", FORMS)
def test_parts_in_any_order_make_the_whole(monkeypatch, parts, activation):
    """Catches a part left out, empty ones among them, the last of them first."""
    monkeypatch.setattr(LINEAR, "LARGE", 0)
    expected, pool = results(plain.gelu_linear, plain.gelu_linear_backward, activation), Backwards(parts)
    with workers.use(pool):
        for found, one in zip(results(gelu_linear, gelu_linear_backward, activation), expected, strict=True):
            np.testing.assert_allclose(found, one, rtol=1e-12, atol=1e-12)
    assert pool.calls == ([parts] * 3 if parts > 1 else [])


@pytest.mark.compiled
def test_helpers_change_no_bit(monkeypatch):
    monkeypatch.setattr(LINEAR, "SHARED", 0)
    with workers.use(workers.Pool(3)), workers.awake.use():
        monkeypatch.setattr(workers.awake._helpers, "may_help", lambda: False)
        with workers.awake.use():
            expected = results(gelu_linear, gelu_linear_backward, "gelu")
        for _ in range(50):
            for found, one in zip(results(gelu_linear, gelu_linear_backward, "gelu"), expected, strict=True):
                np.testing.assert_array_equal(found, one)
