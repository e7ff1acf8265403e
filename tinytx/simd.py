"""Vectors of `tinytx.registers` in machine code: each function there is one or a few instructions in the loop that calls it.

A vector's type in LLVM is as wide as the processor's registers. Its arithmetic allows a product and a sum to be rounded once and nothing else,
so that numbers are added in the order that is written.
"""

from llvmlite import ir
from numba.core import errors, types
from numba.core.datamodel import models
from numba.core.registry import cpu_target
from numba.extending import lower_builtin, register_model, type_callable

from tinytx import registers

_FEATURES = cpu_target.target_context.codegen().magic_tuple()[-1].split(",")
BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx" in _FEATURES else 16
_SIZES = {types.float32: BYTES // 4, types.float64: BYTES // 8}
_FLOATS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


class Vector(types.Type):
    """Numba's name of a vector of float32 or float64."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(f"vector of {_SIZES[dtype]} {dtype}")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(_FLOATS[fe_type.dtype], _SIZES[fe_type.dtype]))


def _checked(array):
    if not (isinstance(array, types.Array) and array.layout == "C" and array.dtype in _SIZES):
        raise errors.TypingError(f"a vector of {array}; expected a contiguous array of float32 or float64")
    return array.dtype


def _place(context, builder, signature, arguments):
    """Return where number ``at`` of an array lies, as the address of a vector."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    at = context.cast(builder, arguments[1], signature.args[1], types.intp)
    kind = context.get_value_type(Vector(signature.args[0].dtype))
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


@type_callable(registers.lanes)
def _lanes_type(context):
    return lambda array: _checked(array) and types.intp


@lower_builtin(registers.lanes, types.Any)
def _lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, _SIZES[signature.args[0].dtype])


@type_callable(registers.vector)
def _vector_type(context):
    return lambda array, at: Vector(_checked(array))


@lower_builtin(registers.vector, types.Any, types.Any)
def _vector(context, builder, signature, arguments):
    return builder.load(_place(context, builder, signature, arguments), align=signature.args[0].dtype.bitwidth // 8)


@type_callable(registers.zeros)
def _zeros_type(context):
    return lambda array: Vector(_checked(array))


@lower_builtin(registers.zeros, types.Any)
def _zeros(context, builder, signature, arguments):
    return ir.Constant(context.get_value_type(signature.return_type), None)


@type_callable(registers.put)
def _put_type(context):
    def kind(array, at, v):
        if v != Vector(_checked(array)):
            raise errors.TypingError(f"put: a {v} into {array}")
        return types.none

    return kind


@lower_builtin(registers.put, types.Any, types.Any, types.Any)
def _put(context, builder, signature, arguments):
    builder.store(arguments[2], _place(context, builder, signature, arguments), align=signature.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


@type_callable(registers.times_plus)
def _times_plus_type(context):
    def kind(a, v, s):
        if not (isinstance(v, Vector) and s == v and a in (v, v.dtype)):
            raise errors.TypingError(f"times_plus: {a}, {v} and {s}; expected vectors of one dtype, and a number or such a vector before them")
        return v

    return kind


@lower_builtin(registers.times_plus, types.Any, types.Any, types.Any)
def _times_plus(context, builder, signature, arguments):
    a, v, s = arguments
    if a.type != v.type:
        one = builder.insert_element(ir.Constant(v.type, ir.Undefined), a, ir.IntType(32)(0))
        a = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), v.type.count), None))
    return builder.fadd(builder.fmul(a, v, flags=["contract"]), s, flags=["contract"])


@type_callable(registers.total)
def _total_type(context):
    return lambda v: v.dtype


@lower_builtin(registers.total, Vector)
def _total(context, builder, signature, arguments):
    v, number = arguments[0], ir.IntType(32)
    while v.type.count > 1:
        half = v.type.count // 2
        low, high = ([number(i) for i in range(start, start + half)] for start in (0, half))
        kind = ir.VectorType(number, half)
        v = builder.fadd(builder.shuffle_vector(v, v, ir.Constant(kind, low)), builder.shuffle_vector(v, v, ir.Constant(kind, high)))
    return builder.extract_element(v, number(0))
