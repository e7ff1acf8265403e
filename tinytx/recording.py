"""Recordings: what a thread does with kernels, so that `tinytx.calls.Repeated` can do it again without the interpreter.

A recording holds each call of a kernel with its arrays and numbers, and three kinds of Python calls: checks of what is handed in (`beforehand`),
numbers that are read (`result`) and what is done with arrays (`afterwards`). Whatever else computes with numbers on the way, or decides by them,
is not repeated: only code without it may be recorded.
"""

import contextlib
import threading
from collections import deque
from functools import partial

import numpy as np


class Recording:
    """What one thread has done.

    Parameters
    ----------
    most : int
        Bytes of arrays that are made, from which on there is no recording: it would keep them all at one time.
    keeps_calls : bool
        Whether calls and what is made count, and not only what is read and handed on.

    Attributes
    ----------
    is_whole : bool
        Whether there is one: False if there were more bytes.
    calls : deque of (compiled kernel, tuple of arguments)
    before, results, after : list of functools.partial
        What `beforehand`, `result` and `afterwards` have called.
    made : deque of arrays
        What `empty` and `empty_like` have returned.
    """

    def __init__(self, most=1 << 62, keeps_calls=True):
        self._room, self._kept = most, None if keeps_calls else 0
        self._forget()
        self.is_whole = True

    def _forget(self):
        self.is_whole = False
        self.before, self.results, self.after = [], [], []
        self.calls, self.made = deque(maxlen=self._kept), deque(maxlen=self._kept)

    def add_made(self, array):
        self.made.append(array)
        self._room -= array.nbytes
        if self._room < 0:
            self._forget()
            thread.recording = None


class _Thread(threading.local):
    recording = None


thread = _Thread()


@contextlib.contextmanager
def recording(into):
    """Return a context in which what this thread does goes into a `Recording`, or, if it is None, nowhere."""
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
        thread.recording.before.append(partial(check, *arguments))
    return check(*arguments)


def result(function, *arguments):
    """Return function(*arguments), a number that Python reads from arrays, to be read again after recorded calls have been repeated."""
    if thread.recording is not None:
        thread.recording.results.append(partial(function, *arguments))
    return function(*arguments)


def afterwards(function, *arguments):
    """Call function(*arguments), now, and after recorded calls have been repeated; kernels that it calls are not recorded.

    Arrays among the arguments are those that the calls write, each time anew: the function may not keep them, or write into them.
    """
    if thread.recording is not None:
        thread.recording.after.append(partial(function, *arguments))
    with recording(None):
        function(*arguments)
