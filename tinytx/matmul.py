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
import functools

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types, typing
from numba.extending import intrinsic, lower_builtin, overload, type_callable

from tinytx import addresses, kernel

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


@kernel.kernel
def _product(m, n, k, a, b, out, beta, size):
    """Multiply, and add ``beta`` times what is in out; each matrix is given as (address, stride of rows, stride of columns) in bytes.

    It is compiled once for a dtype, and not for each kernel and each of the layouts of three arrays.
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
                total = kernel.plus(total, _read(a[0] + i * a[1] + p * a[2], beta) * _read(b[0] + p * b[1] + j * b[2], beta))
            _write(at, total)


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


def _check(a, b, out):
    kinds = [getattr(x, "dtype", x) if getattr(x, "ndim", 0) == 2 else x for x in (a, b, out)]
    if set(kinds) not in ({types.float32}, {types.float64}):
        raise errors.TypingError(f"matmul: {a}, {b} and {out}; expected matrices, all float32 or all float64")


def _kinds(number):
    """Return the types of `_product`'s arguments for matrices of these numbers."""
    return (*[types.int64] * 3, *[types.UniTuple(types.int64, 3)] * 3, number, types.int64)


def _by_blas_type(context):
    def kinds(a, b, out, add=None):
        _check(a, b, out)
        addresses.check(_product.compiled(), _kinds(out.dtype))
        return typing.signature(types.none, a, b, out, *[types.boolean] * (add is not None))

    return kinds


def _by_blas(context, builder, signature, values):
    arrays = [context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args[:3], values[:3], strict=True)]
    (m, k), (k2, n), (m2, n2) = (cgutils.unpack_tuple(builder, array.shape, 2) for array in arrays)
    fit = [builder.icmp_signed("==", *pair) for pair in ((m, m2), (k, k2), (n, n2))]
    with builder.if_then(builder.not_(functools.reduce(builder.and_, fit)), likely=False):
        context.call_conv.return_user_exc(builder, ValueError, ("matmul: shapes do not fit: expected a (M, K), b (K, N), out (M, N)",))
    matrices = [cgutils.pack_array(builder, [builder.ptrtoint(x.data, m.type), *cgutils.unpack_tuple(builder, x.strides, 2)]) for x in arrays]
    number, kinds = signature.args[2].dtype, _kinds(signature.args[2].dtype)
    beta = context.cast(builder, values[3] if len(values) > 3 else cgutils.false_bit, types.boolean, number)
    address = addresses.address_for(context, builder, _product.compiled(), kinds)
    addresses.call(context, builder, address, kinds, [m, n, k, *matrices, beta, arrays[2].itemsize])
    return context.get_dummy_value()


@numba.njit
def _by_numpy(a, b, out, add=False):
    with numba.objmode():
        kernel.matmul(a, b, out, add)


def _by_numpy_for(a, b, out, add=False):
    _check(a, b, out)
    return lambda a, b, out, add=False: _by_numpy(a, b, out, add)


if NAME:
    type_callable(kernel.matmul)(_by_blas_type)
    lower_builtin(kernel.matmul, *[types.Array] * 3)(_by_blas)
    lower_builtin(kernel.matmul, *[types.Array] * 3, types.Boolean)(_by_blas)
else:
    overload(kernel.matmul, jit_options={"error_model": "numpy"})(_by_numpy_for)
