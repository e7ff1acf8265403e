"""Loops that are compiled once for arrays of any strides, and rows that they know to lie in one piece."""

import importlib

import numba
import numpy as np
import pytest

from tinytx.kernel import kernel, line

DTYPES = [np.float32, np.float64]


@kernel(outputs=1)
def _halve(y, x, places, n):
    """Write half of the first n numbers of some rows of x."""
    for i in range(len(places)):
        from_row, to_row = line(x[places[i]]), line(y[places[i]])
        for j in range(n):
            to_row[j] = from_row[j] / x.dtype.type(2)


def locked(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def apart(x):
    """Return x with other numbers between its rows."""
    return np.concatenate([x, x + 1], axis=1)[:, : x.shape[1]]


LAYOUTS = {"whole": np.copy, "locked": locked, "apart": apart, "backwards": lambda x: np.flip(np.flip(x, 0).copy(), 0)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_version_takes_all_layouts(dtype):
    """Catches a version for each layout, and one that takes strides for those of a contiguous array."""
    x = np.arange(15, dtype=dtype).reshape(3, 5)
    for of_x in LAYOUTS.values():
        for of_y in (np.copy, apart):
            y, places = of_y(np.zeros_like(x)), np.array([0, 2])
            _halve(y, of_x(x), places, 4)
            expected = np.where(np.isin(np.arange(3), places)[:, None] & (np.arange(5) < 4), x / 2, 0)
            np.testing.assert_array_equal(y, expected)
    if not numba.config.DISABLE_JIT:
        signatures = _halve.compiled().signatures
        assert len([s for s in signatures if s[0].dtype == numba.from_dtype(np.dtype(dtype))]) == 1


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_what_may_not_be_written_to_is_no_output():
    """Catches a loop that changes an array behind its owner's back."""
    with pytest.raises(TypeError, match="No matching definition"):
        _halve(locked(np.zeros((3, 5))), np.ones((3, 5)), np.array([0]), 1)


def _of_lines(x):
    for i in range(len(x)):
        row = line(x[i])
        for j in range(len(row)):
            row[j] = row[j] * row[j]


def _of_rows(x):
    for i in range(len(x)):
        row = x[i]
        for j in range(len(row)):
            row[j] = row[j] * row[j]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_a_loop_along_a_line_is_vector_code():
    importlib.import_module("tinytx.compiler")  # says what `line` is; the disk keeps none of this
    found = []
    for function in (_of_lines, _of_rows):
        made = numba.njit(error_model="numpy")(function)
        made.compile((numba.types.Array(numba.float32, 2, "A"),))
        found.append("x float>" in made.inspect_llvm(made.signatures[0]))
    assert found == [True, False]
