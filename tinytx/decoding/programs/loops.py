r"""Loops that a program needs beside those of operations: each computes, of the arrays that it is given, one step for each row.

They are the forward halves of ``embedding.py``, ``positions.py``, ``linear.py``, ``gate.py`` and ``attention.py`` in ``tinytx.ops`` and have
their equations. What changes from token to token, the ids and the number of positions before, stands in arrays, since a program's
arguments stay what they are.
"""

import numpy as np

from tinytx.kernel import exp, kernel, matmul, share

LARGE = 1 << 16  # numbers of the keys that a token looks at, from which on helpers that are awake take their part


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


def relu_call(y, x):
    """Return the loop that writes max(x, 0) of x (R, width) into y, and its arguments."""
    return rectify, y, x


@kernel
def _attend_group(i, y, scores, q, k, v, keys, values, before, scale, left, right):
    """Add a position to the keys and values of one row and group, and write what its heads' queries read."""
    n_groups, width, value_width = keys.shape[1], keys.shape[3], values.shape[3]
    b, g, p = i // n_groups, i % n_groups, before[0]
    heads = q.shape[1] // width // n_groups
    own_keys, own_values, zero = keys[b, g], values[b, g], q.dtype.type(0)
    for d in range(width):
        own_keys[p, d] = k[b, g * width + d]
    for d in range(value_width):
        own_values[p, d] = v[b, g * value_width + d]
    first, stop = max(0, p - left), min(p, p + right) + 1
    for h in range(g * heads, (g + 1) * heads):
        query, row, out = q[b, h * width : (h + 1) * width], scores[i], y[b, h * value_width : (h + 1) * value_width]
        for s in range(first, stop):
            a = zero
            for d in range(width):
                a += query[d] * own_keys[s, d]  # (1), c later
            row[s] = a
        largest = q.dtype.type(-np.inf)
        for s in range(first, stop):
            largest = max(largest, row[s])
        total = zero
        for s in range(first, stop):
            row[s] = exp((row[s] - largest) * scale)
            total += row[s]
        for d in range(value_width):
            out[d] = zero
        for s in range(first, stop):
            e = row[s]
            for d in range(value_width):
                out[d] += e * own_values[s, d]  # (3), not divided by Z yet
        for d in range(value_width):
            out[d] = out[d] / total if stop > first else zero  # (2)


@kernel
def attend(words, y, scores, q, k, v, keys, values, before, scale, left, right):
    """Attention of one more position for each row, to those before it and itself; its keys and values are added to those before.

    Parameters
    ----------
    words : int64 array
        As of `tinytx.kernel.share`.
    y : array (R, H W)
    scores : array (B G, at least S)
        To compute in.
    q, k, v : array (R, H K), (R, G K), (R, G W)
    keys, values : array (B, G, at least S, K), (B, G, at least S, W)
        B may be less than R: the last rows are not computed.
    before : int64 array (1,)
        S - 1, the number of positions before.
    scale : float
        c of (1).
    left, right : int
        The band: how many positions before and after its own a query may look at.
    """
    n = keys.shape[0] * keys.shape[1]
    is_large = n * keys.shape[3] * before[0] >= LARGE
    share(words if is_large else words[:0], _attend_group, n, (y, scores, q, k, v, keys, values, before, scale, left, right))
