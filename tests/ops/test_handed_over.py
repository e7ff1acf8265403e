"""What operations hand over to threads that are awake: work that is long enough for them, and no other."""

import sys

import numpy as np
import pytest

from tinytx import workers
from tinytx.ops import gelu, gelu_backward, linear, linear_backward
from tinytx.ops.quantized_linear import quantize_rows, quantized_linear

X, WEIGHT = np.random.default_rng(0).normal(size=(20, 8)), np.random.default_rng(1).normal(size=(8, 6))
Y, SAVED = linear(X, WEIGHT)

# name -> operation, call, size at which it is long enough
CASES = {
    "linear": (linear, lambda: linear(X, WEIGHT), 20 * 8 * 6),
    "linear backward": (linear, lambda: linear_backward(Y, SAVED), 2 * 20 * 8 * 6),
    "linear backward, frozen": (linear, lambda: linear_backward(Y, SAVED, frozen=True), 20 * 8 * 6),
    "gelu": (gelu, lambda: gelu(X), 20 * 8),
    "gelu backward": (gelu, lambda: gelu_backward(X, gelu(X)[1]), 20 * 8),
    "8 bits": (quantized_linear, lambda: quantized_linear(X[:2], *quantize_rows(WEIGHT.T)), 8 * 6),
}


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_long_work_is_handed_over(name, more, monkeypatch):
    """Catches threads that are asked for what takes less time than asking them, and ones that nobody asks."""
    operation, call, size = CASES[name]
    asked = []
    monkeypatch.setattr(workers.awake, "words", lambda wanted=True: asked.append(wanted) or np.empty(0, np.int64))
    monkeypatch.setattr(sys.modules[operation.__module__], "SHARED", size + more)
    with workers.use(workers.Pool(2)), workers.awake.use():
        call()
    assert asked and set(asked) == {more == 0}
