"""Where the arrays of a recording lie: in one piece of memory, in places that other arrays had before and get afterwards.

The arrays of a step together are several times as large as those that count at one time. With a place for each, most of what a kernel writes is
in no cache and has to be fetched first; the place of an array that no later call reads is.
"""

from functools import partial

import numpy as np

from tinytx.core import owner_of
from tinytx.recording import Recording

APART = 64  # bytes: places begin at multiples of it


def arrays(value):
    """Yield the arrays in arguments, which may be tuples, lists, and functions with arguments of their own."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, partial):
        yield from arrays(value.args)
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from arrays(each)


def changed(value, change):
    """Return the same arguments, with change(array) in the place of each array."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, partial):
        return partial(value.func, *changed(value.args, change))
    if isinstance(value, (tuple, list)):
        values = [changed(each, change) for each in value]
        return value._make(values) if hasattr(value, "_make") else type(value)(values)
    return value


def lives(recording):
    """Return {id: (array, number of the first call that has it, number of the last one)} of what `tinytx.recording.empty` made, in the order of their first calls.

    The last number of arrays that are read after the calls is that of the calls.
    """
    found, new = {}, {id(array): array for array in recording.made}
    ends = [arguments for _, arguments in recording.calls] + [recording.results + recording.after]
    for number, arguments in enumerate(ends):
        for owner in map(owner_of, arrays(arguments)):
            if id(owner) in new:
                found[id(owner)] = owner, found.get(id(owner), (owner, number))[1], number
    return found


def places(spans):
    """Return {id: first byte} for arrays that live at some time, and how many bytes they need together.

    Each gets the lowest place that none of those before it has which live at the same time.
    """
    taken, size = {}, 0
    for key, (array, first, last) in spans.items():
        start = 0
        for begin, end, _, _ in sorted(each for each in taken.values() if each[2] <= last and each[3] >= first):
            if begin - start >= array.nbytes:
                break
            start = max(start, end)
        end = -(-(start + array.nbytes) // APART) * APART
        taken[key], size = (start, end, first, last), max(size, end)
    return {key: start for key, (start, *_) in taken.items()}, size


def moved(recording):
    """Return the same recording, whose calls compute in one piece of memory."""
    spans = lives(recording)
    starts, size = places(spans)
    memory = np.empty(size + APART, np.uint8)
    origin = -memory.ctypes.data % APART

    def move(array):
        owner = owner_of(array)
        if id(owner) not in starts:
            return array
        offset = origin + starts[id(owner)] + array.ctypes.data - owner.ctypes.data
        return np.ndarray(array.shape, array.dtype, memory, offset, array.strides)

    other = Recording()
    other.calls = [(loop, changed(arguments, move)) for loop, arguments in recording.calls]
    other.before, other.results, other.after = recording.before, changed(recording.results, move), changed(recording.after, move)
    return other
