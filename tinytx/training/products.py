"""Gradients of large matrices, made once for the rows of all shards.

A weight's gradient is a sum over the rows of the whole batch, dW = X^T dY ((3) of ``ops/linear.py``). If each shard makes its part of it, there is an array
as large as W for each shard, and their sum goes through memory once more. Where the rows are few and W is large, a shard hands over X and dY instead
(`tinytx.ops.linear.Product`), and after the last one has ended all threads make

    sum  =  (X_0^T dY_0 + X_1^T dY_1) + (X_2^T dY_2 + X_3^T dY_3) + ...        (1)

piece by piece. BLAS adds the second product of each pair to what the first one wrote; for so few rows that it goes through them at once this has the
bits of (1) of ``shards.py``.
"""

import numpy as np

from tinytx import workers
from tinytx.kernel import kernel, matmul
from tinytx.ops.linear import Product
from tinytx.training.arithmetic import plus

LARGE = 1 << 18  # numbers of a matrix: smaller ones are summed in a cache
ROWS = 256  # at most: BLAS goes through no more than that at once
PIECE = 1 << 21  # numbers that a thread writes before it takes the next piece


def are_worth_it(dy, shape):
    """Return whether a shard should hand over its rows: they are few, and take less than half of the memory of a gradient of that shape."""
    n_rows = dy.size // max(1, dy.shape[-1])
    return len(shape) == 2 and n_rows <= ROWS and shape[0] * shape[1] >= max(LARGE, 2 * n_rows * (shape[0] + shape[1]))


def is_unmade(value):
    """Return whether a value is a `Product`, or a pair of such values, which stands for their sum."""
    return isinstance(value, tuple)


def made(value):
    """Return an array, or the array that an unmade value stands for."""
    if not is_unmade(value):
        return value
    first = value
    while not isinstance(first, Product):
        first = first[0]
    out = np.empty(first.shape, first.dtype)
    _write(value, out, slice(None))
    return out


def make(totals):
    """Make all products that wait, and add them and what waits behind them to the parameters, in the order in which they came.

    Parameters
    ----------
    totals : list of GradientSum
        All shards have ended.
    """
    while waiting := [total for total in totals if total.waiting]:
        values = [total.next_product for total in waiting]
        arrays = [None if value is None else np.empty_like(total.parameter.data) for total, value in zip(waiting, values)]
        pieces = [(value, out, rows) for value, out in zip(values, arrays) if out is not None for rows in _pieces(*out.shape)]
        workers.map(lambda value, out, rows: _write(value, out[rows], rows), *zip(*pieces))
        for total, array in zip(waiting, arrays):
            total.go_on(array)


def _pieces(n, width):
    """Return the rows of each piece of a matrix: multiples of 48, since BLAS takes 12, 16 or 24 at a time, and what is left over adds up in another order."""
    size = max(48, PIECE // max(1, width) // 48 * 48)
    return [slice(start, start + size) for start in range(0, n, size)]


def _write(value, out, rows):
    """Write some rows of (1) into out."""
    if isinstance(value, Product):
        _multiply(out, value.a[:, rows], value.b, False)
        return
    left, right = value
    _write(left, out, rows)
    if isinstance(right, Product):
        _multiply(out, right.a[:, rows], right.b, True)
    else:
        more = np.empty_like(out)
        _write(right, more, rows)
        plus(out, more, out)


@kernel
def _multiply(out, a, b, adds):
    matmul(a.T, b, out, adds)
