"""The ``kernel`` decorator, which compiles loops, and the functions that loops may call.

No other file imports numba. A kernel takes arrays and scalars, writes into its output arguments and allocates nothing.
It runs serially and without the GIL, so shards of a batch can run in Python threads at the same time. A kernel with
threads of its own would compete with these threads, and with those of BLAS, for the processors.

There are two reasons for the options below.

* ``fastmath=True`` assumes that there is no NaN and no infinity, and replaces ``isnan(x)`` by False. The four flags in
  ``FAST`` allow reordered sums and fused multiply-adds, which vector code needs, and keep NaN and infinity.
* Numba 0.62 and later calls the C library for ``exp`` in a loop, for one element at a time. `exp` below is plain
  arithmetic, so it runs in vector registers like the loop around it.
"""

import hashlib
import math
import warnings
from pathlib import Path

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import overload

FAST = {"contract", "reassoc", "nsz", "arcp"}

# A kernel's cached machine code contains a copy of the functions below. Numba compares only the kernel's own file to see
# whether the code is out of date, so a hash of this file is part of the key of the cache.
_HELPERS = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

on_compile = None  # is called with a kernel's name when the cache does not contain it and it has to be compiled
_warned = False


class _Files(IndexDataCacheFile):
    """The files of one kernel's machine code. After a kill or with a full disk they may be incomplete."""

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:  # unpickling half a file may raise anything: the list is empty then
            return {}

    def _load_data(self, name):
        try:
            return super()._load_data(name)
        except Exception as error:
            raise OSError(f"{name}: {error}") from error  # numba then compiles the kernel


class _Cache(FunctionCache):
    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _Files(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), _HELPERS, bool(numba.config.BOUNDSCHECK))

    def load_overload(self, sig, target_context):
        loaded = super().load_overload(sig, target_context)
        if loaded is None and on_compile is not None:
            on_compile(self._py_func.__name__)
        return loaded

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:  # a full disk, a quota, a folder that became read-only
            _warn_once(error.strerror or error)


def _warn_once(reason):
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"tinytx: compiled kernels cannot be kept on disk ({reason}) and are compiled anew in each process. "
            "Set NUMBA_CACHE_DIR to a writable folder with some free space to keep them.",
            RuntimeWarning,
            stacklevel=3,
        )


def kernel(function):
    """Compile ``function`` at its first call, one version for each dtype, and keep the machine code on disk.

    If neither the package's folder nor the user's cache can be written, or the disk is full, each process compiles the
    code again, and warns once. A file of the cache that cannot be read is written again.
    """
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=FAST)(function)
    if numba.config.DISABLE_JIT:  # plain Python, for a debugger: as silent about overflow as compiled code
        return np.errstate(all="ignore")(function)
    try:
        compiled._cache = _Cache(function)
    except (RuntimeError, OSError) as error:  # numba: "no locator available"
        _warn_once(getattr(error, "strerror", None) or "no folder for them can be written")
    return compiled


def exp(x):
    r"""Return e**x for a float32 or float64 scalar inside a kernel: 1e-7 or 4e-16 relative error.

    Write x = n ln 2 + r with n an integer and abs(r) <= ln(2)/2, then e**x = 2 e**r 2**(n-1). The power of two is a float
    with n - 1 in its exponent bits. 2 e**r is a Taylor series, which for such an r has converged after 8 terms in float32
    and 14 in float64. If the exponent is too large its bits are those of infinity, if it is too small those of 0: the
    result is 0 for x below -87 in float32 and below -708.1 in float64.
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


@overload(exp, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _exp_for(x):  # reassociation would undo the two tricks with large constants
    if x == numba.types.float32:
        return lambda x: _exp32_compiled(x)
    if x == numba.types.float64:
        return lambda x: _exp64_compiled(x)


_exp32_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(_exp32)
_exp64_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(_exp64)


def normal_cdf(x, e):
    r"""Return P(x), the probability that a standard normal variable is below x, given e = e**(-x**2 / 2).

    P(x) = (1 + erf(x / sqrt 2)) / 2, but this sum loses digits if erf is near -1. So compute the tail beyond a = abs(x),
    P(-a) = e R(a), and P(a) = 1 - P(-a). R falls smoothly from 1/2 at a = 0, like 1 / (a sqrt(2 pi)) for large a. Let
    u = 2k / (a + k) and t = 1 - u, which is between -1 and 1. Then R / u is nearly a polynomial of t: the one that equals
    it at the Chebyshev points of 0 <= a <= 14 with k = 3 (float32), or 0 <= a <= 38 with k = 4 (float64). Beyond these
    ranges P underflows.
    Absolute error 1e-7 or 3e-16. The series for the complementary error function in Numerical Recipes, section 6.2,
    is of this kind.
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


@overload(normal_cdf)
def _normal_cdf_for(x, e):
    if x == numba.types.float32:
        return lambda x, e: _normal_cdf32_compiled(x, e)
    if x == numba.types.float64:
        return lambda x, e: _normal_cdf64_compiled(x, e)


_normal_cdf32_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(_normal_cdf32)
_normal_cdf64_compiled = numba.njit(fastmath={"contract"}, error_model="numpy")(_normal_cdf64)


def hash_row(key, row):
    """Return 32 random bits for one row of a mask.

    ``key`` is the 64-bit key of the mask and ``row`` a 64-bit index. The finaliser of SplitMix64 (Steele, Lea, Flood 2014)
    mixes the bits of the key plus a multiple of the index.
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


hash_row = numba.njit(error_model="numpy")(hash_row)
hash_element = numba.njit(error_model="numpy")(hash_element)


def row_max(row, n):
    """Return the largest of row[:n]: NaN if one of them is NaN, -inf for n = 0.

    A maximum of floats is not compiled to vector code, because with NaN it depends on the order; a maximum of integers
    is. The bits of positive floats, read as integers, have the same order as the floats, those of negative floats the
    reverse order. If all bits of the negative ones except the sign are flipped, their order is right too; a second flip
    restores them. NaN of either sign counts as positive, which is above infinity.
    """
    return np.max(row[:n], initial=-np.inf)


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


@overload(row_max)
def _row_max_for(row, n):
    if row.dtype == numba.types.float32:
        return lambda row, n: _row_max32_compiled(row, n)
    if row.dtype == numba.types.float64:
        return lambda row, n: _row_max64_compiled(row, n)


_row_max32_compiled = numba.njit(error_model="numpy")(_row_max32)
_row_max64_compiled = numba.njit(error_model="numpy")(_row_max64)
