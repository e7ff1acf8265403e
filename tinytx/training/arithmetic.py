"""Sums, copies and zeros, by NumPy, or, where a recording is made (`tinytx.recording`), by kernels: the same numbers, which can be made again."""

import numpy as np

from tinytx.kernel import kernel
from tinytx.recording import empty, thread


@kernel
def _plus(out, a, b):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + b[i, j]


@kernel
def _copy(out, a):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j]


@kernel
def _zero(out):
    out[:] = 0


def plus(a, b, out=None):
    """Return a + b, written into ``out`` if it is given; an array, also where these have no axes."""
    if thread.recording is None:
        return np.asarray(a + b) if out is None else np.add(a, b, out=out)
    out = empty(a.shape, a.dtype) if out is None else out
    _plus(*_matrices(out, a, b))
    return out


def copied(a):
    """Return a copy of an array."""
    if thread.recording is None:
        return a.copy()
    out = empty(a.shape, a.dtype)
    _copy(*_matrices(out, a))
    return out


def zeros_like(a):
    """Return zeros with the shape and dtype of an array."""
    if thread.recording is None:
        return np.zeros_like(a)
    out = empty(a.shape, a.dtype)
    _zero(out.reshape(-1))
    return out


def _matrices(*arrays):
    """Return arrays of one shape as matrices: of one row, where all are in one piece, since that is one loop."""
    if arrays[0].ndim == 2 and not all(array.flags.c_contiguous for array in arrays):
        return arrays
    return [array.reshape(1, -1) for array in arrays]
