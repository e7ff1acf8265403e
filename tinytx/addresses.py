"""Addresses of kernels' machine code, by which other machine code calls them: so each is compiled once, wherever it is called from.

A kernel that another one calls becomes a part of that one's machine code, and is optimised there once more. That is right for a few lines in a loop. Where
a call computes for some time, as products of matrices and calls that are written down do, copies gain nothing, each costs as much as the first one, and
their last bits may differ. Machine code on disk knows a kernel by its name, and gets the address in each process when it needs it first.
"""

import ctypes
import importlib
import json
import traceback
from operator import attrgetter

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.np.numpy_support import from_dtype

from tinytx.kernel import Kernel

BYTES, NUMBER = ir.IntType(8).as_pointer(), ir.IntType(64)


def address(made, kinds):
    """Return the address of what Numba made of a kernel, for arguments of these types (a tuple), from the disk or compiled now."""
    if kinds not in made.overloads:
        made.compile(kinds)
    result = made.overloads[kinds]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


def _named(module, name):
    """Return what Numba made of the kernel of a name."""
    made = attrgetter(name)(importlib.import_module(module))
    return made.compiled() if isinstance(made, Kernel) else made


def _written(kind):
    """Return what stands in machine code for a type: of an array, of a tuple, or of a number."""
    if isinstance(kind, types.Array):
        return {"dtype": str(kind.dtype), "ndim": kind.ndim, "layout": kind.layout, "readonly": not kind.mutable}
    return list(map(_written, kind)) if isinstance(kind, types.BaseTuple) else str(kind)


def _read(text):
    """Return the type for which `_written` gives this."""
    if isinstance(text, dict):
        return types.Array(**text | {"dtype": _read(text["dtype"])})
    return types.BaseTuple.from_types(tuple(map(_read, text))) if isinstance(text, list) else from_dtype(np.dtype(text))


@ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
def _find(data, size):
    """Return the address that `address_for` asks for; of an error it prints what it is, and returns 0."""
    try:
        module, name, kinds = json.loads(ctypes.string_at(data, size))
        return address(_named(module, name), tuple(map(_read, kinds)))
    except BaseException:  # compiled code, which raises an error of its own, has called this
        traceback.print_exc()
        return 0


llvmlite.binding.add_symbol("tinytx_find", ctypes.cast(_find, ctypes.c_void_p).value)


def check(made, kinds):
    """Compile a kernel, if it has not been, for arguments of these types; raise an error if another process could not find it by its name."""
    names = made.py_func.__module__, made.py_func.__qualname__
    if "<locals>" in names[1] or _named(*names) is not made:
        raise errors.TypingError(f"{'.'.join(names)}: other processes have to find it; expected a kernel at the top of a module")
    address(made, kinds)


def address_for(context, builder, made, kinds):
    """Return a kernel's address, as a number of LLVM's, in code that asks for it where it needs it first in a process."""
    loop = made.py_func
    place = cgutils.add_global_variable(builder.module, NUMBER, builder.module.get_unique_name("tinytx.address"))
    place.linkage, place.initializer = "internal", NUMBER(0)
    with builder.if_then(builder.icmp_unsigned("==", builder.load_atomic(place, "acquire", 8), NUMBER(0)), likely=False):
        data = cgutils.make_bytearray(json.dumps((loop.__module__, loop.__qualname__, [*map(_written, kinds)])).encode())
        names = builder.bitcast(cgutils.global_constant(builder, "tinytx.names", data), BYTES)
        find = cgutils.get_or_insert_function(builder.module, ir.FunctionType(NUMBER, [BYTES, NUMBER]), "tinytx_find")
        found = builder.call(find, [names, NUMBER(data.type.count)])
        with builder.if_then(builder.icmp_unsigned("==", found, NUMBER(0)), likely=False):
            error = f"{loop.__name__}: there is no machine code of it; the reason is above"
            context.call_conv.return_user_exc(builder, RuntimeError, (error,))
        builder.store_atomic(found, place, "release", 8)
    return builder.load_atomic(place, "acquire", 8)


def call(context, builder, address, kinds, arguments):
    """Call a kernel that returns nothing at an address; what it raises is lost."""
    kind = context.call_conv.get_function_type(types.none, kinds)
    ignored = [cgutils.alloca_once(builder, each.pointee) for each in kind.args[:2]]  # the result, None, and an error
    builder.call(builder.inttoptr(address, kind.as_pointer()), [*ignored, *context.get_arg_packer(kinds).as_arguments(builder, arguments)])
