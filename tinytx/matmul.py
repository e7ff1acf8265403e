"""`tinytx.kernel.matmul` in machine code: the product of matrices of the BLAS that NumPy uses.

A kernel that multiplies by itself is one call: NumPy's product between two loops would take the interpreter's lock, and give it up,
once more for each. BLAS's function is looked for in the libraries that NumPy has loaded, so that the numbers and the speed are those of
``np.matmul``, and so is the number of threads that BLAS was told to use. Machine code on disk knows the function by a name of ours, and
gets the address in each process. Where no function is found (NumPy with a BLAS inside it, or on Windows), a kernel calls ``np.matmul``, for which
it takes the lock.

BLAS counts in 32 or in 64 bits, which the end of the function's name tells. It is always given 64: where it reads 32, these are the lower half, in
registers and on the stack, since all calling conventions have eight bytes for a number there.
"""

import ctypes

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import intrinsic, overload

from tinytx import kernel

NAMES = ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_", "scipy_cblas_{}gemm", "cblas_{}gemm")  # of NumPy's wheels, Debian, Conda, macOS
BY_ROW, BY_COLUMN, AS_IT_IS, TRANSPOSED = 101, 102, 111, 112  # CblasRowMajor, CblasColMajor, CblasNoTrans, CblasTrans
_LETTERS = {types.float32: "s", types.float64: "d"}


def _found():
    """Return (the names' pattern, {letter: address}) of BLAS's functions; ("", {}) if there are none."""
    try:
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # what it was linked with is searched, too
        for name in NAMES:
            functions = [getattr(library, name.format(letter), None) for letter in "sd"]
            if all(functions):
                return name, {letter: ctypes.cast(f, ctypes.c_void_p).value for letter, f in zip("sd", functions, strict=True)}
    except (OSError, AttributeError):
        pass
    return "", {}


NAME, _ADDRESSES = _found()
LARGEST = 2**63 - 1 if "64_" in NAME else 2**31 - 1  # number that BLAS reads
for _letter, _address in _ADDRESSES.items():
    llvmlite.binding.add_symbol(f"tinytx_{_letter}gemm", _address)


@numba.njit(error_model="numpy")
def _leading(rows, columns, ahead, aside, size):
    """Return how many numbers a row begins after the one before, and 0 if rows do not lie in memory so.

    ``ahead`` and ``aside`` are a matrix's strides in bytes, and ``size`` its numbers' size. Neither rows nor columns are 0.
    """
    if columns > 1 and aside != size:
        return 0
    if rows == 1:
        return columns
    numbers = ahead // size
    return numbers if numbers >= columns and numbers * size == ahead else 0


@numba.njit(error_model="numpy")
def _given(rows, columns, ahead, aside, size, order):
    """Return what BLAS is told of a matrix: whether it is transposed, and how far its lines lie apart (0: it cannot be told)."""
    by_row = _leading(rows, columns, ahead, aside, size)
    transposed = AS_IT_IS if (by_row > 0) == (order == BY_ROW) else TRANSPOSED
    return transposed, by_row if by_row > 0 else _leading(columns, rows, aside, ahead, size)


@numba.njit(error_model="numpy")
def _product(m, n, k, a, b, out, beta, size):
    """Multiply, and add ``beta`` times what is in out; each matrix is given as (address, stride of rows, stride of columns) in bytes.

    It is compiled once for a dtype, and not for each of the layouts of three arrays.
    """
    if min(m, n, k) > 0:
        order = BY_ROW if _leading(m, n, out[1], out[2], size) else BY_COLUMN
        _, step = _given(m, n, out[1], out[2], size, order)
        flip_a, step_a = _given(m, k, a[1], a[2], size, order)
        flip_b, step_b = _given(k, n, b[1], b[2], size, order)
        if min(step, step_a, step_b) > 0 and max(m, n, k, step, step_a, step_b) <= LARGEST:
            _gemm(order, flip_a, flip_b, m, n, k, a[0], step_a, b[0], step_b, beta, out[0], step)
            return
    for i in range(m):  # what BLAS cannot be told, since no axis of a matrix lies in memory without gaps
        for j in range(n):
            at = out[0] + i * out[1] + j * out[2]
            total = _read(at, beta) if beta != 0 else beta
            for p in range(k):
                total += _read(a[0] + i * a[1] + p * a[2], beta) * _read(b[0] + p * b[1] + j * b[2], beta)
            _write(at, total)


def _by_blas(a, b, out, add=False):
    if a.shape[1] != b.shape[0] or out.shape[0] != a.shape[0] or out.shape[1] != b.shape[1]:
        raise ValueError("matmul: shapes do not fit: expected a (M, K), b (K, N), out (M, N)")
    _product(
        a.shape[0], b.shape[1], a.shape[1], (_address(a), a.strides[0], a.strides[1]), (_address(b), b.strides[0], b.strides[1]),
        (_address(out), out.strides[0], out.strides[1]), out.dtype.type(1 if add else 0), out.itemsize,
    )  # fmt: skip


@intrinsic
def _address(typing, x):
    """Return where an array's first number lies."""

    def instruction(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(x), instruction


@intrinsic
def _read(typing, address, like):
    """Return the number at an address, of the type of ``like``."""

    def instruction(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], arguments[1].type.as_pointer()))

    return like(types.int64, like), instruction


@intrinsic
def _write(typing, address, value):
    """Write a number to an address."""

    def instruction(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], arguments[1].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, value), instruction


@intrinsic
def _gemm(typing, order, flip_a, flip_b, m, n, k, a, step_a, b, step_b, beta, out, step_out):
    """Call BLAS with addresses of matrices."""

    def instruction(context, builder, signature, arguments):
        enum, size, number = ir.IntType(32), ir.IntType(64), arguments[10].type
        start = number.as_pointer()
        kinds = [enum, enum, enum, size, size, size, number, start, size, start, size, number, start, size]
        name = f"tinytx_{_LETTERS[beta]}gemm"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
        given = [*arguments[:6], number(1.0), *arguments[6:]]
        for i in range(3):
            given[i] = builder.trunc(given[i], enum)
        for i in (7, 9, 12):
            given[i] = builder.inttoptr(given[i], start)
        builder.call(function, given)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 10, beta, types.int64, types.int64), instruction


@numba.njit
def _by_numpy(a, b, out, add=False):
    with numba.objmode():
        kernel.matmul(a, b, out, add)


@overload(kernel.matmul, jit_options={"error_model": "numpy"})
def _matmul_for(a, b, out, add=False):
    kinds = [getattr(x, "dtype", x) if getattr(x, "ndim", 0) == 2 else x for x in (a, b, out)]
    if set(kinds) not in ({types.float32}, {types.float64}):
        raise errors.TypingError(f"matmul: {a}, {b} and {out}; expected matrices, all float32 or all float64")
    return _by_blas if NAME else lambda a, b, out, add=False: _by_numpy(a, b, out, add)
