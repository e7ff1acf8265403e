"""Where the arrays of a recording lie: in one piece of memory, in places that other arrays had before and get afterwards.

The arrays of a step together are several times as large as those that count at one time. With a place for each, most of what a kernel writes is
in no cache and has to be fetched first; the place of an array that no later call reads is.
"""

import contextlib
import mmap
from typing import NamedTuple

import numpy as np

from tinytx.recording import View, changed, found

APART = 64  # bytes: places begin at multiples of it


class Life(NamedTuple):
    """Of an array: its bytes, and the numbers of the first call that has it and of the last one."""

    size: int
    first: int
    last: int


class Placed(NamedTuple):
    """A recording whose calls compute in one piece of memory: as `tinytx.recording.Recording`, with arrays for views."""

    calls: list
    before: list
    results: list
    after: list
    stops: list


def lives(recording):
    """Return {number: Life} of the arrays that a recording has views of, in the order of their first calls.

    The last call of arrays that are read after the calls is the one behind all.
    """
    seen = {}
    ends = [arguments for _, arguments in recording.calls] + [recording.results + recording.after]
    for call, arguments in enumerate(ends):
        for view in found(View, arguments):
            first = seen[view.number].first if view.number in seen else call
            seen[view.number] = Life(recording.sizes[view.number], first, call)
    return seen


def places(spans):
    """Return {number: first byte} for arrays with a `Life` each, and how many bytes they need together.

    Each gets the lowest place that none of those before it has which live at the same time.
    """
    taken, size = {}, 0
    for number, life in spans.items():
        start = 0
        for begin, end, other in sorted(each for each in taken.values() if each[2].first <= life.last and each[2].last >= life.first):
            if begin - start >= life.size:
                break
            start = max(start, end)
        end = -(-(start + life.size) // APART) * APART
        taken[number], size = (start, end, life), max(size, end)
    return {number: start for number, (start, *_) in taken.items()}, size


def placed(recording, most):
    """Return a recording with memory, and how many bytes that is; None and the bytes if it needs more than ``most``, or the system does not give them.

    The system is asked for the memory, on pages of 2 MB where it has them (a step of baby takes 0.95 of the time that it takes on small ones), and gives it
    when it is first written.
    """
    starts, size = places(lives(recording))
    memory = _memory(size + 1) if size <= most else None
    if memory is None:
        return None, size

    def place(view):
        return np.ndarray(view.shape, view.dtype, memory, starts[view.number] + view.offset, view.strides)

    calls = [(loop, changed(View, arguments, place)) for loop, arguments in recording.calls]
    before, results, after = (changed(View, each, place) for each in (recording.before, recording.results, recording.after))
    return Placed(calls, before, results, after, recording.stops), size


def _memory(size):
    """Return memory that is nobody else's, an array of so many bytes, or None if the system does not give it."""
    try:
        room = mmap.mmap(-1, size, access=mmap.ACCESS_COPY)
    except OSError:
        return None
    with contextlib.suppress(OSError, AttributeError):  # of a system without such pages
        room.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(room, np.uint8)
