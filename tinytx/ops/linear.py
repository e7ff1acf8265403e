r"""The linear map y = x W + b. The first file to read: all other files here use its equations.

Derivation
----------
``dy`` is short for the gradient of the loss with respect to y: dy_j = ∂loss/∂y_j says how fast the loss grows when y_j
grows. The operations after this one compute it. This one turns it into dx = ∂loss/∂x, dW = ∂loss/∂W and
db = ∂loss/∂b. These names have the same meaning in every file of this folder.

Write the rows of x as a matrix X of shape (N, d_in). Each output is a sum,

    Y_nj = sum_i X_ni W_ij + b_j.                                        (1)

X_ni moves the loss through every output j of its own row, and ∂Y_nj/∂X_ni = W_ij. The chain rule adds these ways up:

    dX_ni = sum_j dY_nj (∂Y_nj/∂X_ni) = sum_j dY_nj W_ij,   or   dX = dY W^T.      (2)

W_ij moves the loss through output j of every row n, because all rows use the same W, and ∂Y_nj/∂W_ij = X_ni:

    dW_ij = sum_n dY_nj (∂Y_nj/∂W_ij) = sum_n X_ni dY_nj,   or   dW = X^T dY.      (3)

b_j is added to output j of every row, and ∂Y_nj/∂b_j = 1:

    db_j = sum_n dY_nj.                                                  (4)

The bias may be left out. Then the backward returns None in the place of db.

The shapes allow no other order of the factors: (2) is (N, d_out)(d_out, d_in), (3) is (d_in, N)(N, d_out).

With numbers
------------
One row x = (1, 2), and a loss that grows by 1 with y_1 and by 10 with y_2:

>>> x, weight = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [3.0, -1.0]])
>>> y, saved = linear(x, weight, np.zeros(2))
>>> dx, dweight, dbias = linear_backward(np.array([[1.0, 10.0]]), saved)
>>> y.tolist(), dx.tolist()  # dx_2 = 1 * 3 + 10 * (-1)
([[7.0, -2.0]], [[1.0, -7.0]])
>>> dweight.tolist(), dbias.tolist()
([[1.0, 10.0], [2.0, 20.0]], [1.0, 10.0])

The same in plain NumPy: ``linear`` in ``plain.py``. Most of the code below is about speed: `product` shares out a large
product among threads.
"""

from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.ops.few_rows import few_rows, fits
from tinytx.shapes import check_float, check_gradient, check_shape, rows

LARGE = 1 << 25  # multiplications of a product, 0.4 to 0.8 ms; smaller ones are done before another thread has woken up
FEW = 16  # rows, of which a product takes as long as its matrix takes to be read; BLAS reads a third as fast for several as for one
LARGE_MATRIX = 1 << 22  # numbers of a matrix, counted three times for several rows, from which on so few rows use several threads


class Saved(NamedTuple):
    """(2) and (3) need x and W. Both exist already: keeping them costs only references."""

    x: np.ndarray
    weight: np.ndarray
    has_bias: bool


def product(a, b):
    """Return a @ b; `tinytx.workers` share a large product: its rows, or, of a few rows, its columns.

    A few rows take as long as b takes to be read from memory. With a part of the columns each thread reads its part of b; with
    a part of the rows each would read all of it.

    Parameters
    ----------
    a : array (M, K)
    b : array (K, N)

    Returns
    -------
    array (M, N)
    """
    if fits(a, b):
        return few_rows(a, b)
    is_few = len(a) <= FEW
    is_large = b.size * min(len(a), 3) >= LARGE_MATRIX if is_few else b.size * len(a) >= LARGE
    n = workers.count() if is_large else 1
    if n == 1:
        return a @ b
    y, size = np.empty((len(a), b.shape[1]), np.result_type(a, b)), b.shape[1] if is_few else len(a)

    def part(start, stop):
        if is_few:
            np.matmul(a, b[:, start:stop], out=y[:, start:stop])
        else:
            np.matmul(a[start:stop], b, out=y[start:stop])

    edges = [size * i // n for i in range(n + 1)]
    workers.map(part, edges[:-1], edges[1:])
    return y


def linear(x, weight, bias=None):
    """Return x W + b.

    Parameters
    ----------
    x : array (..., d_in), float32 or float64
    weight : array (d_in, d_out), the dtype of x
    bias : array (d_out,), optional

    Returns
    -------
    y : array (..., d_out)
    saved : Saved
        For `linear_backward`.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("linear", x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[0]:
        raise ValueError(f"linear: weight of shape {weight.shape} does not fit x of shape {x.shape}: x @ weight")
    y = product(rows(x), weight)  # (1)
    if bias is not None:
        check_shape("linear", "bias", bias, weight.shape[1:], "weight of shape", weight.shape)
        y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), Saved(x, weight, bias is not None)


def linear_backward(dy, saved, *, frozen=False):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (..., d_out)
    saved : Saved
    frozen : bool
        Whether nobody asks for dweight, half of the work: it is None then.
    """
    x, weight, has_bias = saved
    shape = (*x.shape[:-1], weight.shape[1])
    check_gradient("linear_backward", dy, shape, x.dtype, "x and weight of shapes", x.shape, "and", weight.shape)
    dy_rows, x_rows = rows(dy), rows(x)
    dx = product(dy_rows, weight.T).reshape(x.shape)  # (2)
    if frozen:
        dweight = None
    elif weight.flags.c_contiguous:
        dweight = product(x_rows.T, dy_rows)  # (3)
    else:  # the transpose of a table of embeddings: (3) transposed, laid out in memory as that table is
        dweight = product(dy_rows.T, x_rows).T
    dbias = np.ones(len(dy_rows), dy.dtype) @ dy_rows if has_bias else None  # (4): a product sums faster than .sum
    return dx, dweight, dbias
