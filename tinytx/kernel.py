"""The ``kernel`` decorator, whose loops are compiled at their first call, and the functions that loops may call.

A kernel takes arrays and scalars, writes into its output arguments and allocates nothing. It runs serially and without the GIL, so shards of
a batch can run in Python threads at the same time. With threads of its own it would compete with these, and with those of BLAS, for the processors.

compiler.py makes machine code of kernels and of the functions below. It is imported at the first call, and Numba with it,
which takes longer to import than everything else: a command that computes nothing does without.
"""

import math
import os
import threading

import numpy as np

from tinytx.forks import free_in_forks
from tinytx.recording import thread

on_compile = None  # is called with a kernel's name when the cache does not contain it and it has to be compiled
_making = free_in_forks(threading.RLock())


def is_plain():
    """Return whether kernels run as plain Python, thousands of times slower: where NUMBA_DISABLE_JIT is set, for a debugger."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


class Kernel:
    """A loop, which is compiled at its first call."""

    def __init__(self, function, outputs=None):
        self._function, self._compiled, self._outputs = function, None, outputs
        self.__name__, self.__module__, self.__doc__ = function.__name__, function.__module__, function.__doc__

    def __call__(self, *arguments):
        compiled = self._compiled or self.compiled()
        if thread.recording is not None:
            thread.recording.add_call(compiled, arguments)
        return compiled(*arguments)

    def compiled(self):
        """Return the function that Numba made; in plain Python, where NUMBA_DISABLE_JIT is set, the loop itself."""
        with _making:  # two shards may come here at the same time
            if self._compiled is None:
                from tinytx.compiler import compiled

                self._compiled = compiled(self._function, self._outputs)
        return self._compiled

    @property
    def _numba_type_(self):  # Numba asks for it where one kernel calls another
        return self.compiled()._numba_type_


def kernel(function=None, outputs=None):
    """Compile ``function`` at its first call, one version for each dtype, and keep the machine code on disk.

    If no folder for it can be written, or the disk is full, each process compiles it again, and warns once. A file that cannot be read is written again.

    A contiguous array costs another version than one with strides, and so does one that may not be written to. ``@kernel(outputs=2)`` makes one version for
    the dtype of the first argument, which writes to arrays among the first two, and for which arrays of several axes have strides: see `line`.
    """
    return Kernel(function, outputs) if function else lambda function: Kernel(function, outputs)


def exp(x):
    r"""Return e**x for a float32 or float64 scalar inside a kernel: 1e-7 or 4e-16 relative error.

    Write x = n ln 2 + r with n an integer and abs(r) <= ln(2)/2, then e**x = 2 e**r 2**(n-1). The power of two is a float with n - 1 in its
    exponent bits. 2 e**r is a Taylor series, which for such an r has converged after 8 terms in float32 and 14 in float64. If the exponent is too
    large its bits are those of infinity, if it is too small those of 0: the result is 0 for x below -87 in float32 and below -708.1 in float64.
    """
    return np.exp(x)  # this body runs only where NUMBA_DISABLE_JIT is set; compiled kernels get one of the next two


def _exp32(x):
    x = np.float32(-87.3) if x < np.float32(-87.3) else x  # n = -126, whose exponent bits are 0
    x = np.float32(89.4) if x > np.float32(89.4) else x  # n = 129, whose exponent bits are all 1
    # Added to 1.5 * 2**23, n leaves no bits for a fraction: the sum's low bits are the nearest integer, here + 126.
    shifted = x * np.float32(1.4426950408889634) + np.float32(12582912 + 126)
    n = shifted - np.float32(12582912 + 126)
    r = (x - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)  # ln 2 in two parts: exact products
    p = np.float32(2 / 5040)
    p = p * r + np.float32(2 / 720)
    p = p * r + np.float32(2 / 120)
    p = p * r + np.float32(2 / 24)
    p = p * r + np.float32(2 / 6)
    p = p * r + np.float32(2 / 2)
    p = p * r + np.float32(2)
    p = p * r + np.float32(2)
    return p * np.int32(np.float32(shifted).view(np.int32) << 23).view(np.float32)


def _exp64(x):
    x = -708.3 if x < -708.3 else x  # n = -1022
    x = 710.4 if x > 710.4 else x  # n = 1025
    shifted = x * 1.4426950408889634 + (6755399441055744.0 + 1022)  # 1.5 * 2**52
    n = shifted - (6755399441055744.0 + 1022)
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    p = 2 / 6227020800
    p = p * r + 2 / 479001600
    p = p * r + 2 / 39916800
    p = p * r + 2 / 3628800
    p = p * r + 2 / 362880
    p = p * r + 2 / 40320
    p = p * r + 2 / 5040
    p = p * r + 2 / 720
    p = p * r + 2 / 120
    p = p * r + 2 / 24
    p = p * r + 2 / 6
    p = p * r + 1.0
    p = p * r + 2.0
    p = p * r + 2.0
    return p * np.int64(np.float64(shifted).view(np.int64) << 52).view(np.float64)


def normal_cdf(x, e):
    r"""Return P(x), the probability that a standard normal variable is below x, given e = e**(-x**2 / 2).

    P(x) = (1 + erf(x / sqrt 2)) / 2, but this sum loses digits if erf is near -1. So compute the tail beyond a = abs(x), P(-a) = e R(a), and
    P(a) = 1 - P(-a). R falls smoothly from 1/2 at a = 0, like 1 / (a sqrt(2 pi)) for large a. Let u = 2k / (a + k) and t = 1 - u, which is
    between -1 and 1. Then R / u is nearly a polynomial of t: the one that equals it at the Chebyshev points of 0 <= a <= 14 with k = 3 (float32), or
    0 <= a <= 38 with k = 4 (float64). Beyond these ranges P underflows.
    Absolute error 1e-7 or 3e-16. The series for the complementary error function in Numerical Recipes, section 6.2, is of this kind.
    """
    tail = math.erfc(abs(x) * math.sqrt(0.5)) / 2  # as in `exp`, this body runs in plain Python only
    return type(x)(tail if x < 0 else 1 - tail)


TAIL32 = (
    5.6976453e-6, -3.83415466e-5, -1.56225254e-4, 1.73450498e-4, 1.15619641e-3, -1.74488935e-3, -7.87641217e-3,
    3.83363963e-2, -8.48886917e-2, 0.121513947,
)  # fmt: skip
TAIL64 = (
    2.82410308121979421e-10, 1.49191079414873941e-9, 9.00799736850502415e-10, -9.49251151023221775e-9,
    -1.79519640873494047e-8, 3.32486232826340097e-8, 1.26399604150839204e-7, -7.85130419295859991e-8,
    -7.39327618621209866e-7, 8.95942190443787032e-8, 4.39285486427869728e-6, -2.38556076205761255e-7,
    -2.88868190802861578e-5, 1.66680459180272536e-5, 2.03852301252306383e-4, -4.34961546830194509e-4,
    -9.42523620433125993e-4, 7.54957186142239057e-3, -2.33152322449700595e-2, 4.83921750927755708e-2,
    -7.5987080246486392e-2, 9.44106413019689412e-2,
)  # fmt: skip
_TAIL32 = tuple(np.float32(c) for c in TAIL32)


def _normal_cdf32(x, e):
    u = np.float32(6) / (abs(x) + np.float32(3))
    t = np.float32(1) - u
    p = np.float32(0)
    for c in _TAIL32:
        p = p * t + c
    tail = e * u * p
    return tail if x < np.float32(0) else np.float32(1) - tail


def _normal_cdf64(x, e):
    u = 8.0 / (abs(x) + 4.0)
    t = 1.0 - u
    p = 0.0
    for c in TAIL64[:11]:  # two loops of 11: LLVM unrolls no loop of 22
        p = p * t + c
    for c in TAIL64[11:]:
        p = p * t + c
    tail = e * u * p
    return tail if x < 0.0 else 1.0 - tail


def plus(a, b):
    """Return a + b, inside a kernel, in a sum whose order is kept: elsewhere compiled code adds up in an order of its own.

    Of a loop there may be two versions in machine code, the slow one for arrays that may overlap, and their orders differ. So the last bits
    depend on where arrays lie in memory, if a sum of three or more numbers is written there with +.
    """
    return a + b


def times(a, b):
    """Return a * b in float64, inside a kernel, in a product whose order is kept, for the same reason."""
    return np.float64(a) * np.float64(b)


def line(row):
    """Return, inside a kernel, a row (n,) whose numbers lie beside each other, which must be so, as one of which a loop knows it: vector code."""
    return row


def prefetch(array, byte):
    """Ask, inside a kernel, for the memory at a byte of a contiguous array, which a loop reads a little later.

    A processor guesses what is read next, but not far enough where little is computed for each number: rows of 8-bit numbers
    are then read at half of the memory's speed. Nothing happens if the byte is behind the array's end.
    """


def wide():
    """Ask, inside a kernel, for the widest vectors that the processor has.

    Compilers use vectors of 256 bits where a processor has 512, since the first ones of that kind ran at a lower clock rate with them. A loop with
    many sums in registers, or one that waits for numbers from memory, is faster with wide ones. Nothing changes on other processors. What
    a kernel calls is compiled by itself, and has to ask for itself.
    """


def matmul(a, b, out, add=False):
    """Write a @ b into out, inside a kernel, as fast as ``np.matmul`` and without the interpreter's lock.

    BLAS computes it, in threads of its own if it may. Fastest are matrices of which one axis lies in memory without gaps, such as
    some columns of a larger matrix, or a transpose; others are multiplied by a plain loop.

    Parameters
    ----------
    a : array (M, K), float32 or float64
    b : array (K, N)
    out : array (M, N)
        In memory of its own: neither a nor b may lie there. Without K it is filled with zeros.
    add : bool
        Whether the product is added to what is in out.

    Raises
    ------
    ValueError
        If shapes do not fit; a part of what `share` is given has no way to say so.
    """
    if a.shape[1:] != b.shape[:1] or out.shape != a.shape[:1] + b.shape[1:]:
        raise ValueError("matmul: shapes do not fit: expected a (M, K), b (K, N), out (M, N)")
    if add:
        out += a @ b
    else:
        np.matmul(a, b, out=out)


def dots_of_one(weight, j, other, x):
    """Return, inside a kernel, sum_i weight[j, i] x[0, i] and sum_i weight[other, i] x[0, i], in numbers of 32 bits.

    ``weight`` is an int8 array (M, K) and ``x`` an int16 array (1, K), both in one piece of memory. Sums have to fit into 32 bits.
    """
    return _dots(weight, j, other, x)


def dots_of_eight(weight, j, other, x):
    """Return the same for eight rows of x: sum_i weight[j, i] x[n, i] for n = 0 .. 7, then those of ``other``."""
    return _dots(weight, j, other, x)


def _dots(weight, j, other, x):
    return tuple(np.int32(s) for s in (weight[[j, other]].astype(np.int64) @ x.astype(np.int64).T).ravel())


# Words of the memory by which threads hand work over: `share`. They are 128 bytes apart, as far as two processors' caches need.
TICKET, PARTS, DONE, CODE, ARGUMENTS, TAKEN, AWAKE, ENDED, WAITED, HELPED, ASKED = range(0, 176, 16)
WORDS, PART_BITS = 176, 20  # numbers of that memory (int64), and bits of a ticket that count the parts


def share(words, function, n, arguments):
    """Call, inside a kernel, function(i, *arguments) for i = 0 .. n - 1: with helpers that are awake, or alone.

    ``function`` is a kernel. No part may depend on another one. The thread that calls this computes, too, and returns when
    the last part is done. It never waits for a helper that has not begun: whoever is free takes the next part.

    Parameters
    ----------
    words : int64 array (WORDS,), or (0,)
        Memory that helpers look at: `tinytx.workers.awake`. Without elements, or while another thread uses it, all parts
        are computed here.
    function : kernel (i, *arguments)
    n : int
        Below 2**PART_BITS.
    arguments : tuple of arrays and numbers
    """
    for i in range(n):
        function(i, *arguments)


def help_others(words, patience):
    """Compute, inside a kernel, parts of what `share` is given by other threads; return when there was none for ``patience`` looks.

    The number in ``words[TICKET]`` is that of a job, times 2**PART_BITS, plus that of its next part; it never has a value twice. Whoever changes it from t to
    t + 1 has taken a part, and what describes the job has not changed since t was read. If ``words[ASKED]`` has changed, a helper looks as often once more.
    """


def hash_row(key, row):
    """Return 32 random bits for one row of a mask.

    ``key`` is the mask's, of 64 bits, and ``row`` a 64-bit index. The finaliser of SplitMix64 (Steele, Lea, Flood 2014) mixes the bits of the key plus a multiple of row.
    """
    z = np.uint64(key) + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint32((z ^ (z >> np.uint64(31))) >> np.uint64(32))


def hash_element(row_bits, column):
    """Return 32 random bits for one element of a row: ``lowbias32`` (Wellons 2018) of the row's bits and the column.

    It has 32-bit multiplications only, so that one vector instruction hashes eight columns.
    """
    h = np.uint32(np.uint32(row_bits) ^ np.uint32(np.uint32(column) * np.uint32(0x9E3779B9)))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


def row_max(row, n):
    """Return the largest of row[:n]: NaN if one of them is NaN, -inf for n = 0.

    A maximum of floats is not compiled to vector code, because with NaN it depends on the order; a maximum of integers is. The bits of positive
    floats, read as integers, have the same order as the floats, those of negative floats the reverse order. If all bits of the negative ones except
    the sign are flipped, their order is right too; a second flip restores them. NaN of either sign counts as positive, which is above infinity.
    """
    return np.max(row[:n], initial=-np.inf)


def row_size(row, n):
    """Return the largest size of row[:n]: NaN if one of them is NaN, 0 for n = 0. As `row_max`, by the numbers' bits."""
    return np.max(np.abs(row[:n]), initial=0).astype(row.dtype)


def _row_max32(row, n):
    largest = np.int32(-2139095041)  # the image of -inf
    for j in range(n):
        bits = np.float32(row[j]).view(np.int32)
        size = np.int32(bits & 0x7FFFFFFF)
        key = size if size > 0x7F800000 else np.int32(bits ^ np.int32((bits >> 31) & 0x7FFFFFFF))
        largest = max(largest, key)
    return np.int32(largest ^ np.int32((largest >> 31) & 0x7FFFFFFF)).view(np.float32)


def _row_max64(row, n):
    largest = np.int64(-9218868437227405313)
    for j in range(n):
        bits = np.float64(row[j]).view(np.int64)
        size = bits & 0x7FFFFFFFFFFFFFFF
        key = size if size > 0x7FF0000000000000 else bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)
        largest = max(largest, key)
    return np.int64(largest ^ ((largest >> 63) & 0x7FFFFFFFFFFFFFFF)).view(np.float64)


def _row_size32(row, n):
    largest = np.int32(0)
    for j in range(n):
        largest = max(largest, np.int32(np.float32(row[j]).view(np.int32) & 0x7FFFFFFF))
    return np.int32(largest).view(np.float32)


def _row_size64(row, n):
    largest = np.int64(0)
    for j in range(n):
        largest = max(largest, np.int64(np.float64(row[j]).view(np.int64) & 0x7FFFFFFFFFFFFFFF))
    return np.int64(largest).view(np.float64)
