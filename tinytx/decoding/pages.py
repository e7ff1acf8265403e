"""Pages of 2 MB for the weights that are read once for each token.

A processor looks up where each page of memory is, and guesses only within a page what is read next. Linux has pages of 4 kB, and of 2 MB for memory for which
a program asks for them. NumPy asks where it makes an array of 4 MB or more, but many models have matrices of 1 to 4 MB. The first text that a model continues asks for them.
"""

import ctypes
import functools
import sys
import weakref

SIZE = 1 << 21  # bytes of a page
SMALLEST = 1 << 20  # bytes of an array for which it is worth while
_HUGEPAGE, _COLLAPSE = 14, 25  # Linux, madvise: large pages from now on; and move what is there into them (since 6.1)

_asked = weakref.WeakValueDictionary()  # {id: array}


def use_large_pages(arrays):
    """Ask the system to move large arrays into pages of 2 MB, each array once; do nothing where it has no such pages.

    Arrays stay where they are for the program, and so does what lies beside them on the same pages.

    Parameters
    ----------
    arrays : iterable of arrays
    """
    new = [array for array in arrays if array.nbytes >= SMALLEST and _asked.get(id(array)) is not array]
    madvise = _madvise() if new else None
    if madvise is None:
        return
    _asked.update({id(array): array for array in new})
    for start, stop in spans(new):
        for advice in (_HUGEPAGE, _COLLAPSE):
            madvise(start * SIZE, (stop - start) * SIZE, advice)  # where it fails, pages stay as they are


def spans(arrays):
    """Return the pages on which arrays lie as ranges [start, stop), in order, of which none touches the next one."""
    joined = []
    for start, stop in sorted((array.ctypes.data // SIZE, -(-(array.ctypes.data + array.nbytes) // SIZE)) for array in arrays):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(stop, joined[-1][1])
        else:
            joined.append([start, stop])
    return joined


@functools.cache
def _madvise():
    """Return the system's function, or None where there is none that knows these pages."""
    madvise = getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
    if madvise is not None:
        madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return madvise
