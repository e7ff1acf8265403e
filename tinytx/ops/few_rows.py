r"""The product of a few rows and a large matrix, y = x W: as fast as W is read from memory.

Choosing one word after the other multiplies each matrix by one row, or by a few. All of W is read for it, and each number is used
as often as there are rows, which is so little that the memory sets the pace. BLAS is made for products of many rows. With eight rows it reads W
at a third of the speed that one row reaches, and two threads of BLAS take as long to begin as such a product takes.

Derivation
----------
The same sum as (1) of ``linear.py``, added up in another order. If W (K, N) lies in memory row by row, its rows are cut into parts of K/8
rows, or one more. Row i is in part h_i; each part makes a sum for each output, and the sums of all parts are added:

    s_pnj = sum_{i : h_i = p} x_ni w_ij,   y_nj = sum_p s_pnj            (1)

W is then read from its first to its last number, which is faster than to read a few columns of every row. Where W lies in
memory column by column, as a table of embeddings (V, D) does for y = x table^T, an output is a sum along a line of memory:

    y_nj = sum_i x_ni w_ij                                               (2)

Parts of (1) and outputs of (2) do not depend on each other, so that several threads can compute them: `tinytx.kernel.share`. Which
numbers are added in which order is settled by the shapes alone, and the result has the same bits whoever computes it.

Eight rows of x stand for two to eight, those that are missing as zeros. For them (1) has a block of 8 x 256 sums in one piece of memory, so
that a compiler sees that they do not overlap, and four numbers of each row of x in registers.
"""

import numpy as np

from tinytx import workers
from tinytx.kernel import is_plain, kernel, plus, prefetch, share
from tinytx.shapes import contiguous

LARGE = 1 << 19  # numbers of a matrix, from which on memory sets the pace; smaller ones are in a cache
ROWS = 8  # of x, at most
PARTS = 8  # of (1)
SHORT = 1 << 13  # bytes of a row of W, below which a processor does not guess that the next rows follow
COLUMNS, OUTPUTS = 256, 64  # of a block of sums, and of a part of (2)
LINE = 64  # bytes that are read at once


def fits(x, weight):
    """Return whether `few_rows` is made for a product: of 1 to 8 rows and a large matrix that lies in memory in one piece."""
    (m, k), n, flags = x.shape, weight.shape[1], weight.flags
    is_large = k * n >= LARGE and n >= OUTPUTS and not is_plain()
    return is_large and 0 < m <= ROWS and x.dtype == weight.dtype and (flags.c_contiguous or flags.f_contiguous)


def few_rows(x, weight):
    """Return x W; no result depends on the threads.

    Parameters
    ----------
    x : array (M, K), float32 or float64
    weight : array (K, N), the dtype of x
        `fits` says of which shapes and layouts they may be.

    Returns
    -------
    array (M, N)
    """
    m, is_one = len(x), len(x) == 1
    x = contiguous(x) if is_one else padded(x)
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    loop, *arguments = few_rows_call(workers.awake.words(), y, x, weight, lambda *shape: np.empty(shape, x.dtype))
    loop(*arguments)
    return y[:m]


def few_rows_call(words, y, x, weight, scratch):
    """Return the loop that writes x W into y, and its arguments: also for a program, `tinytx.calls.bound`.

    Parameters
    ----------
    words : int64 array
        As of `tinytx.kernel.share`.
    y, x : array (1, N) and (1, K), or (8, N) and (8, K), contiguous
    weight : array (K, N)
    scratch : function (n, m) -> array
        Makes an array to compute in.
    """
    is_one = len(x) == 1
    if weight.flags.c_contiguous:
        sums = scratch(PARTS, -(-weight.shape[1] // COLUMNS) * len(x) * COLUMNS)
        return _by_parts_of_one if is_one else _by_parts_of_eight, words, y, sums, x, contiguous(weight)
    return _by_outputs_of_one if is_one else _by_outputs_of_eight, words, y, x, contiguous(weight.T)


def padded(x):
    """Return 1 to 8 rows as eight, of which the last ones are zeros."""
    if len(x) == ROWS:
        return contiguous(x)
    eight = np.zeros((ROWS, x.shape[1]), x.dtype)
    eight[: len(x)] = x
    return eight


# ---------------------------------------------------------------------------------------- W (K, N) row by row: (1)


@kernel
def _part_of_one(p, sums, x, weight):
    """Write s of (1) of part p into row p of sums."""
    k, n = weight.shape
    i, stop = k * p // len(sums), k * (p + 1) // len(sums)
    for j in range(n):
        sums[p, j] = 0
    while i + 8 <= stop:
        a, b, c, d, e, f, g, h = x[0, i], x[0, i + 1], x[0, i + 2], x[0, i + 3], x[0, i + 4], x[0, i + 5], x[0, i + 6], x[0, i + 7]
        for j in range(n):
            s = a * weight[i, j] + b * weight[i + 1, j] + c * weight[i + 2, j] + d * weight[i + 3, j]
            s += e * weight[i + 4, j] + f * weight[i + 5, j] + g * weight[i + 6, j] + h * weight[i + 7, j]
            sums[p, j] += s
        i += 8
    while i < stop:
        a = x[0, i]
        for j in range(n):
            sums[p, j] += a * weight[i, j]
        i += 1


@kernel
def _part_of_eight(p, sums, x, weight):
    """Write s of (1) of part p into row p of sums: blocks of (8, 256), one for 256 columns."""
    k, n = weight.shape
    i, stop, is_short = k * p // len(sums), k * (p + 1) // len(sums), n * weight.itemsize < SHORT
    for j in range(sums.shape[1]):
        sums[p, j] = 0
    while i + 4 <= stop:
        a0, a1, a2, a3 = x[0, i], x[0, i + 1], x[0, i + 2], x[0, i + 3]
        b0, b1, b2, b3 = x[1, i], x[1, i + 1], x[1, i + 2], x[1, i + 3]
        c0, c1, c2, c3 = x[2, i], x[2, i + 1], x[2, i + 2], x[2, i + 3]
        d0, d1, d2, d3 = x[3, i], x[3, i + 1], x[3, i + 2], x[3, i + 3]
        e0, e1, e2, e3 = x[4, i], x[4, i + 1], x[4, i + 2], x[4, i + 3]
        f0, f1, f2, f3 = x[5, i], x[5, i + 1], x[5, i + 2], x[5, i + 3]
        g0, g1, g2, g3 = x[6, i], x[6, i + 1], x[6, i + 2], x[6, i + 3]
        h0, h1, h2, h3 = x[7, i], x[7, i + 1], x[7, i + 2], x[7, i + 3]
        for block in range((n + COLUMNS - 1) // COLUMNS):
            first, o = block * COLUMNS, block * 8 * COLUMNS
            for byte in range(0, min(COLUMNS, n - first) * weight.itemsize if is_short else 0, LINE):
                for ahead in range(4, 8):
                    prefetch(weight, ((i + ahead) * n + first) * weight.itemsize + byte)
            for j in range(min(COLUMNS, n - first)):
                w0, w1, w2, w3 = weight[i, first + j], weight[i + 1, first + j], weight[i + 2, first + j], weight[i + 3, first + j]
                sums[p, o + j] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                sums[p, o + COLUMNS + j] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                sums[p, o + 2 * COLUMNS + j] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                sums[p, o + 3 * COLUMNS + j] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
                sums[p, o + 4 * COLUMNS + j] += e0 * w0 + e1 * w1 + e2 * w2 + e3 * w3
                sums[p, o + 5 * COLUMNS + j] += f0 * w0 + f1 * w1 + f2 * w2 + f3 * w3
                sums[p, o + 6 * COLUMNS + j] += g0 * w0 + g1 * w1 + g2 * w2 + g3 * w3
                sums[p, o + 7 * COLUMNS + j] += h0 * w0 + h1 * w1 + h2 * w2 + h3 * w3
        i += 4
    while i < stop:
        for r in range(8):
            a = x[r, i]
            for j in range(n):
                sums[p, (j // COLUMNS * 8 + r) * COLUMNS + j % COLUMNS] += a * weight[i, j]
        i += 1


@kernel
def _add_parts(block, y, sums):
    """Write y of (1) for 256 columns, of one row or of eight."""
    m, n = y.shape
    first = block * COLUMNS
    size = min(COLUMNS, n - first)
    for r in range(m):
        o = (block * m + r) * COLUMNS
        for j in range(o, o + size):
            s = plus(plus(sums[0, j], sums[1, j]), plus(sums[2, j], sums[3, j]))
            t = plus(plus(sums[4, j], sums[5, j]), plus(sums[6, j], sums[7, j]))
            y[r, first + j - o] = s + t  # (1)


@kernel
def _by_parts_of_one(words, y, sums, x, weight):
    """Write (1) into y (1, N)."""
    share(words, _part_of_one, len(sums), (sums, x, weight))
    share(words, _add_parts, (y.shape[1] + COLUMNS - 1) // COLUMNS, (y, sums))


@kernel
def _by_parts_of_eight(words, y, sums, x, weight):
    """Write (1) into y (8, N)."""
    share(words, _part_of_eight, len(sums), (sums, x, weight))
    share(words, _add_parts, (y.shape[1] + COLUMNS - 1) // COLUMNS, (y, sums))


# ---------------------------------------------------------------------------------------- W column by column: (2)


@kernel
def _parts(n):
    return (n + OUTPUTS - 1) // OUTPUTS


@kernel
def _outputs_of_one(p, y, x, weight):
    """Write (2) of one row of x for part p of the outputs, two at a time; weight (N, K) is W^T."""
    n, k = weight.shape
    parts = _parts(n)
    stop, size = n * (p + 1) // parts, weight.itemsize
    for j in range(n * p // parts, stop, 2):
        other = min(j + 1, stop - 1)  # the last one again, where their number is odd
        for byte in range(0, 2 * k * size, LINE):
            prefetch(weight, (j + 2) * k * size + byte)
        s = t = x.dtype.type(0)
        for i in range(k):
            s += weight[j, i] * x[0, i]
            t += weight[other, i] * x[0, i]
        y[0, j], y[0, other] = s, t


@kernel
def _outputs_of_eight(p, y, x, weight):
    """Write (2) of eight rows of x for part p of the outputs, two at a time."""
    n, k = weight.shape
    parts = _parts(n)
    stop, size, zero = n * (p + 1) // parts, weight.itemsize, x.dtype.type(0)
    for j in range(n * p // parts, stop, 2):
        other = min(j + 1, stop - 1)
        for byte in range(0, 2 * k * size, LINE):
            prefetch(weight, (j + 2) * k * size + byte)
        a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
        q, r, s, t, u, v, w, z = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(k):
            left, right = weight[j, i], weight[other, i]
            a += left * x[0, i]
            q += right * x[0, i]
            b += left * x[1, i]
            r += right * x[1, i]
            c += left * x[2, i]
            s += right * x[2, i]
            d += left * x[3, i]
            t += right * x[3, i]
            e += left * x[4, i]
            u += right * x[4, i]
            f += left * x[5, i]
            v += right * x[5, i]
            g += left * x[6, i]
            w += right * x[6, i]
            h += left * x[7, i]
            z += right * x[7, i]
        y[0, j], y[1, j], y[2, j], y[3, j], y[4, j], y[5, j], y[6, j], y[7, j] = a, b, c, d, e, f, g, h
        y[0, other], y[1, other], y[2, other], y[3, other] = q, r, s, t
        y[4, other], y[5, other], y[6, other], y[7, other] = u, v, w, z


@kernel
def _by_outputs_of_one(words, y, x, weight):
    """Write (2) into y (1, N)."""
    share(words, _outputs_of_one, _parts(len(weight)), (y, x, weight))


@kernel
def _by_outputs_of_eight(words, y, x, weight):
    """Write (2) into y (8, N)."""
    share(words, _outputs_of_eight, _parts(len(weight)), (y, x, weight))
