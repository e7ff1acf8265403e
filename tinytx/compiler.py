"""Makes machine code of kernels, and of the functions of kernel.py that kernels call. Beside it dots.py and matmul.py import Numba.

There are two reasons for the options below.

* ``fastmath=True`` assumes that there is no NaN and no infinity, and replaces ``isnan(x)`` by False. The four flags in
  ``FAST`` allow reordered sums and fused multiply-adds, which vector code needs, and keep NaN and infinity.
* Numba 0.62 and later calls the C library for ``exp`` in a loop, for one element at a time. `kernel.exp` is plain
  arithmetic, so it runs in vector registers like the loop around it.
"""

import hashlib
import warnings
from pathlib import Path

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic, lower_builtin, overload, type_callable

from tinytx import dots, kernel, matmul
from tinytx.kernel import ARGUMENTS, AWAKE, CODE, DONE, ENDED, HELPED, PART_BITS, PARTS, TAKEN, TICKET, WAITED

FAST = {"contract", "reassoc", "nsz", "arcp"}

# A kernel's cached machine code contains a copy of the functions that it calls. Numba compares only the kernel's own file
# to see whether the code is out of date, so a hash of these files is part of the key of the cache, and the name of BLAS's product.
_SOURCES = [Path(file).read_bytes() for file in (kernel.__file__, dots.__file__, matmul.__file__, __file__)]
_HELPERS = hashlib.sha256(b"".join([*_SOURCES, matmul.NAME.encode()])).hexdigest()

_warned = False


class _Files(IndexDataCacheFile):
    """The files of one kernel's machine code. After a kill or with a full disk they may be incomplete."""

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:  # unpickling half a file may raise anything: the list is empty then
            return {}

    def _load_data(self, name):
        try:
            return super()._load_data(name)
        except Exception as error:
            raise OSError(f"{name}: {error}") from error  # numba then compiles the kernel


class _Cache(FunctionCache):
    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _Files(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), _HELPERS, bool(numba.config.BOUNDSCHECK))

    def load_overload(self, sig, target_context):
        loaded = super().load_overload(sig, target_context)
        if loaded is None and kernel.on_compile is not None:
            kernel.on_compile(self._py_func.__name__)
        return loaded

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:  # a full disk, a quota, a folder that became read-only
            _warn_once(error.strerror or error)


def _warn_once(reason):
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"tinytx: compiled kernels cannot be kept on disk ({reason}) and are compiled anew in each process. "
            "Set NUMBA_CACHE_DIR to a writable folder with some free space to keep them.",
            RuntimeWarning,
            stacklevel=3,
        )


def compiled(function):
    """Return a kernel's function as Numba compiles it, which finds its machine code on disk or keeps it there."""
    if numba.config.DISABLE_JIT:  # plain Python, for a debugger: as silent about overflow as compiled code
        return np.errstate(all="ignore")(function)
    made = numba.njit(nogil=True, error_model="numpy", fastmath=FAST)(function)
    try:
        made._cache = _Cache(function)
    except (RuntimeError, OSError) as error:  # numba: "no locator available"
        _warn_once(getattr(error, "strerror", None) or "no folder for them can be written")
    return made


# ---------------------------------------------------------------------------------------- what kernels call


@overload(kernel.exp, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _exp_for(x):  # reassociation would undo the two tricks with large constants
    if x == numba.types.float32:
        return lambda x: _exp32_compiled(x)
    if x == numba.types.float64:
        return lambda x: _exp64_compiled(x)


_exp32_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(kernel._exp32)
_exp64_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(kernel._exp64)


@overload(kernel.normal_cdf)
def _normal_cdf_for(x, e):
    if x == numba.types.float32:
        return lambda x, e: _normal_cdf32_compiled(x, e)
    if x == numba.types.float64:
        return lambda x, e: _normal_cdf64_compiled(x, e)


_normal_cdf32_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(kernel._normal_cdf32)
_normal_cdf64_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(kernel._normal_cdf64)


@overload(kernel.row_max)
def _row_max_for(row, n):
    if row.dtype == numba.types.float32:
        return lambda row, n: _row_max32_compiled(row, n)
    if row.dtype == numba.types.float64:
        return lambda row, n: _row_max64_compiled(row, n)


_row_max32_compiled = numba.njit(error_model="numpy")(kernel._row_max32)
_row_max64_compiled = numba.njit(error_model="numpy")(kernel._row_max64)


@overload(kernel.hash_row)
def _hash_row_for(key, row):
    return lambda key, row: _hash_row_compiled(key, row)


@overload(kernel.hash_element)
def _hash_element_for(row_bits, column):
    return lambda row_bits, column: _hash_element_compiled(row_bits, column)


_hash_row_compiled = numba.njit(error_model="numpy")(kernel.hash_row)
_hash_element_compiled = numba.njit(error_model="numpy")(kernel.hash_element)


@overload(kernel.plus, jit_options={"fastmath": False, "error_model": "numpy", "forceinline": True})
def _plus_for(a, b):
    return lambda a, b: a + b


@overload(kernel.prefetch)
def _prefetch_for(array, byte):
    return lambda array, byte: _prefetch_compiled(array, byte)


@intrinsic
def _prefetch_compiled(typing, array, byte):
    def instruction(context, builder, signature, arguments):
        start, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = builder.bitcast(context.make_array(signature.args[0])(context, builder, arguments[0]).data, start)
        kind = ir.FunctionType(ir.VoidType(), [start, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        options = [number(0), number(3), number(1)]  # to read, into all caches, data
        builder.call(function, [builder.gep(data, [arguments[1]]), *options])
        return context.get_dummy_value()

    return types.void(array, types.intp), instruction


@type_callable(kernel.wide)
def _wide_type(context):
    return lambda: types.none


@lower_builtin(kernel.wide)
def _wide_for(context, builder, signature, arguments):
    # An attribute of the caller: it decides how wide its loops become, and code that has been made wide stays so where it is inlined.
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own `add` knows no attribute with a value
    return context.get_dummy_value()


# ---------------------------------------------------------------------------------------- threads that share a job


def _address(context, builder, kind, words, i):
    return builder.gep(context.make_array(kind)(context, builder, words).data, [i])


@intrinsic
def _load(typing, words, i):
    """Return a word: what another thread wrote before it wrote this is seen from here on."""

    def instruction(context, builder, signature, arguments):
        return builder.load_atomic(_address(context, builder, signature.args[0], *arguments), "acquire", 8)

    return types.int64(words, types.intp), instruction


@intrinsic
def _store(typing, words, i, value):
    """Write a word: who reads it sees all that this thread wrote before."""

    def instruction(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), instruction


@intrinsic
def _add(typing, words, i, value):
    """Add to a word."""

    def instruction(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", address, arguments[2], "acq_rel")

    return types.int64(words, types.intp, types.int64), instruction


@intrinsic
def _replace(typing, words, i, old, new):
    """Write ``new`` into a word if it is ``old``; return whether it was."""

    def instruction(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        return builder.extract_value(builder.cmpxchg(address, *arguments[2:], "acq_rel", "acquire"), 1)

    return types.boolean(words, types.intp, types.int64, types.int64), instruction


@intrinsic
def _pause(typing):
    """Tell the processor that this thread waits in a loop."""

    def instruction(context, builder, signature, arguments):
        if builder.module.triple.startswith("x86_64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), instruction


@intrinsic
def _job(typing, function, arguments):
    """Return two addresses: of code that calls function(i, *arguments), and of the arguments, which are on this thread's stack."""
    call = function.get_call_type(typing, (types.intp, *arguments.types), {})

    def instruction(context, builder, signature, values):
        made = function.dispatcher.get_compile_result(call)
        context.active_code_library.add_linking_library(made.library)
        place = cgutils.alloca_once_value(builder, values[1])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [byte, number])
        code = ir.Function(builder.module, kind, builder.module.get_unique_name(f"{builder.function.name}.part"))
        code.linkage = "internal"
        code.attributes.add("noinline")  # it is called in three places, and compiled once
        inside = ir.IRBuilder(code.append_basic_block())
        given = inside.load(inside.bitcast(code.args[0], values[1].type.as_pointer()))
        parts = [inside.extract_value(given, i) for i in range(len(arguments))]
        callee = context.declare_function(inside.module, made.fndesc)
        context.call_conv.call_function(inside, callee, made.signature.return_type, made.signature.args, [code.args[1], *parts])
        inside.ret_void()
        addresses = [builder.ptrtoint(builder.bitcast(pointer, byte), number) for pointer in (code, place)]
        return cgutils.pack_array(builder, addresses)

    return types.UniTuple(types.int64, 2)(function, arguments), instruction


@intrinsic
def _run_part(typing, code, place, i):
    """Call code of `_job` for part i."""

    def instruction(context, builder, signature, arguments):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(64)
        code = builder.inttoptr(arguments[0], ir.FunctionType(ir.VoidType(), [byte, number]).as_pointer())
        builder.call(code, [builder.inttoptr(arguments[1], byte), arguments[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), instruction


_MASK = (1 << PART_BITS) - 1  # as the number of the next part it says that there is none


@overload(kernel.share, jit_options={"error_model": "numpy", "forceinline": True})  # else an address is left in it: no cache
def _share_for(words, function, n, arguments):
    def share(words, function, n, arguments):
        code, place = _job(function, arguments)
        if len(words) == 0 or n < 2 or not _replace(words, TAKEN, 0, 1):
            for i in range(n):
                _run_part(code, place, i)
            return
        number = (_load(words, TICKET) >> PART_BITS) + 1
        _store(words, TICKET, number << PART_BITS | _MASK)  # from here on nobody takes a part of the job before
        _store(words, CODE, code)
        _store(words, ARGUMENTS, place)
        _store(words, PARTS, n)
        _store(words, DONE, 0)
        _store(words, TICKET, (number + 1) << PART_BITS)
        ticket = _load(words, TICKET)
        while ticket & _MASK < n:
            if _replace(words, TICKET, ticket, ticket + 1):
                _run_part(code, place, ticket & _MASK)
                _add(words, DONE, 1)
            ticket = _load(words, TICKET)
        looks = 0
        while _load(words, DONE) < n:
            looks += 1
            _pause()
        _store(words, WAITED, _load(words, WAITED) + looks)
        _store(words, TAKEN, 0)

    return share


@overload(kernel.help_others, jit_options={"error_model": "numpy"})
def _help_others_for(words, patience):
    def help_others(words, patience):
        _add(words, AWAKE, 1)
        looks = 0
        while looks < patience and _load(words, ENDED) == 0:
            looks += 1
            ticket = _load(words, TICKET)
            part = ticket & _MASK
            if part < _load(words, PARTS):
                code, place = _load(words, CODE), _load(words, ARGUMENTS)
                if _replace(words, TICKET, ticket, ticket + 1):
                    _run_part(code, place, part)
                    _add(words, HELPED, 1)
                    _add(words, DONE, 1)
                looks = 0
            else:
                _pause()
        _add(words, AWAKE, -1)

    return help_others
