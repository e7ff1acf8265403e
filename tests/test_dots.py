"""Sums of products of numbers of 8 and 16 bits: every length, the largest sums, and each kind of machine code."""

import numba
import numpy as np
import pytest

from tinytx import dots as machine
from tinytx import kernel as plain
from tinytx.kernel import dots_of_eight, dots_of_one, kernel, row_size

RNG = np.random.default_rng(0)
LENGTHS = [0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 133]
KINDS = [kind for kind in [*machine.PAIRS, ""] if not kind or f"+{kind}," in numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[2] + ","]


@kernel
def _both(out, weight, j, other, x):
    if len(x) == 1:
        out[0], out[1] = dots_of_one(weight, j, other, x)
    else:
        sums = dots_of_eight(weight, j, other, x)
        for i in range(16):
            out[i] = sums[i]


@kernel
def _size(out, x):
    out[0] = row_size(x, len(x) - 1)


def numbers(n, k):
    """Return weights of both signs, in all of 8 bits, and x in all of 16; their sums may be 133 times the largest product."""
    return RNG.integers(-128, 128, (5, k)).astype(np.int8), RNG.integers(-32768, 32768, (n, k)).astype(np.int16)


@pytest.mark.parametrize("n", [1, 8])
def test_they_are_the_products(n):
    for k in LENGTHS:
        weight, x = numbers(n, k)
        for j, other in ((0, 1), (4, 2), (3, 3)):
            out = np.zeros(2 * n, np.int64)
            _both(out, weight, j, other, x)
            np.testing.assert_array_equal(out, (weight[[j, other]].astype(int) @ x.astype(int).T).ravel())


@pytest.mark.compiled
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_processor_adds_up_to_the_same(kind, monkeypatch):
    """Machine code of each kind that runs here; the last one is for processors without an instruction for pairs."""
    monkeypatch.setattr(machine, "PAIRS", {kind: machine.PAIRS[kind]} if kind else {})
    one, eight = machine._dots_of_one, machine._dots_of_eight
    functions = {1: numba.njit(lambda w, j, o, x: one(w, j, o, x)), 8: numba.njit(lambda w, j, o, x: eight(w, j, o, x))}
    for n, function in functions.items():
        for k in LENGTHS:
            weight, x = numbers(n, k)
            assert function(weight, 1, 3, x) == plain._dots(weight, 1, 3, x)


@pytest.mark.compiled
def test_other_arrays_are_no_numbers_of_8_and_16_bits():
    weight, x = numbers(1, 40)
    for arguments in ((weight.astype(np.int16), 0, 1, x), (weight, 0, 1, x.astype(np.int8)), (weight[:, ::2], 0, 1, x)):
        with pytest.raises(numba.errors.TypingError):
            numba.njit(lambda w, j, o, x: machine._dots_of_one(w, j, o, x))(*arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_size_of_a_row(dtype):
    for row, size in (([], 0), ([-3, 2], 3), ([0.0, -0.0], 0), ([1, -np.inf], np.inf), ([np.inf, -np.nan, 1], np.nan), ([*range(40), -41], 41)):
        out = np.zeros(1, dtype)
        _size(out, np.array([*row, 99], dtype))
        np.testing.assert_array_equal(out[0], dtype(size))
