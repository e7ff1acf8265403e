r"""The geometric product and the join: how multivectors act on each other (Brehmer et al. 2023, arXiv:2305.18415).

Derivation
----------
Both are sums over a table of signs G (``multivector.py``), 192 of the 4096 combinations for the product and 81 for the join:

    z_k = sum_i sum_j G_ijk x_i y_j                                      (1)

The product composes motions, and measures: the product of two points contains the translation from one to the other. The join
of two points is the line through them, that of three the plane; no sum of products makes it. Both are *equivariant*: moving x
and y moves z in the same way. But a reflection also changes the sign of the join. So it is multiplied by a number that
changes its sign, too, a reference r for each row of the batch (the mean of the e123 of the inputs, say). With G for its table,

    z_k = r sum_i sum_j G_ijk x_i y_j                                    (2)

z is linear in x and in y, so their gradients are sums over the same table:

    a_i = sum_j sum_k G_ijk dz_k y_j
    b_j = sum_i sum_k G_ijk dz_k x_i

(Where the metric has no zero, dx of the product would be dz times the reverse of y. Here e0 e0 = 0, and it is not.) Of the product,

    ∂z_k/∂x_i = sum_j G_ijk y_j,   ∂z_k/∂y_j = sum_i G_ijk x_i,
    dx_i = a_i,   dy_j = b_j                                             (3)

In the join, r multiplies all numbers of its row, so that

    dx_i = r a_i,   dy_j = r b_j,
    dr = sum_k dz_k sum_i sum_j G_ijk x_i y_j = sum_i x_i a_i            (4)

and nothing need be kept but x, y and r.

With numbers
------------
The line through the origin, e123, and the point (1, 0, 0), e123 - e023, is the x axis:

>>> origin, point = np.zeros((2, 1, 16))
>>> origin[0, 14] = point[0, 14] = 1
>>> point[0, 13] = -1
>>> z, saved = join(origin, point, np.ones(1))
>>> {BLADES[i]: z[0, i].item() for i in z[0].nonzero()[0]}
{(2, 3): 1.0}
>>> z, saved = geometric_product(origin, point)
>>> {BLADES[i]: z[0, i].item() for i in z[0].nonzero()[0]}  # -1, and the step from one to the other as e01
{(): -1.0, (0, 1): -1.0}
>>> dx, dy = geometric_product_backward(z, saved)
>>> {BLADES[i]: dx[0, i].item() for i in dx[0].nonzero()[0]}
{(0, 2, 3): 1.0, (1, 2, 3): 2.0}

The same in plain NumPy: ``geometric_product`` and ``join`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import kernel
from tinytx.ops.multivector import BLADES, check_multivectors, join_table, product_table
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape

BLOCK = 256  # multivectors that are computed together: 48 rows of 256 numbers stay in the fastest memory


def _three(table):
    """Return the tables of z, dx and dy: rows (index that is added to, indices of the two factors, sign)."""
    return [np.ascontiguousarray(table[:, order]) for order in ([0, 1, 2, 3], [1, 0, 2, 3], [2, 0, 1, 3])]


PRODUCT, JOIN = _three(product_table()), _three(join_table())


@kernel
def _bilinear(z, x, y, table, block):
    for start in range(0, z.shape[1], block):
        stop = min(start + block, z.shape[1])
        z[:, start:stop] = z.dtype.type(0)
        for e in range(len(table)):
            k, i, j, sign = table[e, 0], table[e, 1], table[e, 2], z.dtype.type(table[e, 3])
            for n in range(start, stop):
                z[k, n] += sign * x[i, n] * y[j, n]  # (1), (3)


def _apply(table, x, y):
    """Return the sum of (1) or (3) for columns (16, N) of multivectors."""
    z = np.empty_like(x)
    _bilinear(z, x, y, table, BLOCK)
    return z


def _columns(x):
    """(..., 16 C) -> (16, N): the loop runs along the multivectors."""
    return np.array(x.reshape(-1, len(BLADES)).T, order="C")


def _checked(place, x, y):
    check_multivectors(place, x=x, y=y)
    check_shape(place, "y", y, x.shape, "x of shape", x.shape)
    return _columns(x), _columns(y)


def geometric_product(x, y):
    """Return the geometric product of each multivector of x with the one of y at the same place.

    Parameters
    ----------
    x : array (..., 16 C), float32 or float64
    y : array (..., 16 C), the dtype of x

    Returns
    -------
    z : array (..., 16 C)
    saved : tuple
        x and y with the 16 numbers as the first axis, and the shape.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    columns = _checked("geometric_product", x, y)
    return _apply(PRODUCT[0], *columns).T.reshape(x.shape), (*columns, x.shape)


def geometric_product_backward(dy, saved):
    """Return (dx, dy): the gradients of both factors.

    Parameters
    ----------
    dy : array (..., 16 C)
        The gradient of the product.
    saved : tuple
    """
    x, y, shape = saved
    check_gradient("geometric_product_backward", dy, shape, x.dtype, "x and y")
    dz = _columns(dy)
    return tuple(_apply(table, dz, other).T.reshape(shape) for table, other in zip(PRODUCT[1:], (y, x)))  # (3)


def join(x, y, reference):
    """Return the join of each multivector of x with the one of y at the same place, times the reference of the row.

    Parameters
    ----------
    x : array (B, ..., 16 C), float32 or float64
    y : array (B, ..., 16 C), the dtype of x
    reference : array (B,), the dtype of x

    Returns
    -------
    z : array (B, ..., 16 C)
    saved : tuple
        x and y with the 16 numbers as the first axis, the reference, and the shape.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("join", x=x, y=y, reference=reference)
    check_axes("join", "x", x, "(B, ..., 16 C)")
    columns = _checked("join", x, y)
    check_shape("join", "reference", reference, x.shape[:1], "x of shape", x.shape)
    z = _apply(JOIN[0], *columns).T.reshape(x.shape)
    return _times(z, reference), (*columns, reference, x.shape)  # (2)


def join_backward(dy, saved):
    """Return (dx, dy, dreference).

    Parameters
    ----------
    dy : array (B, ..., 16 C)
        The gradient of the join.
    saved : tuple
    """
    x, y, reference, shape = saved
    check_gradient("join_backward", dy, shape, x.dtype, "x and y")
    dz = _columns(dy)
    a, b = _apply(JOIN[1], dz, y), _apply(JOIN[2], dz, x)
    dreference = (x * a).sum(axis=0).reshape(shape[0], -1).sum(axis=1)  # (4)
    return *(_times(d.T.reshape(shape), reference) for d in (a, b)), dreference


def _times(z, reference):
    return z * reference.reshape(-1, *(1,) * (z.ndim - 1))
