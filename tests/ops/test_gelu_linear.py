"""The GELU and the linear map behind it: parts, threads that are awake, and a weight that nobody trains."""

import os
import subprocess
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
    return y, f(x, weight, bias, activation, onto=dy)[0], *f_backward(dy, saved), *f_backward(dy, saved, frozen=True)[::2]


@pytest.mark.parametrize("parts", [1, 2, 8])
@pytest.mark.parametrize("activation", FORMS)
def test_parts_in_any_order_make_the_whole(monkeypatch, parts, activation):
    """Catches a part left out, empty ones among them, the last of them first."""
    monkeypatch.setattr(LINEAR, "LARGE", 0)
    expected, pool = results(plain.gelu_linear, plain.gelu_linear_backward, activation), Backwards(parts)
    with workers.use(pool):
        for found, one in zip(results(gelu_linear, gelu_linear_backward, activation), expected, strict=True):
            np.testing.assert_allclose(found, one, rtol=1e-12, atol=1e-12)
    assert pool.calls == ([parts] * 4 if parts > 1 else [])


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


SCRIPT = """
import hashlib, numpy as np
from tinytx import ops
rng = np.random.default_rng(0)
x, w, b, dy = (rng.normal(size=shape).astype(np.float32) for shape in ((48, 64), (64, 16), 16, (48, 16)))
for form in ("gelu", "gelu_tanh"):
    y, saved = ops.gelu_linear(x, w, b, form)
    print(*(hashlib.sha256(a.tobytes()).hexdigest() for a in (y, *ops.gelu_linear_backward(dy, saved))))
"""


@pytest.mark.compiled
def test_machine_code_from_the_disk_has_the_bits_of_new_code(tmp_path):
    """Catches a run that goes on to other weights after an interruption, and ranks that differ: a process that compiled a loop has other code than the next."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = [sys.executable, "-c", SCRIPT]
    first, second = (subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == second and len(first.split()) == 8
