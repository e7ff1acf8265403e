"""`tinytx.kernel.share` and `tinytx.calls.bound` in machine code: what one thread writes down, and another thread, or a later call, computes.

A job is the address of code and that of its arguments. The code is a function of LLVM (arguments, i) that calls a kernel: for a part of a job
the kernel is inside it, and for a call that is written down its address stands before the arguments.
"""

from llvmlite import ir
from numba.core import cgutils, types, typing
from numba.extending import intrinsic, lower_builtin, overload, type_callable

from tinytx import addresses, calls, kernel
from tinytx.addresses import BYTES, NUMBER
from tinytx.calls import CALL
from tinytx.kernel import ARGUMENTS, ASKED, AWAKE, CODE, DONE, ENDED, HELPED, PART_BITS, PARTS, TAKEN, TICKET, WAITED

_CODE = ir.FunctionType(ir.VoidType(), [BYTES, NUMBER])


def _place(context, builder, kind, words, i):
    return builder.gep(context.make_array(kind)(context, builder, words).data, [i])


@intrinsic
def _load(typing, words, i):
    """Return a word: what another thread wrote before it wrote this is seen from here on."""

    def instruction(context, builder, signature, arguments):
        return builder.load_atomic(_place(context, builder, signature.args[0], *arguments), "acquire", 8)

    return types.int64(words, types.intp), instruction


@intrinsic
def _store(typing, words, i, value):
    """Write a word: who reads it sees all that this thread wrote before."""

    def instruction(context, builder, signature, arguments):
        address = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), instruction


@intrinsic
def _add(typing, words, i, value):
    """Add to a word."""

    def instruction(context, builder, signature, arguments):
        address = _place(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", address, arguments[2], "acq_rel")

    return types.int64(words, types.intp, types.int64), instruction


@intrinsic
def _replace(typing, words, i, old, new):
    """Write ``new`` into a word if it is ``old``; return whether it was."""

    def instruction(context, builder, signature, arguments):
        address = _place(context, builder, signature.args[0], *arguments[:2])
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


def _code(context, builder, given, kinds):
    """Return the address (int64) of code that makes a call: of the function at an address, which is the first of what is in memory, with the rest.

    Parameters
    ----------
    given : type of LLVM's
        Of what is in memory.
    kinds : tuple of Numba's types
        Of the arguments.
    """
    code = ir.Function(builder.module, _CODE, builder.module.get_unique_name(f"{builder.function.name}.call"))
    code.linkage = "internal"
    inside = ir.IRBuilder(code.append_basic_block())
    loaded = inside.load(inside.bitcast(code.args[0], given.as_pointer()), align=8)
    address, *parts = (inside.extract_value(loaded, i) for i in range(len(given.elements)))
    addresses.call(context, inside, address, kinds, parts)
    inside.ret_void()
    return builder.ptrtoint(code, NUMBER)


@intrinsic
def _run_part(typing, code, place, i):
    """Call code of `_code` for part i."""

    def instruction(context, builder, signature, arguments):
        code = builder.inttoptr(arguments[0], _CODE.as_pointer())
        builder.call(code, [builder.inttoptr(arguments[1], BYTES), arguments[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), instruction


_MASK = (1 << PART_BITS) - 1  # as the number of the next part it says that there is none


def _run_parts(words, code, place, n):
    """Do what `share` does, with code of `_job`."""
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


def _code_inside(context, builder, function, given, kinds):
    """Return the address (int64) of code that calls a kernel for part i, with the other arguments in memory of a type of LLVM's."""
    made = function.dispatcher.overloads[kinds]
    context.active_code_library.add_linking_library(made.library)
    code = ir.Function(builder.module, _CODE, builder.module.get_unique_name(f"{builder.function.name}.part"))
    code.linkage = "internal"
    code.attributes.add("noinline")  # it is called in several places, and compiled once
    inside = ir.IRBuilder(code.append_basic_block())
    loaded = inside.load(inside.bitcast(code.args[0], given.as_pointer()), align=8)
    arguments = [code.args[1], *(inside.extract_value(loaded, i) for i in range(len(given.elements)))]
    callee = context.declare_function(inside.module, made.fndesc)
    # The kernel's code becomes a part of this one. Else it would be a copy that this process has already, where it has compiled the kernel by
    # itself, and another one, whose last bits may differ, in processes that read it from the disk.
    context.call_conv.call_function(inside, callee, made.signature.return_type, made.signature.args, arguments, attrs=("alwaysinline",))
    inside.ret_void()
    return builder.ptrtoint(code, NUMBER)


@type_callable(kernel.share)  # and no `overload`, which would be compiled once more, with its part, to know that it returns nothing
def _share_type(context):
    def kinds(words, function, n, arguments):
        function.get_call_type(context, (types.intp, *arguments.types), {})
        return typing.signature(types.none, words, function, types.intp, arguments)

    return kinds


@lower_builtin(kernel.share, types.Array, types.Dispatcher, types.intp, types.BaseTuple)
def _share(context, builder, signature, values):
    words, function, _, arguments = signature.args
    kinds = (types.intp, *arguments.types)
    given = cgutils.pack_struct(builder, [builder.extract_value(values[3], i) for i in range(len(arguments))])
    place = cgutils.alloca_once_value(builder, given)  # on this thread's stack: it waits for all parts
    code = _code_inside(context, builder, function, given.type, kinds)
    call = typing.signature(types.none, words, types.int64, types.int64, types.intp)
    return context.compile_internal(builder, _run_parts, call, [values[0], code, builder.ptrtoint(place, NUMBER), values[2]])


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


def _without_owner(context, builder, kind, value):
    """Return an argument as it is written down: of an array without its owner, which Numba has made for one call only."""
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo, array.parent = (cgutils.get_null_value(each.type) for each in (array.meminfo, array.parent))
    return array._getvalue()


def _write(context, builder, memory, address, arguments):
    """Write an address and arguments, each with its type, into memory; return the address of code that makes this call."""
    (memory_kind, memory), (arguments_kind, arguments) = memory, arguments
    parts = [builder.extract_value(arguments, i) for i in range(len(arguments_kind))]
    parts = [_without_owner(context, builder, kind, part) for kind, part in zip(arguments_kind.types, parts, strict=True)]
    given = cgutils.pack_struct(builder, [address, *parts])
    size = context.get_abi_sizeof(given.type)
    if size > CALL:
        raise ValueError(f"bind: the arguments take {size} bytes, expected at most {CALL}")
    data = context.make_array(memory_kind)(context, builder, memory).data
    builder.store(given, builder.bitcast(data, given.type.as_pointer()), align=8)
    return _code(context, builder, given.type, arguments_kind.types)


@type_callable(calls.bind)
def _bind_type(context):
    def kinds(memory, function, arguments):
        addresses.check(function.dispatcher, tuple(arguments.types))
        return types.int64

    return kinds


@lower_builtin(calls.bind, types.Array, types.Dispatcher, types.BaseTuple)
def _bind(context, builder, signature, values):
    memory, function, arguments = zip(signature.args, values, strict=True)
    return _write(context, builder, memory, addresses.address_for(context, builder, function[0].dispatcher, tuple(arguments[0].types)), arguments)


@type_callable(calls.note)
def _note_type(context):
    return lambda memory, function, arguments: types.int64


@lower_builtin(calls.note, types.Array, types.int64, types.BaseTuple)
def _note(context, builder, signature, values):
    memory, _, arguments = zip(signature.args, values, strict=True)
    return _write(context, builder, memory, values[1], arguments)


@overload(calls.run_calls, jit_options={"error_model": "numpy"})
def _run_calls_for(codes, places):
    def run_calls(codes, places):
        for i in range(len(codes)):
            _run_part(codes[i], places[i], 0)

    return run_calls
