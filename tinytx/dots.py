"""What products in 8 bits call, in machine code: `dots_of_one`, `dots_of_eight`, `row_size` and `times` of `tinytx.kernel`.

Processors have instructions that multiply pairs of 16-bit numbers and add both products, for 16 pairs at a time where there are vectors of 512
bits. A compiler finds them in a loop over one row of numbers, and not in one over several. So the loops are written here, in terms of vectors; where a processor
has no such instruction, the compiler makes others of the same meaning. All sums are whole numbers: in whatever order they are added, on
whatever processor, they are the same.
"""

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from tinytx import kernel

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
PAIRS = {"avx512bw": (16, "llvm.x86.avx512.pmaddw.d.512"), "avx2": (8, "llvm.x86.avx2.pmadd.wd")}  # pairs at a time, and the instruction


@overload(kernel.row_size)
def _row_size_for(row, n):
    if row.dtype == types.float32:
        return lambda row, n: _row_size32_compiled(row, n)
    if row.dtype == types.float64:
        return lambda row, n: _row_size64_compiled(row, n)


_row_size32_compiled = numba.njit(error_model="numpy")(kernel._row_size32)
_row_size64_compiled = numba.njit(error_model="numpy")(kernel._row_size64)


@overload(kernel.times, jit_options={"fastmath": False, "error_model": "numpy", "forceinline": True})
def _times_for(a, b):
    return lambda a, b: np.float64(a) * np.float64(b)


@overload(kernel.dots_of_one)
def _dots_of_one_for(weight, j, other, x):
    return lambda weight, j, other, x: _dots_of_one(weight, j, other, x)


@overload(kernel.dots_of_eight)
def _dots_of_eight_for(weight, j, other, x):
    return lambda weight, j, other, x: _dots_of_eight(weight, j, other, x)


def _dots(n):
    """Return an intrinsic for n rows of x."""

    @intrinsic
    def dots(typing, weight, j, other, x):
        if not (_is_matrix(weight, types.int8) and _is_matrix(x, types.int16)):
            return None  # Numba then says for which types there is none

        def instructions(context, builder, signature, arguments):
            left = context.make_array(signature.args[0])(context, builder, arguments[0])
            right = context.make_array(signature.args[3])(context, builder, arguments[3])
            k = builder.extract_value(left.shape, 1)
            weights = [builder.gep(left.data, [builder.mul(row, k)]) for row in arguments[1:3]]
            rows = [builder.gep(right.data, [builder.mul(I64(row), k)]) for row in range(n)]
            sums = _sums_of_products(builder, _instruction(context, builder), weights, rows, k)
            return cgutils.pack_array(builder, sums)

        return types.UniTuple(types.int32, 2 * n)(weight, types.intp, types.intp, x), instructions

    return dots


def _is_matrix(kind, dtype):
    return isinstance(kind, types.Array) and (kind.dtype, kind.ndim, kind.layout) == (dtype, 2, "C")


_dots_of_one, _dots_of_eight = _dots(1), _dots(8)


def _instruction(context, builder):
    """Return how many pairs are multiplied at a time, and a function of two vectors of 16-bit numbers that adds the products of pairs."""
    _, _, features = context.codegen().magic_tuple()
    for feature, (pairs, name) in PAIRS.items():
        if f"+{feature}" in features.split(","):
            vector = ir.VectorType(I16, 2 * pairs)
            kind = ir.FunctionType(ir.VectorType(I32, pairs), [vector, vector])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            # As for Zen 4: on processors that LLVM does not know to be as fast, it makes two instructions of one that multiplies and adds.
            set.add(builder.function.attributes, '"tune-cpu"="znver4"')
            return pairs, lambda a, b: builder.call(function, [a, b])
    return 8, lambda a, b: _added(builder, [builder.mul(*(builder.sext(v, ir.VectorType(I32, 16)) for v in (a, b)))])


def _sums_of_products(builder, instruction, weights, rows, k):
    """Return sum_i weights[a][i] rows[n][i] for each a, and in it for each n; these are pointers."""
    pairs, add_pairs = instruction
    at_once, pairs_sums = 2 * pairs, ir.VectorType(I32, pairs)
    sums = [[cgutils.alloca_once_value(builder, ir.Constant(pairs_sums, None)) for _ in rows] for _ in weights]

    def load(pointer, i, kind, size):
        return builder.load(builder.bitcast(builder.gep(pointer, [i]), kind.as_pointer()), align=size)

    def add(place, more):
        builder.store(builder.add(builder.load(place), more), place)

    whole = builder.udiv(k, I64(at_once))
    with cgutils.for_range(builder, whole) as loop:
        i = builder.mul(loop.index, I64(at_once))
        left = [builder.sext(load(w, i, ir.VectorType(I8, at_once), 1), ir.VectorType(I16, at_once)) for w in weights]
        for n, row in enumerate(rows):
            right = load(row, i, ir.VectorType(I16, at_once), 2)
            for a, w in enumerate(left):
                add(sums[a][n], add_pairs(w, right))
    with cgutils.for_range_slice(builder, builder.mul(whole, I64(at_once)), k, I64(1)) as (i, _):
        left = [builder.sext(load(w, i, I8, 1), I32) for w in weights]
        for n, row in enumerate(rows):
            right = builder.sext(load(row, i, I16, 2), I32)
            for a, w in enumerate(left):
                more = builder.insert_element(ir.Constant(pairs_sums, None), builder.mul(w, right), I32(0))
                add(sums[a][n], more)
    vectors = [builder.load(place) for places in sums for place in places]
    for _ in range(pairs.bit_length() - 1):  # each time half as many numbers are left to be added to one
        vectors = [_added(builder, vectors[v : v + 2]) for v in range(0, len(vectors), 2)]
    return [builder.extract_element(vector, I32(i)) for vector in vectors for i in range(vector.type.count)]


def _added(builder, vectors):
    """Return the sums of neighbours in one vector, or in two, of which the second's follow those of the first."""
    total = sum(vector.type.count for vector in vectors)
    chosen = [ir.Constant(ir.VectorType(I32, total // 2), list(range(first, total, 2))) for first in (0, 1)]
    return builder.add(*(builder.shuffle_vector(vectors[0], vectors[-1], mask) for mask in chosen))
