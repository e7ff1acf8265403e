"""Recordings: what a thread does with kernels, so that `tinytx.calls.Repeated` can do it again without the interpreter.

A recording holds each call of a kernel with its arrays and numbers, and three kinds of Python calls: checks of what is handed in (`beforehand`),
numbers that are read (`result`) and what is done with arrays (`afterwards`). Whatever else computes with numbers on the way, or decides by them,
is not repeated: only code without it may be recorded.

Arrays that `empty` makes need not be kept: in their place stands a `View` then, which says what part of which array it was. All others are kept.
"""

import contextlib
import threading
import weakref
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from tinytx.members import owner_of


class View(NamedTuple):
    """An array without its memory.

    Attributes
    ----------
    number : int
        Of the array, among those that `empty` has made, that it is, or of which it shows a part.
    offset : int
        Bytes from the beginning of that array's memory.
    shape, dtype, strides
        As of an array.
    """

    number: int
    offset: int
    shape: tuple
    dtype: np.dtype
    strides: tuple


def found(kind, value):
    """Yield what is of a kind among arguments, which may be tuples, lists, and functions with arguments of their own."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, partial):
        yield from found(kind, (value.args, [*value.keywords.values()]))
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from found(kind, each)


def changed(kind, value, change):
    """Return the same arguments, with change(each) in the place of each that is of a kind."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, partial):
        keywords = {name: changed(kind, each, change) for name, each in value.keywords.items()}
        return partial(value.func, *changed(kind, value.args, change), **keywords)
    if isinstance(value, (tuple, list)):
        values = [changed(kind, each, change) for each in value]
        return value._make(values) if hasattr(value, "_make") else type(value)(values)
    return value


class Recording:
    """What one thread has done.

    Parameters
    ----------
    keeps_made : bool
        Whether arrays that `empty` makes are kept, and stay in their place. The default is a `View` in the place of each.

    Attributes
    ----------
    calls : list of (compiled kernel, tuple of arguments)
    before, results, after : list of functools.partial
        What `beforehand`, `result` and `afterwards` have called.
    stops : list of int
        How many calls of kernels had been made before each of ``after``.
    made : list of arrays
        What `empty` and `empty_like` have made, if it is kept.
    sizes : list of int
        Else their bytes.
    """

    def __init__(self, keeps_made=False):
        self.calls, self.before, self.results, self.after, self.stops, self.made, self.sizes = [], [], [], [], [], [], []
        self._keeps_made = keeps_made
        self._numbers = {}  # {id: (number, weak reference)}: an array that is gone may have left its id to another

    def add_made(self, array):
        if self._keeps_made:
            self.made.append(array)
            return
        self._numbers[id(array)] = len(self.sizes), weakref.ref(array)
        self.sizes.append(array.nbytes)

    def add_call(self, compiled, arguments):
        self.calls.append((compiled, self._without_memory(arguments)))

    def add_before(self, call):
        self.before.append(self._without_memory(call))

    def add_result(self, call):
        self.results.append(self._without_memory(call))

    def add_after(self, call):
        self.after.append(self._without_memory(call))
        self.stops.append(len(self.calls))

    def _without_memory(self, value):
        return changed(np.ndarray, value, self._view)

    def _view(self, array):
        owner = owner_of(array)
        known = self._numbers.get(id(owner))
        if known is None or known[1]() is not owner:
            return array
        return View(known[0], array.ctypes.data - owner.ctypes.data, array.shape, array.dtype, array.strides)


class Bits:
    """The bits of what one thread reads and hands on, in place of a recording.

    Attributes
    ----------
    seen : list of tuple
        Of each call that a recording would keep in ``results``, and behind them of those in ``after``: `bits_of` it.
    """

    def __init__(self):
        self._results, self._after = [], []

    @property
    def seen(self):
        return self._results + self._after

    def add_made(self, array):
        """Arrays are no bits yet."""

    def add_call(self, compiled, arguments):
        """What a kernel writes counts where it is read, or handed on."""

    def add_before(self, call):
        """Checks hand nothing on."""

    def add_result(self, call):
        self._results.append(bits_of(call))

    def add_after(self, call):
        self._after.append(bits_of(call))


def bits_of(call):
    """Return the shapes of the arrays among a call's arguments, each with a digest of its bits."""
    return [(array.shape, blake2b(array.tobytes(), digest_size=16).digest()) for array in found(np.ndarray, call)]


class _Thread(threading.local):
    recording = None


thread = _Thread()


@contextlib.contextmanager
def recording(into):
    """Return a context in which what this thread does goes into a `Recording`, or `Bits`, or, if it is None, nowhere."""
    outside, thread.recording = thread.recording, into
    try:
        yield into
    finally:
        thread.recording = outside


def empty(shape, dtype):
    """Return an array that a kernel is about to write, all that anybody reads of it; in a repetition other arrays are in its place before and afterwards."""
    return _noted(np.empty(shape, dtype))


def empty_like(x, **options):
    """Return the same, laid out in memory like x."""
    return _noted(np.empty_like(x, **options))


def _noted(array):
    if thread.recording is not None:
        thread.recording.add_made(array)
    return array


def beforehand(check, *arguments):
    """Return check(*arguments), to be called again before recorded calls are repeated: it may raise, and return what it was given, but compute nothing."""
    if thread.recording is not None:
        thread.recording.add_before(partial(check, *arguments))
    return check(*arguments)


def result(function, *arguments):
    """Return function(*arguments), a number that Python reads from arrays, to be read again after recorded calls have been repeated."""
    if thread.recording is not None:
        thread.recording.add_result(partial(function, *arguments))
    return function(*arguments)


def afterwards(function, *arguments):
    """Call function(*arguments), now, and after recorded calls have been repeated, all of them or those that were made before; kernels that it calls are not recorded.

    Arrays among the arguments are those that the calls write, each time anew: the function may not keep them, or write into them.
    """
    if thread.recording is not None:
        thread.recording.add_after(partial(function, *arguments))
    with recording(None):
        function(*arguments)
