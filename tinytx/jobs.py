"""`tinytx.kernel.share` and `tinytx.calls.bound` in machine code: what one thread writes down, and another thread, or a later call, computes.

A job is the address of code and that of its arguments. The code is a function of LLVM (arguments, i) that calls a kernel.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from tinytx import calls, kernel
from tinytx.calls import CALL
from tinytx.kernel import ARGUMENTS, ASKED, AWAKE, CODE, DONE, ENDED, HELPED, PART_BITS, PARTS, TAKEN, TICKET, WAITED

_BYTE, _NUMBER = ir.IntType(8).as_pointer(), ir.IntType(64)
_CODE = ir.FunctionType(ir.VoidType(), [_BYTE, _NUMBER])


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


def _code(context, builder, function, call, given, *, takes_part):
    """Return the address (int64) of code that calls a kernel, for part i if it takes one, with arguments in memory of a type of LLVM's."""
    made = function.dispatcher.get_compile_result(call)
    context.active_code_library.add_linking_library(made.library)
    code = ir.Function(builder.module, _CODE, builder.module.get_unique_name(f"{builder.function.name}.part"))
    code.linkage = "internal"
    code.attributes.add("noinline")  # it is called in three places, and compiled once
    inside = ir.IRBuilder(code.append_basic_block())
    loaded = inside.load(inside.bitcast(code.args[0], given.as_pointer()), align=8)
    parts = [inside.extract_value(loaded, i) for i in range(len(given.elements))]
    callee = context.declare_function(inside.module, made.fndesc)
    arguments = [code.args[1], *parts] if takes_part else parts
    # The kernel's code becomes a part of this one. Else it would be a copy that this process has already, where it has compiled the kernel by
    # itself, and another one, whose last bits may differ, in processes that read it from the disk.
    context.call_conv.call_function(inside, callee, made.signature.return_type, made.signature.args, arguments, attrs=("alwaysinline",))
    inside.ret_void()
    return builder.ptrtoint(code, _NUMBER)


@intrinsic
def _job(typing, function, arguments):
    """Return two addresses: of code that calls function(i, *arguments), and of the arguments, which are on this thread's stack."""
    call = function.get_call_type(typing, (types.intp, *arguments.types), {})

    def instruction(context, builder, signature, values):
        given = cgutils.pack_struct(builder, [builder.extract_value(values[1], i) for i in range(len(arguments))])
        place = cgutils.alloca_once_value(builder, given)
        code = _code(context, builder, function, call, given.type, takes_part=True)
        return cgutils.pack_array(builder, [code, builder.ptrtoint(place, _NUMBER)])

    return types.UniTuple(types.int64, 2)(function, arguments), instruction


@intrinsic
def _run_part(typing, code, place, i):
    """Call code of `_code` for part i."""

    def instruction(context, builder, signature, arguments):
        code = builder.inttoptr(arguments[0], _CODE.as_pointer())
        builder.call(code, [builder.inttoptr(arguments[1], _BYTE), arguments[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), instruction


_MASK = (1 << PART_BITS) - 1  # as the number of the next part it says that there is none


@overload(kernel.share, jit_options={"error_model": "numpy"}, inline="always")  # by itself it would be optimised once more
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
        looks, asked = 0, _load(words, ASKED)
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
            elif looks == patience and _load(words, ASKED) != asked:
                looks, asked = 0, _load(words, ASKED)
            else:
                _pause()
        _add(words, AWAKE, -1)

    return help_others


# ---------------------------------------------------------------------------------------- calls that are written down


@intrinsic
def _bind(typing, memory, function, arguments):
    """Write arguments into memory, and return the address of code that calls function(*arguments) with them."""
    call = function.get_call_type(typing, arguments.types, {})

    def instruction(context, builder, signature, values):
        given = _store_call(context, builder, signature, values)
        return _code(context, builder, function, call, given.type, takes_part=False)

    return types.int64(memory, function, arguments), instruction


def _store_call(context, builder, signature, values, *before):
    """Write values, and behind them the arguments of a call, into memory; return them. Memory and arguments are the first and the last of the signature's."""
    memory, *_, arguments = signature.args
    parts = [builder.extract_value(values[-1], i) for i in range(len(arguments))]
    parts = [_without_owner(context, builder, kind, part) for kind, part in zip(arguments.types, parts, strict=True)]
    given = cgutils.pack_struct(builder, [*before, *parts])
    size = context.get_abi_sizeof(given.type)
    if size > CALL:
        raise ValueError(f"bind: the arguments take {size} bytes, expected at most {CALL}")
    data = context.make_array(memory)(context, builder, values[0]).data
    builder.store(given, builder.bitcast(data, given.type.as_pointer()), align=8)
    return given


def _without_owner(context, builder, kind, value):
    """Return an argument as it is written down: of an array without its owner, which Numba has made for one call only."""
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo, array.parent = (cgutils.get_null_value(each.type) for each in (array.meminfo, array.parent))
    return array._getvalue()


@overload(calls.bind, jit_options={"error_model": "numpy", "forceinline": True})
def _bind_for(memory, function, arguments):
    return lambda memory, function, arguments: _bind(memory, function, arguments)


@intrinsic
def _note(typing, memory, function, arguments):
    """Write the address of a compiled function and its arguments into memory, and return the address of code that makes this call."""

    def instruction(context, builder, signature, values):
        given = _store_call(context, builder, signature, values, values[1])
        code = ir.Function(builder.module, _CODE, builder.module.get_unique_name(f"{builder.function.name}.call"))
        code.linkage = "internal"
        inside = ir.IRBuilder(code.append_basic_block())
        loaded = inside.load(inside.bitcast(code.args[0], given.type.as_pointer()), align=8)
        address, *parts = (inside.extract_value(loaded, i) for i in range(len(given.type.elements)))
        kind = context.call_conv.get_function_type(types.none, arguments.types)
        ignored = [cgutils.alloca_once(inside, each.pointee) for each in kind.args[:2]]  # the result, None, and an error
        parts = context.get_arg_packer(arguments.types).as_arguments(inside, parts)
        inside.call(inside.inttoptr(address, kind.as_pointer()), [*ignored, *parts])
        inside.ret_void()
        return builder.ptrtoint(code, _NUMBER)

    return types.int64(memory, types.int64, arguments), instruction


@overload(calls.note, jit_options={"error_model": "numpy"})
def _note_for(memory, function, arguments):
    return lambda memory, function, arguments: _note(memory, function, arguments)


@overload(calls.run_calls, jit_options={"error_model": "numpy"})
def _run_calls_for(codes, places):
    def run_calls(codes, places):
        for i in range(len(codes)):
            _run_part(codes[i], places[i], 0)

    return run_calls
