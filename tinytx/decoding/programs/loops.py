r"""Loops that a program needs beside those of operations: each computes, of the arrays that it is given, one step for each row.

They are the forward halves of ``embedding.py``, ``positions.py``, ``linear.py``, ``gate.py`` and ``attention.py`` in ``tinytx.ops`` and have
their equations. What changes from token to token, the ids and the number of positions before, stands in arrays, since a program's
arguments stay what they are.
"""

from tinytx.kernel import exp, kernel, matmul, prefetch, row_max, share
from tinytx.registers import lanes, put, times_plus, total, vector, zeros

LARGE = 1 << 16  # numbers of the keys that a token looks at, from which on helpers that are awake take their part
PARTS = 16  # of rows and groups, of which helpers take theirs: so many, or up to twice as many
FIRST, LINE = 64, 64  # positions that are asked for before they are read, and bytes that are read at once


@kernel
def embed(x, ids, table, scale):
    """Write into each row of x the row of the table that its id names, times ``scale``."""
    for n in range(x.shape[0]):
        for d in range(x.shape[1]):
            x[n, d] = table[ids[n], d] * scale


@kernel
def embed_rounded(x, ids, table, steps, scale):
    """Write into each row of x the row of a table in 8 bits that its id names, times ``scale``."""
    for n in range(x.shape[0]):
        step = steps[ids[n]]
        for d in range(x.shape[1]):
            x[n, d] = (x.dtype.type(table[ids[n], d]) * step) * scale


@kernel
def add_position(y, x, table, before):
    """Write x and the row of the table that has the number of positions before."""
    for n in range(x.shape[0]):
        for d in range(x.shape[1]):
            y[n, d] = x[n, d] + table[before[0], d]


@kernel
def multiply_matrices(y, x, weight):
    matmul(x, weight, y)


@kernel
def add(y, a, b):
    for n in range(y.shape[0]):
        for d in range(y.shape[1]):
            y[n, d] = a[n, d] + b[n, d]


@kernel
def add_bias(y, bias):
    for n in range(y.shape[0]):
        for d in range(y.shape[1]):
            y[n, d] += bias[d]


@kernel
def multiply(y, a, b):
    for n in range(y.shape[0]):
        for d in range(y.shape[1]):
            y[n, d] = a[n, d] * b[n, d]


@kernel
def rectify(y, x):
    zero = x.dtype.type(0)
    for n in range(y.shape[0]):
        for d in range(y.shape[1]):
            y[n, d] = zero if x[n, d] < zero else x[n, d]


def relu_call(words, y, x):
    """Return the loop that writes max(x, 0) of x (R, width) into y, and its arguments. It is not shared."""
    return rectify, y, x


@kernel
def _ask(array, i, first, n):
    """Ask for the first few of n positions of keys or values of group i, of all rows' groups, which are read a little later."""
    size = array.shape[3] * array.itemsize
    at = (i * array.shape[2] + first) * size
    for byte in range(0, min(n, FIRST) * size, LINE):
        prefetch(array, at + byte)


@kernel
def _score(scores, q, i, keys, o):
    """Write q k_s into scores (S,): the query begins at number i of q, and the keys at number o of keys."""
    width, step = keys.shape[3], lanes(keys)
    vectors = width - width % (2 * step)
    for d in range(0, vectors, 2 * step):
        left, right, at = vector(q, i + d), vector(q, i + d + step), o + d
        for s in range(len(scores)):
            a = total(times_plus(left, vector(keys, at), times_plus(right, vector(keys, at + step), zeros(keys))))  # (1), c later
            scores[s] = scores[s] + a if d else a
            at += width
    if vectors < width:
        query, all_keys = q.reshape(q.size)[i : i + width], keys.reshape(keys.size)
        for s in range(len(scores)):
            a, key = scores[s] if vectors else q.dtype.type(0), all_keys[o + s * width : o + (s + 1) * width]
            for d in range(vectors, width):
                a += query[d] * key[d]
            scores[s] = a


@kernel
def _add_values(y, i, weights, scale, values, o):
    """Write sum_s weights[s] v_s times ``scale`` into y from number i on: the values begin at number o of values."""
    n, width, step, one = len(weights), values.shape[3], lanes(values), values.dtype.type(1)
    if width < 2 * step:
        out, all_values = y.reshape(y.size)[i : i + width], values.reshape(values.size)
        for d in range(width):
            out[d] = 0
        for s in range(n):
            e, value = weights[s] * scale, all_values[o + s * width : o + (s + 1) * width]
            for d in range(width):
                out[d] += e * value[d]  # (3)
        return
    for column in range(0, width, 2 * step):
        d = min(column, width - 2 * step)  # the last vectors have some columns of those before, too
        at, a, b, e, f = o + d, zeros(values), zeros(values), zeros(values), zeros(values)
        for s in range(0, n - 1, 2):
            a, b = times_plus(weights[s], vector(values, at), a), times_plus(weights[s], vector(values, at + step), b)
            at += width
            e, f = times_plus(weights[s + 1], vector(values, at), e), times_plus(weights[s + 1], vector(values, at + step), f)
            at += width
        if n % 2:
            a, b = times_plus(weights[n - 1], vector(values, at), a), times_plus(weights[n - 1], vector(values, at + step), b)
        put(y, i + d, times_plus(scale, times_plus(one, a, e), zeros(values)))  # (3)
        put(y, i + d + step, times_plus(scale, times_plus(one, b, f), zeros(values)))


@kernel
def _attend_groups(part, size, is_large, y, scores, q, k, v, keys, values, before, scale, left, right):
    """Add a position to the keys and values of some rows' groups, and write what their heads' queries read.

    All scores come first: a number that has just been written is read at once, but not together with its neighbours.
    """
    n_groups, width, value_width, one = keys.shape[1], keys.shape[3], values.shape[3], q.dtype.type(1)
    p, heads, start, end = before[0], q.shape[1] // width // n_groups, part * size, min(part * size + size, keys.shape[0] * n_groups)
    first, stop = max(0, p - left), min(p, p + right) + 1
    n = max(0, stop - first)
    for i in range(start, end):
        b, g = i // n_groups, i % n_groups
        own_keys, own_values = keys[b, g], values[b, g]
        for d in range(width):
            own_keys[p, d] = k[b, g * width + d]
        for d in range(value_width):
            own_values[p, d] = v[b, g * value_width + d]
        if is_large:
            _ask(values, i, first, n)
            _ask(keys, i + 1, first, n if i + 1 < end else 0)
        for h in range(i * heads, (i + 1) * heads):
            _score(scores[h, :n], q, h * width, keys, (i * keys.shape[2] + first) * width)
    for h in range(start * heads, end * heads):
        row, z = scores[h, :n], q.dtype.type(0)
        largest = row_max(row, n)
        for s in range(n):
            row[s] = exp((row[s] - largest) * scale)
            z += row[s]
        scores[h, n] = one / z if n else z  # 1 / Z of (2)
    for i in range(start, end):
        for h in range(i * heads, (i + 1) * heads):
            _add_values(y, h * value_width, scores[h, :n], scores[h, n], values, (i * values.shape[2] + first) * value_width)


@kernel
def attend(words, y, scores, q, k, v, keys, values, before, scale, left, right):
    """Attention of one more position for each row, to those before it and itself; its keys and values are added to those before.

    Parameters
    ----------
    words : int64 array
        As of `tinytx.kernel.share`.
    y : array (R, H W)
    scores : array (B H, more than S)
        To compute in.
    q, k, v : array (R, H K), (R, G K), (R, G W)
    keys, values : array (B, G, at least S, K), (B, G, at least S, W)
        Contiguous. B may be less than R: the last rows are not computed.
    before : int64 array (1,)
        S - 1, the number of positions before.
    scale : float
        c of (1).
    left, right : int
        The band: how many positions before and after its own a query may look at.
    """
    n = keys.shape[0] * keys.shape[1]
    is_large = n * keys.shape[3] * before[0] >= LARGE
    size, words = (max(1, n // PARTS), words) if is_large else (n, words[:0])
    share(words, _attend_groups, (n + size - 1) // size, (size, is_large, y, scores, q, k, v, keys, values, before, scale, left, right))
