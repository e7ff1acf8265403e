r"""The product of a few rows and a large matrix, y = x W: as fast as W is read from memory.

Choosing one word after the other multiplies each matrix by one row, or by a few. All of W is read for it, and each number is used
as often as there are rows, which is so little that the memory sets the pace. BLAS is made for products of many rows. With eight rows it reads W
at a third of the speed that one row reaches, and two threads of BLAS take as long to begin as such a product takes.

Derivation
----------
The same sum as (1) of ``linear.py``, added up in another order. If W (K, N) lies in memory row by row, its rows are cut into parts of K/4
rows, or one more. Row i is in part h_i; each part makes a sum for each output, and the sums of all parts are added:

    s_pnj = sum_{i : h_i = p} x_ni w_ij,   y_nj = sum_p s_pnj            (1)

W is then read nearly from its first to its last number, which is faster than to read a few columns of every row. Where W lies in
memory column by column, as a table of embeddings (V, D) does for y = x table^T, an output is a sum along a line of memory:

    y_nj = sum_i x_ni w_ij                                               (2)

Parts of (1) and outputs of (2) do not depend on each other, so that several threads can compute them: `tinytx.kernel.share`. Which
numbers are added in which order is settled by the shapes alone, and the result has the same bits whoever computes it.

How memory is kept busy
-----------------------
Eight rows of x stand for two to eight, those that are missing as zeros, and nine to sixteen are multiplied in two times: to read W
twice takes half of the time that BLAS takes for such a product. A part of (1) goes through a few rows of W, tile by tile: the sums of one row of x
and 8 vectors of columns, or of eight rows and 2 vectors, are in registers for all these rows, and in memory from these rows to the next ones.

While a tile of one row is multiplied, the same columns of the next rows are asked for, and of eight rows, which take longer, a tile a little further on: in the same rows, or
in the first columns of the next ones. So a part begins and ends with a few lines that were not asked for, or in vain, and not with whole rows of W. Of (2) the next outputs are
asked for, and a part has hundreds. A processor guesses which lines follow only within a page of 4,096 bytes, and it waits for too few lines at a time where it computes between them.

The last tile ends with the last column; some of its columns are the last but one's, too, and they are written by that one. A matrix narrower than a tile is multiplied by a plain loop.
"""

import numpy as np

from tinytx import workers
from tinytx.kernel import is_plain, kernel, plus, prefetch, share
from tinytx.registers import lanes, put, times_plus, total, vector, zeros
from tinytx.shapes import contiguous

LARGE = 1 << 19  # numbers of a matrix, from which on memory sets the pace; smaller ones are in a cache
ROWS, MOST = 8, 16  # of x: that are multiplied together, and at most
PARTS = 4  # of (1)
NARROWEST = 128  # columns of W: a tile of one row of x with the widest vectors
ACROSS_OF_ONE, ACROSS = 8, 2  # vectors of a tile, for one row of x and for eight
AHEAD_OF_ONE, AHEAD = 8, 16  # rows of W that are gone through together
NEXT = 4  # tiles between what eight rows are multiplied by and what is asked for meanwhile: 8 kB
COLUMNS, OUTPUTS = 256, 256  # whose sums are added at once, and of a part of (2)
LINE = 64  # bytes that are read at once


def fits(x, weight):
    """Return whether `few_rows` is made for a product: of 1 to 16 rows and a large matrix that lies in memory in one piece."""
    (m, k), n, flags = x.shape, weight.shape[1], weight.flags
    is_large = k * n >= LARGE and n >= NARROWEST and not is_plain()
    return is_large and 0 < m <= MOST and x.dtype == weight.dtype and (flags.c_contiguous or flags.f_contiguous)


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
    if len(x) > ROWS:
        return np.concatenate([few_rows(x[i : i + ROWS], weight) for i in range(0, len(x), ROWS)])
    m, is_one = len(x), len(x) == 1
    x = contiguous(x) if is_one else padded(x)
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    loop, *arguments = few_rows_call(workers.awake.words(), y, x, weight, y[0, :0], lambda *shape: np.empty(shape, x.dtype))
    loop(*arguments)
    return y[:m]


def few_rows_call(words, y, x, weight, bias, scratch):
    """Return the loop that writes x W, plus a bias, into y, and its arguments: also for a program, `tinytx.calls.bound`.

    Parameters
    ----------
    words : int64 array
        As of `tinytx.kernel.share`.
    y, x : array (1, N) and (1, K), or (8, N) and (8, K), contiguous
    weight : array (K, N)
    bias : array (N,), or (0,), which it has to be where W does not lie row by row
    scratch : function (n, m) -> array
        Makes an array to compute in.
    """
    is_one = len(x) == 1
    if weight.flags.c_contiguous:
        sums = scratch(PARTS, -(-weight.shape[1] // COLUMNS) * len(x) * COLUMNS)
        return _by_parts_of_one if is_one else _by_parts_of_eight, words, y, sums, x, contiguous(weight), bias
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
def _narrow_part(p, sums, x, weight, tile):
    """Write s of (1) of part p into row p of sums, where all columns are fewer than those of a tile."""
    k, n = weight.shape
    for r in range(len(x)):
        for j in range(n):
            sums[p, r * tile + j] = 0
        for i in range(k * p // len(sums), k * (p + 1) // len(sums)):
            a = x[r, i]
            for j in range(n):
                sums[p, r * tile + j] += a * weight[i, j]


@kernel
def _part_of_one(p, sums, x, weight):
    """Write s of (1) of part p into row p of sums: one tile after the other."""
    k, n = weight.shape
    start, stop, step = k * p // len(sums), k * (p + 1) // len(sums), lanes(weight)
    size, tile = weight.itemsize, ACROSS_OF_ONE * step
    if n < tile:
        _narrow_part(p, sums, x, weight, tile)
        return
    for first in range(start, max(stop, start + 1), AHEAD_OF_ONE):
        for j in range(0, n, tile):
            o = p * sums.shape[1] + j
            if first == start:
                a = b = c = d = e = f = g = h = zeros(weight)
            else:
                a, b = vector(sums, o), vector(sums, o + step)
                c, d = vector(sums, o + 2 * step), vector(sums, o + 3 * step)
                e, f = vector(sums, o + 4 * step), vector(sums, o + 5 * step)
                g, h = vector(sums, o + 6 * step), vector(sums, o + 7 * step)
            for i in range(first, min(first + AHEAD_OF_ONE, stop)):
                s, w = x[0, i], i * n + min(j, n - tile)
                for byte in range(0, tile * size, LINE):
                    prefetch(weight, (w + AHEAD_OF_ONE * n) * size + byte)
                a = times_plus(s, vector(weight, w), a)
                b = times_plus(s, vector(weight, w + step), b)
                c = times_plus(s, vector(weight, w + 2 * step), c)
                d = times_plus(s, vector(weight, w + 3 * step), d)
                e = times_plus(s, vector(weight, w + 4 * step), e)
                f = times_plus(s, vector(weight, w + 5 * step), f)
                g = times_plus(s, vector(weight, w + 6 * step), g)
                h = times_plus(s, vector(weight, w + 7 * step), h)
            put(sums, o, a)
            put(sums, o + step, b)
            put(sums, o + 2 * step, c)
            put(sums, o + 3 * step, d)
            put(sums, o + 4 * step, e)
            put(sums, o + 5 * step, f)
            put(sums, o + 6 * step, g)
            put(sums, o + 7 * step, h)


@kernel
def _part_of_eight(p, sums, x, weight):
    """Write s of (1) of part p into row p of sums: one tile after the other, each with its eight rows beside each other."""
    k, n = weight.shape
    start, stop, step = k * p // len(sums), k * (p + 1) // len(sums), lanes(weight)
    size, tile = weight.itemsize, ACROSS * step
    width = (n + tile - 1) // tile * tile
    if n < tile:
        _narrow_part(p, sums, x, weight, tile)
        return
    for first in range(start, max(stop, start + 1), AHEAD):
        for j in range(0, n, tile):
            o = p * sums.shape[1] + 8 * j
            if first == start:
                a = b = c = d = e = f = g = h = q = r = s = t = u = v = y = z = zeros(weight)
            else:
                a, q = vector(sums, o), vector(sums, o + step)
                b, r = vector(sums, o + tile), vector(sums, o + tile + step)
                c, s = vector(sums, o + 2 * tile), vector(sums, o + 2 * tile + step)
                d, t = vector(sums, o + 3 * tile), vector(sums, o + 3 * tile + step)
                e, u = vector(sums, o + 4 * tile), vector(sums, o + 4 * tile + step)
                f, v = vector(sums, o + 5 * tile), vector(sums, o + 5 * tile + step)
                g, y = vector(sums, o + 6 * tile), vector(sums, o + 6 * tile + step)
                h, z = vector(sums, o + 7 * tile), vector(sums, o + 7 * tile + step)
            near = j + NEXT * tile  # the column that is asked for: in these rows, or in the next ones
            near = near if near < n else near - width + AHEAD * n
            for i in range(first, min(first + AHEAD, stop)):
                w = i * n + min(j, n - tile)
                for byte in range(0, tile * size, LINE):
                    prefetch(weight, (i * n + near) * size + byte)
                left, right = vector(weight, w), vector(weight, w + step)
                a, q = times_plus(x[0, i], left, a), times_plus(x[0, i], right, q)
                b, r = times_plus(x[1, i], left, b), times_plus(x[1, i], right, r)
                c, s = times_plus(x[2, i], left, c), times_plus(x[2, i], right, s)
                d, t = times_plus(x[3, i], left, d), times_plus(x[3, i], right, t)
                e, u = times_plus(x[4, i], left, e), times_plus(x[4, i], right, u)
                f, v = times_plus(x[5, i], left, f), times_plus(x[5, i], right, v)
                g, y = times_plus(x[6, i], left, g), times_plus(x[6, i], right, y)
                h, z = times_plus(x[7, i], left, h), times_plus(x[7, i], right, z)
            put(sums, o, a)
            put(sums, o + step, q)
            put(sums, o + tile, b)
            put(sums, o + tile + step, r)
            put(sums, o + 2 * tile, c)
            put(sums, o + 2 * tile + step, s)
            put(sums, o + 3 * tile, d)
            put(sums, o + 3 * tile + step, t)
            put(sums, o + 4 * tile, e)
            put(sums, o + 4 * tile + step, u)
            put(sums, o + 5 * tile, f)
            put(sums, o + 5 * tile + step, v)
            put(sums, o + 6 * tile, g)
            put(sums, o + 6 * tile + step, y)
            put(sums, o + 7 * tile, h)
            put(sums, o + 7 * tile + step, z)


@kernel
def _add_parts(block, y, sums, bias):
    """Write y of (1), plus the bias, for 256 columns, of one row or of eight."""
    m, n = y.shape
    step = lanes(sums)
    tile, line, one = (ACROSS_OF_ONE if m == 1 else ACROSS) * step, sums.shape[1], sums.dtype.type(1)
    for first in range(block * COLUMNS, min(block * COLUMNS + COLUMNS, n), tile):
        if n < tile:
            for r in range(m):
                for j in range(n):
                    o = r * tile + j
                    s = plus(plus(sums[0, o], sums[1, o]), plus(sums[2, o], sums[3, o]))  # (1)
                    y[r, j] = plus(s, bias[j]) if len(bias) else s
            return
        at = min(first, n - tile)  # the column with which the tile begins
        for r in range(m):
            for j in range(0, tile, step):
                o = first * m + r * tile + j
                left = times_plus(one, vector(sums, o), vector(sums, line + o))
                right = times_plus(one, vector(sums, 2 * line + o), vector(sums, 3 * line + o))
                s = times_plus(one, left, right)  # (1)
                put(y, r * n + at + j, times_plus(one, vector(bias, at + j), s) if len(bias) else s)


@kernel
def _by_parts_of_one(words, y, sums, x, weight, bias):
    """Write (1) into y (1, N)."""
    share(words, _part_of_one, len(sums), (sums, x, weight))
    share(words, _add_parts, (y.shape[1] + COLUMNS - 1) // COLUMNS, (y, sums, bias))


@kernel
def _by_parts_of_eight(words, y, sums, x, weight, bias):
    """Write (1) into y (8, N)."""
    share(words, _part_of_eight, len(sums), (sums, x, weight))
    share(words, _add_parts, (y.shape[1] + COLUMNS - 1) // COLUMNS, (y, sums, bias))


# ---------------------------------------------------------------------------------------- W column by column: (2)


@kernel
def _parts(n):
    return (n + OUTPUTS - 1) // OUTPUTS


@kernel
def _outputs_of_one(p, y, x, weight):
    """Write (2) of one row of x for part p of the outputs, four at a time; weight (N, K) is W^T."""
    n, k = weight.shape
    parts, step = _parts(n), lanes(weight)
    stop, size, block = n * (p + 1) // parts, weight.itemsize, 2 * step
    for j in range(n * p // parts, stop, 4):
        j1, j2, j3 = min(j + 1, stop - 1), min(j + 2, stop - 1), min(j + 3, stop - 1)  # the last one again, where none are left
        a = b = c = d = e = f = g = h = zeros(weight)
        for i in range(0, k - block + 1, block):
            for ahead in range(4, 8):
                for byte in range(0, block * size, LINE):
                    prefetch(weight, ((j + ahead) * k + i) * size + byte)
            left, right = vector(x, i), vector(x, i + step)
            a, e = times_plus(left, vector(weight, j * k + i), a), times_plus(right, vector(weight, j * k + i + step), e)
            b, f = times_plus(left, vector(weight, j1 * k + i), b), times_plus(right, vector(weight, j1 * k + i + step), f)
            c, g = times_plus(left, vector(weight, j2 * k + i), c), times_plus(right, vector(weight, j2 * k + i + step), g)
            d, h = times_plus(left, vector(weight, j3 * k + i), d), times_plus(right, vector(weight, j3 * k + i + step), h)
        q, r, s, t = total(a) + total(e), total(b) + total(f), total(c) + total(g), total(d) + total(h)
        for i in range(k - k % block, k):
            q += weight[j, i] * x[0, i]
            r += weight[j1, i] * x[0, i]
            s += weight[j2, i] * x[0, i]
            t += weight[j3, i] * x[0, i]
        y[0, j], y[0, j1], y[0, j2], y[0, j3] = q, r, s, t


@kernel
def _outputs_of_eight(p, y, x, weight):
    """Write (2) of eight rows of x for part p of the outputs, two at a time."""
    n, k = weight.shape
    parts, step = _parts(n), lanes(weight)
    stop, size = n * (p + 1) // parts, weight.itemsize
    for j in range(n * p // parts, stop, 2):
        other = min(j + 1, stop - 1)
        a = b = c = d = e = f = g = h = q = r = s = t = u = v = w = z = zeros(weight)
        for i in range(0, k - step + 1, step):
            for ahead in range(2, 4):
                for byte in range(0, step * size, LINE):
                    prefetch(weight, ((j + ahead) * k + i) * size + byte)
            left, right = vector(weight, j * k + i), vector(weight, other * k + i)
            row = vector(x, i)
            a, q = times_plus(row, left, a), times_plus(row, right, q)
            row = vector(x, k + i)
            b, r = times_plus(row, left, b), times_plus(row, right, r)
            row = vector(x, 2 * k + i)
            c, s = times_plus(row, left, c), times_plus(row, right, s)
            row = vector(x, 3 * k + i)
            d, t = times_plus(row, left, d), times_plus(row, right, t)
            row = vector(x, 4 * k + i)
            e, u = times_plus(row, left, e), times_plus(row, right, u)
            row = vector(x, 5 * k + i)
            f, v = times_plus(row, left, f), times_plus(row, right, v)
            row = vector(x, 6 * k + i)
            g, w = times_plus(row, left, g), times_plus(row, right, w)
            row = vector(x, 7 * k + i)
            h, z = times_plus(row, left, h), times_plus(row, right, z)
        y[0, j], y[1, j], y[2, j], y[3, j] = total(a), total(b), total(c), total(d)
        y[4, j], y[5, j], y[6, j], y[7, j] = total(e), total(f), total(g), total(h)
        y[0, other], y[1, other], y[2, other], y[3, other] = total(q), total(r), total(s), total(t)
        y[4, other], y[5, other], y[6, other], y[7, other] = total(u), total(v), total(w), total(z)
        for m in range(8 if k % step else 0):
            left_sum, right_sum = y[m, j], y[m, other]
            for i in range(k - k % step, k):
                left_sum += weight[j, i] * x[m, i]
                right_sum += weight[other, i] * x[m, i]
            y[m, j], y[m, other] = left_sum, right_sum


@kernel
def _by_outputs_of_one(words, y, x, weight):
    """Write (2) into y (1, N)."""
    share(words, _outputs_of_one, _parts(len(weight)), (y, x, weight))


@kernel
def _by_outputs_of_eight(words, y, x, weight):
    """Write (2) into y (8, N)."""
    share(words, _outputs_of_eight, _parts(len(weight)), (y, x, weight))
