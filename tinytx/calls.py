"""Calls of kernels that are written down, to be made later, by compiled code and without the interpreter's lock.

To call a loop takes the interpreter a microsecond or two, and several times as long to find out with which arrays. Where the same loops are called with
the same arrays again and again, `bound` writes a call down once, and `run_calls`, inside a kernel, makes one after the other.
"""

import numpy as np

from tinytx.kernel import Kernel, kernel

CALL = 3072  # bytes that the arguments of one call may take


def bind(memory, function, arguments):
    """Write arguments, inside a kernel, into memory; return the address of code that calls function(*arguments) with them.

    What `bound` compiles. In plain Python there are no such addresses.
    """
    raise RuntimeError("bind: NUMBA_DISABLE_JIT is set: in plain Python there is no machine code to call")


def note(memory, function, arguments):
    """Write the address of a compiled function and its arguments, inside a kernel, into memory; return the address of code that makes this call."""
    raise RuntimeError("note: NUMBA_DISABLE_JIT is set: in plain Python there is no machine code to call")


def run_calls(codes, places):
    """Make, inside a kernel, one call after the other: of code at the addresses that `bound` returned, with what stands at ``places``."""


def bound(loop, memory, *arguments):
    """Write arguments of a kernel into memory; return the address of code that calls it with them, for `run_calls`.

    Parameters
    ----------
    loop : kernel
    memory : uint8 array (CALL,)
        It has to exist, at its place, as long as the address is used, and so have the arrays among the arguments.
    *arguments : arrays and numbers

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If memory is of another kind or size, or arguments do not fit into it.
    """
    if memory.dtype != np.uint8 or memory.shape != (CALL,) or not memory.flags.c_contiguous:
        raise ValueError(f"bound: memory is {memory.dtype} of shape {memory.shape}, expected {CALL} bytes in one piece")
    from tinytx.compiler import binder

    return binder(loop.compiled() if isinstance(loop, Kernel) else loop)(memory, arguments)


@kernel
def _run(codes, places):
    run_calls(codes, places)


class Repeated:
    """A recording, made again: its calls by compiled code, in one piece and without the interpreter's lock.

    Parameters
    ----------
    recording : Recording
        Its arrays are kept as long as this exists.

    Raises
    ------
    LookupError
        If a call was made with arguments that Numba had converted, so that its machine code is not known.
    """

    def __init__(self, recording):
        from tinytx.compiler import noted

        self.recording = recording
        self._memory = np.zeros((len(recording.calls), CALL), np.uint8)
        codes = [noted(memory, *call) for memory, call in zip(self._memory, recording.calls, strict=True)]
        self._codes, self._places = np.array(codes, np.int64), self._memory.ctypes.data + CALL * np.arange(len(codes))

    def again(self, hands_on=False):
        """Check what is handed in, make all calls, and return the results; with ``hands_on`` what is done afterwards is done in between, as soon as it can be."""
        for check in self.recording.before:
            check()
        done = 0
        for stop, function in zip(self.recording.stops, self.recording.after) if hands_on else ():
            _run(self._codes[done:stop], self._places[done:stop])
            function()
            done = stop
        _run(self._codes[done:], self._places[done:])
        return [read() for read in self.recording.results]
