"""Makes machine code of kernels, and of the functions of kernel.py that kernels call. Beside it addresses.py, dots.py, jobs.py, layouts.py, matmul.py and simd.py import Numba.

There are two reasons for the options below.

* ``fastmath=True`` assumes that there is no NaN and no infinity, and replaces ``isnan(x)`` by False. The four flags in
  ``FAST`` allow reordered sums and fused multiply-adds, which vector code needs, and keep NaN and infinity.
* Numba 0.62 and later calls the C library for ``exp`` in a loop, for one element at a time. `kernel.exp` is plain
  arithmetic, so it runs in vector registers like the loop around it.
"""

import functools
import hashlib
import warnings
from pathlib import Path
from types import FunctionType

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from numba.core.typing import signature
from numba.extending import lower_builtin, overload, type_callable

from tinytx import addresses, calls, dots, jobs, kernel, layouts, matmul, registers, simd
from tinytx.forks import free_in_forks

FAST = {"contract", "reassoc", "nsz", "arcp"}

# A kernel's cached machine code contains a copy of the functions that it calls. Numba compares only the kernel's own file
# to see whether the code is out of date, so a hash of these files is part of the key of the cache, and the name of BLAS's product.
_MODULES = (kernel, addresses, calls, dots, jobs, layouts, matmul, registers, simd)
_SOURCES = [Path(module.__file__).read_bytes() for module in _MODULES] + [Path(__file__).read_bytes()]
_HELPERS = hashlib.sha256(b"".join([*_SOURCES, matmul.NAME.encode()])).hexdigest()

_warned = False

free_in_forks(global_compiler_lock)


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


def compiled(function, outputs=None):
    """Return a kernel's function as Numba compiles it, which finds its machine code on disk or keeps it there."""
    if numba.config.DISABLE_JIT:  # plain Python, for a debugger: as silent about overflow as compiled code
        return np.errstate(all="ignore")(function)
    return _made(function) if outputs is None else layouts.AnyLayout(function, outputs, _made)


def _made(function):
    made = numba.njit(nogil=True, error_model="numpy", fastmath=FAST, no_cfunc_wrapper=True)(function)
    try:
        made._cache = _Cache(function)
    except (RuntimeError, OSError) as error:  # numba: "no locator available"
        _warn_once(getattr(error, "strerror", None) or "no folder for them can be written")
    return made


# ---------------------------------------------------------------------------------------- what kernels call


_SERIES = {"fastmath": {"contract"}, "error_model": "numpy"}  # reassociation would undo the two tricks of `exp` with large constants


@overload(kernel.exp, jit_options=_SERIES)
def _exp_for(x):
    return {types.float32: kernel._exp32, types.float64: kernel._exp64}.get(x)


@overload(kernel.normal_cdf, jit_options=_SERIES)
def _normal_cdf_for(x, e):
    return {types.float32: kernel._normal_cdf32, types.float64: kernel._normal_cdf64}.get(x)


@overload(kernel.row_max, jit_options={"error_model": "numpy"})
def _row_max_for(row, n):
    return {types.float32: kernel._row_max32, types.float64: kernel._row_max64}.get(row.dtype)


overload(kernel.hash_row, jit_options={"error_model": "numpy"})(lambda key, row: kernel.hash_row)
overload(kernel.hash_element, jit_options={"error_model": "numpy"})(lambda row_bits, column: kernel.hash_element)


@overload(kernel.plus, jit_options={"fastmath": False, "error_model": "numpy", "forceinline": True})
def _plus_for(a, b):
    return lambda a, b: a + b


@type_callable(kernel.prefetch)
def _prefetch_type(context):
    return lambda array, byte: signature(types.none, array, types.intp)


@lower_builtin(kernel.prefetch, types.Array, types.intp)
def _prefetch(context, builder, signature, arguments):
    start, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    data = builder.bitcast(context.make_array(signature.args[0])(context, builder, arguments[0]).data, start)
    kind = ir.FunctionType(ir.VoidType(), [start, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    options = [number(0), number(3), number(1)]  # to read, into all caches, data
    builder.call(function, [builder.gep(data, [arguments[1]]), *options])
    return context.get_dummy_value()


@type_callable(kernel.wide)
def _wide_type(context):
    return lambda: types.none


@lower_builtin(kernel.wide)
def _wide_for(context, builder, signature, arguments):
    # An attribute of the caller: it decides how wide its loops become, and code that has been made wide stays so where it is inlined.
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own `add` knows no attribute with a value
    return context.get_dummy_value()


# ---------------------------------------------------------------------------------------- calls that are written down


def _binder(memory, arguments):
    return bind(memory, loop, arguments)  # noqa: F821  the names are those of `binder`


@functools.cache
def binder(loop):
    """Return the compiled function (memory, arguments) -> address that `tinytx.calls.bound` calls, kept on disk beside the loop itself."""
    function, name = loop.py_func, f"bind{loop.py_func.__name__}"
    code = _binder.__code__.replace(
        co_filename=function.__code__.co_filename, co_firstlineno=function.__code__.co_firstlineno, co_name=name, co_qualname=name
    )
    made = FunctionType(code, {"bind": calls.bind, "loop": loop, "__name__": function.__module__}, name)
    return compiled(made)


@kernel.kernel
def _note(memory, function, arguments):
    return calls.note(memory, function, arguments)


def noted(memory, made, arguments):
    """Return what `tinytx.calls.Repeated` needs to make a call: the address of code that does so.

    Parameters
    ----------
    memory : uint8 array (CALL,)
    made : what a `tinytx.kernel.Kernel` calls
        The call is one of its own machine code, so that it has the bits that it has when Python calls it.
    arguments : tuple
    """
    if isinstance(made, layouts.AnyLayout):
        made = made.version(arguments)
        (kinds,) = made.overloads
    else:
        kinds = tuple(map(numba.typeof, arguments))
        if kinds not in made.overloads:
            raise LookupError(f"noted: {made.__name__} has been called with arguments that Numba had converted: {kinds}")
    return _note(memory, addresses.address(made, kinds), arguments)
