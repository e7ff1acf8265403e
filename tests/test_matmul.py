"""The product that kernels call: all layouts in memory, sums, empty matrices, machine code on disk, and a NumPy without BLAS."""

import itertools
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tinytx import matmul as machine
from tinytx.kernel import kernel, matmul

DTYPES = [np.float32, np.float64]


@kernel
def _multiply(out, a, b, add):
    matmul(a[0], b[0], out[0], add)


def multiply(out, a, b, add=False):
    """Hand matrices to the kernel as one kind of array: it would be compiled anew for each combination of layouts."""
    _multiply(*(as_strided(x, (2, *x.shape), (0, *x.strides)) for x in (out, a, b)), add)


@kernel
def _transposed(out, a, b):
    matmul(a.T, b[: a.shape[0]], out.T)


def whole(rng, *shape):
    """Whole numbers, of which all sums are exact, in any order."""
    return rng.integers(-9, 10, shape).astype(float)


def laid_out(x, layout):
    """Return x as it lies in memory in one of several ways."""
    rows, columns = x.shape
    if layout == "by row":
        return x.copy()
    if layout == "by column":
        return x.T.copy().T
    if layout == "part":  # of a larger matrix
        larger = np.full((rows + 2, columns + 3), np.nan, x.dtype)
        larger[1 : rows + 1, 2 : columns + 2] = x
        return larger[1 : rows + 1, 2 : columns + 2]
    if layout == "part by column":
        return laid_out(x.T, "part").T
    if layout == "backwards":
        return x[::-1].copy()[::-1]
    if layout == "gaps":
        larger = np.full((2 * rows, 3 * columns), np.nan, x.dtype)
        larger[::2, ::3] = x
        return larger[::2, ::3]
    larger = np.full(rows * columns * x.itemsize + 8 * rows, 99, np.uint8)  # rows a number and some bytes apart
    y = np.ndarray(x.shape, x.dtype, larger, strides=(columns * x.itemsize + 4, x.itemsize))
    y[:] = x
    return y


LAYOUTS = ["by row", "by column", "part", "part by column", "backwards", "gaps"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 5), (1, 4, 1), (3, 1, 1), (1, 1, 1)])
def test_it_is_the_product_however_matrices_lie(shape, dtype):
    """Catches a step between rows of one column, of one row, or backwards, and numbers written beside out."""
    rng, (m, k, n) = np.random.default_rng(0), shape
    for layouts in itertools.product(LAYOUTS, LAYOUTS, LAYOUTS):
        a, b, before = whole(rng, m, k), whole(rng, k, n), whole(rng, m, n)
        x, y = (laid_out(value.astype(dtype), layout) for value, layout in zip((a, b), layouts[:2], strict=True))
        for add in (False, True):
            out = laid_out(before.astype(dtype) if add else np.full((m, n), np.nan, dtype), layouts[2])
            memory = out if out.base is None else out.base
            beside = np.isnan(memory).sum() - np.isnan(out).sum()
            multiply(out, x, y, add)
            np.testing.assert_array_equal(out, before + a @ b if add else a @ b, str(layouts))
            assert np.isnan(memory).sum() == beside, layouts


def test_rows_that_lie_between_numbers():
    """Catches a step of bytes that is rounded to one of numbers."""
    rng = np.random.default_rng(0)
    a, b = whole(rng, 3, 4), whole(rng, 4, 5)
    out = laid_out(np.zeros((3, 5)), "bytes")
    multiply(out, laid_out(a, "bytes"), laid_out(b, "bytes"))
    np.testing.assert_array_equal(out, a @ b)


def test_rows_that_are_one():
    """Rows that lie in the same memory. Catches a step of less than a row, which BLAS refuses and leaves out as it was."""
    row, b, out = np.arange(4.0), whole(np.random.default_rng(0), 4, 5), np.full((3, 5), np.nan)
    multiply(out, np.broadcast_to(row, (3, 4)), b)
    np.testing.assert_array_equal(out, np.broadcast_to(row, (3, 4)) @ b)
    multiply(out, np.ones((3, 4)), np.broadcast_to(row[:, None], (4, 5)))
    np.testing.assert_array_equal(out, np.full((3, 5), row.sum()))
    windows = as_strided(np.arange(6.0), (3, 4), (8, 8))
    multiply(out, windows, b)
    np.testing.assert_array_equal(out, windows @ b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["by row", "by column"])
def test_views_made_inside_a_kernel(layout, dtype):
    rng = np.random.default_rng(0)
    a, b, out = whole(rng, 6, 3), whole(rng, 9, 5), np.empty((5, 3), dtype)
    _transposed(out, *(laid_out(value.astype(dtype), layout) for value in (a, b)))
    np.testing.assert_array_equal(out.T, a.T @ b[:6])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 4, 0), (0, 0, 0), (3, 0, 5), (1, 0, 1)])
def test_nothing_to_add_up(shape, dtype):
    """A sum of nothing is 0. Catches BLAS, which leaves out as it was."""
    m, k, n = shape
    a, b = np.empty((m, k), dtype), np.empty((k, n), dtype)
    for layout, add in itertools.product(["by row", "by column", "part", "gaps"], (False, True)):
        out = laid_out(np.full((m, n), 7, dtype), layout)
        multiply(out, a, b, add)
        np.testing.assert_array_equal(out, np.full((m, n), 7 if add else 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_rows_columns_and_sums(dtype):
    """Catches sizes in each other's place; NaN stays where it belongs."""
    rng = np.random.default_rng(0)
    a, b, out = whole(rng, 150, 70), whole(rng, 70, 310), np.empty((150, 310), dtype)
    multiply(out, a.astype(dtype), b.astype(dtype))
    np.testing.assert_array_equal(out, a @ b)
    a[3, 5] = np.nan
    multiply(out, a.astype(dtype), b.astype(dtype))
    assert np.isnan(out[3]).all() and np.isnan(out).sum() == 310


@pytest.mark.parametrize("shapes", [((3, 4), (5, 6), (3, 6)), ((3, 4), (4, 6), (2, 6)), ((3, 4), (4, 6), (3, 5))])
def test_shapes_that_do_not_fit(shapes):
    with pytest.raises(ValueError, match=r"matmul: shapes do not fit: expected a \(M, K\)"):
        multiply(np.empty(shapes[2]), np.empty(shapes[0]), np.empty(shapes[1]), False)


@pytest.mark.compiled
@pytest.mark.parametrize("arrays", [
    (np.ones((2, 2)), np.ones((2, 2), np.float32), np.ones((2, 2))), (np.ones((2, 2), int),) * 3, (np.ones((1, 2, 2)),) * 3,
])  # fmt: skip
def test_what_is_no_pair_of_matrices_of_floats(arrays):
    """Catches numbers that are read as those of another dtype."""
    with pytest.raises(numba.TypingError, match="expected matrices, all float32 or all float64"):
        multiply(arrays[2], arrays[0], arrays[1], False)


@pytest.mark.compiled
@pytest.mark.skipif("openblas" not in str(np.show_config("dicts")["Build Dependencies"]["blas"]["name"]) or sys.platform == "win32",
                    reason="NumPy has another BLAS")  # fmt: skip
def test_blas_is_found():
    """Catches a name that no BLAS has: all would be right, and slow."""
    assert machine.NAME and set(machine._ADDRESSES) == {"s", "d"}


PROGRAM = """
import ctypes, sys
import numba, numpy as np
from tinytx import kernel
if sys.argv[1] == "hidden":
    def nothing(file):
        raise OSError
    ctypes.CDLL = nothing
import kernels_of_a_test
made = []
kernel.on_compile = made.append
for dtype in (np.float32, np.float64):
    a, b, out = np.arange(6, dtype=dtype).reshape(2, 3), np.ones((3, 4), dtype), np.ones((2, 4), dtype)
    kernels_of_a_test.multiply(out, a, b, True)
    assert out.tolist() == [[4.0] * 4, [13.0] * 4]
    kernels_of_a_test.multiply(out, a, b, False)
    assert out.tolist() == [[3.0] * 4, [12.0] * 4]
    kernels_of_a_test.multiply(out, a[:, :0], b[:0], False)
    assert not out.any()
    try:
        kernels_of_a_test.multiply(out, a, b[:2], False)
    except ValueError as error:
        assert "shapes do not fit" in str(error)
    else:
        assert False
from tinytx import matmul
print(len(made), matmul.NAME or "none")
"""
SOURCE = """
from tinytx.kernel import kernel, matmul

@kernel
def multiply(out, a, b, add):
    matmul(a, b, out, add)
"""


@pytest.mark.compiled
def test_machine_code_is_kept_with_blas_and_without(tmp_path):
    """Catches an address of another process, and code on disk that calls a function which this process has not found."""
    (tmp_path / "kernels_of_a_test.py").write_text(SOURCE)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": path}

    def run(blas):
        result = subprocess.run([sys.executable, "-c", PROGRAM, blas], env=environment, capture_output=True, text=True, timeout=100)
        assert result.returncode == 0, result.stderr
        return result.stdout.split()

    assert run("hidden") == ["2", "none"] and run("hidden") == ["0", "none"]
    assert run("shown") == ["4" if machine.NAME else "0", machine.NAME or "none"]  # and the product, which the kernel calls by its address
    assert run("shown") == ["0", machine.NAME or "none"]
