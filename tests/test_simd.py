"""Vectors inside kernels: read, computed with, summed and written, in float32 and float64, compiled and in plain Python."""

import numba
import numpy as np
import pytest

from tinytx.kernel import kernel
from tinytx.registers import lanes, put, times_plus, total, vector, zeros

DTYPES = [np.float32, np.float64]


@kernel
def _numbers(y, x):
    """Write lanes, the sums of a vector and of one of zeros, and 2 x + x[1:] + 3 x from the fourth number on."""
    y[0], y[1], y[2] = lanes(x), total(vector(x, 1)), total(zeros(x))
    twice = times_plus(x.dtype.type(2), vector(x, 0), vector(x, 1))
    put(y, 3, times_plus(vector(x, 0), vector(x, 2), twice))


@kernel
def _of_rows(y, x):
    put(y, x.shape[1] + 1, vector(x, x.shape[1] - 1))


@kernel
def _in_order(y, x):
    s = zeros(x)
    for i in range(0, x.size, lanes(x)):
        s = times_plus(x.dtype.type(1), vector(x, i), s)
    y[0] = total(s)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_are_neighbouring_numbers(dtype):
    x, y = np.random.default_rng(0).normal(size=40).astype(dtype), np.full(40, 7, dtype)
    _numbers(y, x)
    n = int(y[0])
    assert n in (128 // np.dtype(dtype).itemsize // 8 * np.array([1, 2, 4]))
    np.testing.assert_allclose(y[1:3], [x[1 : n + 1].sum(), 0], rtol=1e-5)
    np.testing.assert_allclose(y[3 : n + 3], 2 * x[:n] + x[1 : n + 1] + x[:n] * x[2 : n + 2], rtol=1e-4, atol=1e-6)
    assert (y[n + 3 :] == 7).all()


def test_numbers_are_counted_through_rows():
    x, y = np.arange(90.0).reshape(30, 3), np.zeros((30, 3))
    _of_rows(y, x)
    n = np.count_nonzero(y)
    assert y.ravel()[4 : 4 + n].tolist() == list(range(2, 2 + n)) and n in (2, 4, 8)


def test_no_sum_is_put_into_another_order():
    """1e16 + 1 - 1e16 is 0, and 1e16 - 1e16 + 1 is 1: numbers are added in the order of rows."""
    x, y = np.zeros(64), np.zeros(1)
    x[[0, 16, 32]] = 1e16, 1, -1e16  # in the same place of a vector, of however many numbers
    _in_order(y, x)
    assert y[0] == 0
    x[[0, 16, 32]] = 1e16, -1e16, 1
    _in_order(y, x)
    assert y[0] == 1


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize(
    "arrays",
    [(np.zeros(40), np.zeros(80)[::2]), (np.zeros(40), np.zeros(40, np.int32)), (np.zeros(40, np.float32), np.zeros(40))],
    ids=["with gaps", "integers", "two dtypes"],
)
def test_what_is_no_vector_is_refused(arrays):
    with pytest.raises(numba.core.errors.TypingError):
        _of_rows(*(array[None] for array in arrays))
