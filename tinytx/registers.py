"""Vectors: a few neighbouring numbers of an array, which a loop holds in one register of the processor.

A compiler makes vectors of most loops by itself. Where sums shall stay in registers while a loop goes through rows, they have to be named: a compiler
is not sure that what is written is not read as well. Kernels call these functions, whose bodies run in plain Python only; simd.py makes machine code of them.
Nothing tests whether the numbers of a vector are inside its array.
"""

import numpy as np


def lanes(array):
    """Return, inside a kernel, how many of an array's numbers a vector has: 16 of float32 with AVX-512, 8 with AVX, else 4."""
    return 64 // array.itemsize


def vector(array, at):
    """Return, inside a kernel, the vector of those numbers of a contiguous array that begin at number ``at``; all have to be there."""
    return array.ravel()[at : at + lanes(array)].copy()


def zeros(array):
    """Return, inside a kernel, a vector of zeros, of an array's dtype."""
    return np.zeros(lanes(array), array.dtype)


def put(array, at, v):
    """Write a vector, inside a kernel, into a contiguous array from number ``at`` on."""
    array.reshape(-1)[at : at + len(v)] = v


def times_plus(a, v, s):
    """Return a v + s, inside a kernel, for vectors v and s and a number or a vector a: rounded once where a processor can."""
    return a * v + s


def total(v):
    """Return the sum of a vector's numbers, inside a kernel: halves are added until there is one number."""
    while len(v) > 1:
        v = v[: len(v) // 2] + v[len(v) // 2 :]
    return v[0]
