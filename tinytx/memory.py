"""Keeps freed memory in the process, so that a training step, or the next text, need not ask the system for it again; says how much it was."""

import ctypes
import functools
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None

# glibc's malloc.h. Sizes are C ints: the largest is 2 GB.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST, _LARGE = 2**31 - 1, 2**25  # the second where glibc refuses more: half of the memory that it asks the system for at a time


@functools.cache
def keep_freed_memory():
    """Ask the C library to keep freed memory for the next arrays; do nothing if it is not glibc.

    glibc asks the system for each array above 128 kB and returns it when it is freed, and the system clears each page
    that it gives out. A training step makes and frees hundreds of such arrays, always of the same sizes, which takes 5
    to 20 % of its time; a text asks for keys and values. Results do not change, and peak memory changes by a few per cent at most; but the process keeps
    the memory of a step after training, and that of a text.

    All threads share one arena: otherwise each thread of a pool would keep freed memory of its own.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST) or mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)
        mallopt(_M_ARENA_MAX, 1)


def give_back_freed_memory():
    """Give the system what `keep_freed_memory` has kept, as far as whole pages are free: before other memory is used in its place."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _of_glibc(name):
    """Return a function of glibc's, None where the C library is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def peak_memory():
    """Return the most bytes that this process has held in memory so far; None where the system does not say."""
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
