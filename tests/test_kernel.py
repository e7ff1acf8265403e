"""What kernels may call: exp, row_max and the hashes, each through a kernel of its own."""

import importlib
import math
from decimal import Decimal, localcontext

import llvmlite.binding
import numba
import numpy as np
import pytest

from tinytx.kernel import exp, hash_element, hash_row, kernel, normal_cdf, row_max, share, wide

DTYPES = [np.float32, np.float64]


@kernel
def _exp(y, x):
    for i in range(x.size):
        y[i] = exp(x[i])


@kernel
def _normal_cdf(y, x):
    half = x.dtype.type(0.5)
    for i in range(x.size):
        y[i] = normal_cdf(x[i], exp(-half * x[i] * x[i]))


@kernel
def _row_max(y, x, n):
    for i in range(x.shape[0]):
        y[i] = row_max(x[i], n)


@kernel
def _hash(bits, key, first_row):
    for n in range(bits.shape[0]):
        row = hash_row(key, first_row + n)
        for d in range(bits.shape[1]):
            bits[n, d] = hash_element(row, d)


def exp_of(x):
    y = np.empty_like(x)
    _exp(y, x)
    return y


def normal_cdf_of(x):
    y = np.empty_like(x)
    _normal_cdf(y, x)
    return y


def row_max_of(x, n=None):
    y = np.empty(len(x), x.dtype)
    _row_max(y, x, x.shape[1] if n is None else n)
    return y


def bits_of(n, d, key=1, first_row=0):
    bits = np.empty((n, d), np.uint32)
    _hash(bits, np.uint64(key), np.int64(first_row))
    return bits


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python takes NumPy's")
@pytest.mark.parametrize(
    ("dtype", "low", "high", "error"), [(np.float32, -86.9, 88.72, 1.2e-7), (np.float64, -708, 709.7, 4e-16)]
)
def test_exp_is_accurate(dtype, low, high, error):
    """Catches reassociation, which folds the two large constants away, and a series that is cut short."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(low, high, 3000), rng.uniform(-1, 1, 1000), rng.normal(0, 1e-5, 100)]).astype(dtype)
    with localcontext(prec=30):
        relative = [Decimal(y) / Decimal(v).exp() - 1 for v, y in zip(x.tolist(), exp_of(x).tolist(), strict=True)]
    assert max(map(abs, relative)) < error


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_what_is_no_number(dtype):
    """Catches fastmath, which assumes that NaN and infinity do not exist."""
    big = np.finfo(dtype).max
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, big, -big, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(exp_of(x), np.array([np.nan, np.nan, np.inf, 0, np.inf, 0, 1, 1], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_at_the_edges_of_its_range(dtype):
    """Catches an exponent field that wraps: above the largest number is infinity, below the smallest normal is 0."""
    info = np.finfo(dtype)
    top, bottom = dtype(math.log(info.max)), dtype(math.log(info.smallest_normal))
    above, below = np.array([top * dtype(1.0001), 2 * top], dtype), np.array([1.001 * bottom, 2 * bottom], dtype)
    assert np.isinf(exp_of(above)).all()
    assert np.isfinite(exp_of(np.array([0.9999 * top], dtype))).all()
    near = exp_of(np.linspace(1.02 * bottom, 0.98 * bottom, 10_001, dtype=dtype))
    assert (np.diff(near) >= 0).all()
    assert (exp_of(below) < info.smallest_normal).all() and (exp_of(below) >= 0).all()
    if not numba.config.DISABLE_JIT:  # NumPy's has numbers between
        assert (exp_of(below) == 0).all() and ((near == 0) | (near >= info.smallest_normal)).all()


@pytest.mark.parametrize(("dtype", "lowest", "ulp"), [(np.float32, -13, 6e-8), (np.float64, -37, 1.2e-16)])
def test_normal_cdf_keeps_its_digits_in_the_tail(dtype, lowest, ulp):
    """Catches (1 + erf) / 2, which has none left at x = -6 (-9 in float64), and a coefficient with a wrong digit.

    Here and in the reference an exponent near x**2 / 2 is rounded, so the relative error may grow as x**2.
    """
    x = np.concatenate([np.linspace(lowest, 9, 4001), np.linspace(-1e-3, 1e-3, 101)]).astype(dtype)
    true = np.array([math.erfc(-v * math.sqrt(0.5)) / 2 for v in x.tolist()])
    error = np.abs(normal_cdf_of(x) / true - 1)
    assert (error < ulp * (8 + 2 * x.astype(float) ** 2)).all()
    assert np.abs(normal_cdf_of(x) - true).max() < 3 * ulp


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_cdf_of_what_is_no_number(dtype):
    """Catches infinity divided by infinity."""
    big = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, big, -big, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(normal_cdf_of(x), np.array([np.nan, 1, 0, 1, 0, 0.5, 0.5], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_row_max_is_the_largest(dtype):
    """Catches the order of negative floats, which as integers run backwards."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 9)) * 10.0 ** rng.integers(-30, 30, (200, 1))).astype(dtype)
    x[:50] = -np.abs(x[:50])
    x[50:60, 3], x[60:70, 8], x[70:80] = np.inf, -np.inf, -np.inf
    x[80:90] = np.finfo(dtype).smallest_subnormal * np.sign(x[80:90])
    np.testing.assert_array_equal(row_max_of(x), x.max(1))
    np.testing.assert_array_equal(row_max_of(x, 4), x[:, :4].max(1))
    np.testing.assert_array_equal(row_max_of(x, 0), np.full(200, -np.inf))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nan", [np.nan, -np.nan])
def test_row_max_sees_nan(nan, dtype):
    """Catches a NaN with its sign bit set, which 0/0 has on x86 and which as an integer is below -inf."""
    x = np.array([[1, nan, 3], [nan, nan, nan], [-np.inf, nan, -np.inf], [np.inf, 2, nan], [1, 2, 3]], dtype)
    np.testing.assert_array_equal(row_max_of(x), np.array([nan, nan, nan, nan, 3], dtype))


@pytest.mark.compiled
def test_hash_is_uniform():
    """Catches bits that are stuck, or columns or rows that repeat: every bit is a fair coin, every value is rare."""
    bits = bits_of(300, 400, key=2**63 + 5)
    coins = (bits[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    assert np.abs(coins.mean((0, 1)) - 0.5).max() < 5 * 0.5 / math.sqrt(bits.size)
    pairs = bits.size**2 / 2 / 2**32
    assert bits.size - len(np.unique(bits)) < pairs + 6 * math.sqrt(pairs) + 1
    counts = np.bincount(bits.ravel() >> np.uint32(24), minlength=256)
    expected = bits.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * math.sqrt(2 * 255)


def test_hash_is_the_published_one():
    """Catches a digit that changes: a run that goes on, or is run again, would draw other masks. SplitMix64's outputs
    for the seed 1234567 are those that its users publish; lowbias32 is written out in whole numbers of Python."""

    def lowbias32(x):
        x = (x ^ x >> 16) * 0x7FEB352D & 0xFFFFFFFF
        x = (x ^ x >> 15) * 0x846CA68B & 0xFFFFFFFF
        return x ^ x >> 16

    splitmix = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    expected = [[lowbias32(row >> 32 ^ (d * 0x9E3779B9 & 0xFFFFFFFF)) for d in range(20)] for row in splitmix]
    np.testing.assert_array_equal(bits_of(5, 20, key=1234567, first_row=1), np.array(expected, np.uint32))


def test_hash_depends_on_every_bit_of_key_and_row():
    """Catches a 64-bit key or row of which only 32 bits count."""
    base = bits_of(1, 50, key=77, first_row=9)
    for shift in range(0, 64, 7):
        assert (bits_of(1, 50, key=77 ^ (1 << shift), first_row=9) == base).sum() <= 1
    for shift in range(0, 62, 7):
        assert (bits_of(1, 50, key=77, first_row=9 ^ (1 << shift)) == base).sum() <= 1


def flips(one, other):
    """Return for each of the 32 output bits how often it differs."""
    return (((one ^ other)[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)).reshape(-1, 32).mean(0)


@pytest.mark.compiled
def test_hash_mixes():
    """Catches a shift or a multiplier that is left out: one bit of key, row or column flips every output bit by half."""
    n, d = 60, 64
    base = bits_of(n, d, key=0xC0FFEE)
    allowed = 5 * 0.5 / math.sqrt(n * d)
    for shift in range(64):
        assert np.abs(flips(bits_of(n, d, key=0xC0FFEE ^ (1 << shift)), base) - 0.5).max() < allowed + 0.02
    for shift in range(6):  # rows and columns that differ in one bit
        rows, columns = np.arange(n) & ~(1 << shift), np.arange(d) & ~(1 << shift)
        other_rows, other_columns = rows | 1 << shift, columns | 1 << shift
        rows, other_rows = rows[other_rows < n], other_rows[other_rows < n]
        assert np.abs(flips(base[rows], base[other_rows]) - 0.5).max() < allowed + 0.1
        assert np.abs(flips(base[:, columns], base[:, other_columns]) - 0.5).max() < allowed + 0.1
    far = [bits_of(1, d, key=0xC0FFEE, first_row=1 << shift) for shift in range(6, 62)]
    assert np.abs(flips(np.concatenate(far), base[:1]) - 0.5).max() < 5 * 0.5 / math.sqrt(56 * d) + 0.02


def _doubled(i, y, x):
    wide()
    for j in range(x.shape[1]):
        y[i, j] += x[i, j]


@pytest.mark.compiled
def test_vectors_are_wide_where_a_kernel_asks_for_it():
    """The kernel's own function is marked, and its wide loops stay wide where `share` takes them in."""
    importlib.import_module("tinytx.compiler")  # says what `wide` and `share` are; the disk keeps none of this
    doubled = numba.njit(_doubled)

    @numba.njit
    def shared(words, y, x):
        share(words, doubled, 3, (y, x))

    x = np.arange(300, dtype=np.float32).reshape(3, 100)
    y = x.copy()
    shared(np.empty(0, np.int64), y, x)
    np.testing.assert_array_equal(y, 2 * x)
    code = doubled.inspect_llvm(doubled.signatures[0]).splitlines()
    (number,) = (line.split()[1] for line in code if '"prefer-vector-width"="512"' in line)
    assert sum(line.startswith("define") and f" {number} " in line for line in code) == 1
    has_wide = llvmlite.binding.get_host_cpu_features().get("avx512f", False)
    assert ("<16 x float>" in shared.inspect_llvm(shared.signatures[0])) == has_wide


def test_plain_python_knows_no_vectors():
    y = np.ones((1, 2))
    _doubled(0, y, np.ones((1, 2)))
    assert (y == 2).all()
