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

The bias may be left out. Then the backward returns None in the place of db. If x moves the loss along another path, too, as
beside a residual connection, the gradients of both paths add up: the backward takes the other one as ``onto``, and BLAS adds
(2) to it.

The sum of a residual connection can be made in the same way: the forward takes the array R that is added as ``onto``, and

    Y_nj = R_nj + sum_i X_ni W_ij + b_j,
    dR_nj = dY_nj (∂Y_nj/∂R_nj) = dY_nj.                                 (5)

(2), (3) and (4) stay as they are. dR is dY itself, so whoever hands R in has its gradient already, and the backward does not
return it.

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

The same in plain NumPy: ``linear`` in ``plain.py``. Most of the code below is about speed: each pass is one call of
compiled code, which threads share if they have nothing else to do, and `product` is the product of a few rows.
"""

from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.kernel import kernel, matmul, plus, share
from tinytx.ops.few_rows import few_rows, fits
from tinytx.recording import empty, empty_like
from tinytx.shapes import check_float, check_gradient, check_onto, check_shape, contiguous, rows

LARGE = 1 << 25  # multiplications of a product, 0.4 to 0.8 ms; smaller ones are done before another thread has woken up
FEW = 16  # rows, of which a product takes as long as its matrix takes to be read; BLAS reads a third as fast for several as for one
SHARED = 1 << 19  # multiplications from which on a helper that is awake takes a part: about 10 microseconds
WIDE = 1 << 19  # numbers of a matrix, from which on threads take columns of it where it has more than there are rows
LARGE_MATRIX = 1 << 22  # numbers of a matrix, counted three times for several rows, from which on so few rows use several threads


class Saved(NamedTuple):
    """(2) and (3) need x and W. Both exist already: keeping them costs only references."""

    x: np.ndarray
    weight: np.ndarray
    has_bias: bool


class Product(NamedTuple):
    """a^T b, a product that has not been made yet: (3), where somebody makes it for more rows than a backward has. As an array it is made."""

    a: np.ndarray  # (N, r)
    b: np.ndarray  # (N, c)

    @property
    def shape(self):
        return self.a.shape[1], self.b.shape[1]

    @property
    def dtype(self):
        return self.a.dtype

    @property
    def T(self):  # noqa: N802  as of arrays
        return Product(self.b, self.a)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.a.T @ self.b, dtype)


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


@kernel
def _edge(i, n, size):
    """Return the first row or column of part i of n: a multiple of 16, as many as BLAS takes at a time."""
    return size if i == n else size * i // n // 16 * 16


@kernel
def _forward(i, before, n, y, x, matrix, bias, onto, is_transposed):
    """Write part before + i of n of the rows of y, or of its columns, if they are more and W is large; ``matrix`` is W, or W^T if that is how W lies in memory.

    With a part of the columns a thread reads a part of W, which takes the time where rows are few. BLAS fills y with zeros before it adds
    products to them. To fill it with the bias takes no longer, and what is added to y is read here, too.
    """
    i += before
    start, stop, first, last, has_bias, has_more = 0, len(x), 0, y.shape[1], len(bias) > 0, len(onto) > 0
    if last > stop and matrix.size >= WIDE:
        first, last = _edge(i, n, last), _edge(i + 1, n, last)
    else:
        start, stop = _edge(i, n, stop), _edge(i + 1, n, stop)
    part, added = y[start:stop, first:last], bias[first:last]
    if has_more:
        for row in range(len(part)):
            sums, more = part[row], onto[start + row, first:last]
            for j in range(len(sums)):
                sums[j] = more[j]
            for j in range(len(added)):
                sums[j] += added[j]  # (5)
    else:
        for row in range(len(part)):
            for j in range(len(added)):
                part[row, j] = added[j]
    if is_transposed:
        matmul(x[start:stop], matrix[first:last].T, part, has_bias or has_more)  # (1), (5)
    else:
        matmul(x[start:stop], matrix[:, first:last], part, has_bias or has_more)  # (1), (5)


@kernel
def _backward(i, before, n, dx, dmatrix, dbias, dy, x, matrix, onto, is_transposed):
    """Write part before + i of n of the rows of dx, the rows of the matrix's gradient, and the bias's."""
    i += before
    start, stop = _edge(i, n, len(x)), _edge(i + 1, n, len(x))
    first, last, has_more = _edge(i, n, len(dmatrix)), _edge(i + 1, n, len(dmatrix)), len(onto) > 0
    for row in range(start, stop if has_more else start):
        a, b = dx[row], onto[row]
        for j in range(len(a)):
            a[j] = b[j]
    if is_transposed:  # (3) transposed, too: laid out as the matrix is
        matmul(dy[start:stop], matrix, dx[start:stop], has_more)  # (2)
        matmul(dy[:, first:last].T, x, dmatrix[first:last])  # (3)
    else:
        matmul(dy[start:stop], matrix.T, dx[start:stop], has_more)  # (2)
        matmul(x[:, first:last].T, dy, dmatrix[first:last])  # (3)
    first, last, row = _edge(i, n, len(dbias)), _edge(i + 1, n, len(dbias)), 0
    sums = dbias[first:last]
    sums[:] = 0
    while len(sums) and row + 4 <= len(dy):
        a, b, c, d = dy[row, first:last], dy[row + 1, first:last], dy[row + 2, first:last], dy[row + 3, first:last]
        for j in range(len(sums)):
            sums[j] = plus(sums[j], plus(plus(a[j], b[j]), plus(c[j], d[j])))  # (4)
        row += 4
    while len(sums) and row < len(dy):
        a = dy[row, first:last]
        for j in range(len(sums)):
            sums[j] = plus(sums[j], a[j])
        row += 1


@kernel
def _share_forward(words, before, count, n, y, x, matrix, bias, onto, is_transposed):
    share(words, _forward, count, (before, n, y, x, matrix, bias, onto, is_transposed))


@kernel
def _share_backward(words, before, count, n, dx, dmatrix, dbias, dy, x, matrix, onto, is_transposed):
    share(words, _backward, count, (before, n, dx, dmatrix, dbias, dy, x, matrix, onto, is_transposed))


def in_parts(share_parts, size, *arguments):
    """Compute all parts of a product: in threads that are awake, in ones to be woken for a large product, or here.

    How many there are does not depend on whether a thread is awake just now, since the last bits may depend on it. All parts are computed by
    the same machine code, since those of two copies of it may differ, too.

    Parameters
    ----------
    share_parts : kernel (words, before, count, n, *arguments)
        Computes ``count`` of n parts, behind the first ``before``.
    size : int
        Multiplications.
    *arguments : arrays and numbers
    """
    n = workers.count() if size >= LARGE else workers.awake.parts() if size >= SHARED else 1
    words = workers.awake.words(n > 1)
    if n > 1 and size >= LARGE and len(words) == 0:
        workers.map(lambda i: share_parts(words, i, 1, n, *arguments), range(n))
    else:
        share_parts(words, 0, n, n, *arguments)


def _matrix(weight):
    """Return (W or W^T, contiguous, whether it is W^T): as W lies in memory."""
    return (weight.T, True) if not weight.flags.carray and weight.T.flags.carray else (contiguous(weight), False)


_NO_BIAS = {np.dtype(dtype): np.empty(0, dtype) for dtype in (np.float32, np.float64)}


def linear(x, weight, bias=None, *, onto=None):
    """Return x W + b, or r + x W + b.

    Parameters
    ----------
    x : array (..., d_in), float32 or float64
    weight : array (d_in, d_out), the dtype of x
    bias : array (d_out,), optional
    onto : array (..., d_out), optional
        r, such as the other path of a residual connection. Its gradient is that of y.

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
    if bias is not None:
        check_shape("linear", "bias", bias, weight.shape[1:], "weight of shape", weight.shape)
    x_rows, more = rows(x), check_onto("linear", onto, x, weight)
    if len(x_rows) <= FEW:
        y = product(x_rows, weight)  # (1)
        if onto is not None:
            y += more if bias is None else more + bias  # (5), in the order of the sums of more rows
        elif bias is not None:
            y += bias
    else:
        (matrix, is_transposed), added = _matrix(weight), _NO_BIAS[x.dtype] if bias is None else contiguous(bias)
        y = empty((len(x_rows), weight.shape[1]), x.dtype)
        in_parts(_share_forward, x.size * weight.shape[1], y, x_rows, matrix, added, more, is_transposed)
    return y.reshape(*x.shape[:-1], weight.shape[1]), Saved(x, weight, bias is not None)


def linear_backward(dy, saved, *, frozen=False, onto=None, unmade=False):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (..., d_out)
    saved : Saved
    frozen : bool
        Whether nobody asks for dweight, half of the work: it is None then.
    onto : array (..., d_in), optional
        Another gradient of x; dx is the sum of both.
    unmade : bool
        Whether dweight is a `Product`, to be made by whoever asks for it: until then neither x nor dy may be written to.
    """
    x, weight, has_bias = saved
    shape = (*x.shape[:-1], weight.shape[1])
    check_gradient("linear_backward", dy, shape, x.dtype, "x and weight of shapes", x.shape, "and", weight.shape)
    dy_rows, x_rows = rows(dy), rows(x)
    more = check_onto("linear_backward", onto, x)
    matrix, is_transposed = _matrix(weight)
    dx, dbias = empty_like(x_rows), empty(weight.shape[1] if has_bias else 0, x.dtype)
    is_made = not (frozen or unmade)
    dmatrix = empty((len(matrix) if is_made else 0, matrix.shape[1]), x.dtype)
    size = x.size * weight.shape[1] * (2 if is_made else 1)
    in_parts(_share_backward, size, dx, dmatrix, dbias, dy_rows, x_rows, matrix, more, is_transposed)
    dweight = Product(x_rows, dy_rows) if unmade else dmatrix.T if is_transposed else dmatrix
    return dx.reshape(x.shape), None if frozen else dweight, dbias if has_bias else None
