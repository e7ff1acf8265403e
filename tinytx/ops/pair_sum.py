r"""Pair sums: a vector for each pair of positions, the first layer of a net that looks at pairs (Santoro et al. 2017, arXiv:1706.01427).

Derivation
----------
A relation network has a net g that reads two positions, g([x_i; x_j]). Its first layer, [x_i; x_j] W + c, is a sum of two
parts that know one position each, with W cut into an upper and a lower half: x_i W_1 + c and x_j W_2. So with a_i and b_j,
computed once for each position,

    y_ij = a_i + b_j,                                                    (1)

and neither T^2 copies of pairs nor T^2 products of the first layer exist. As ∂y_ij/∂a_i = 1 and
∂y_ij/∂b_j = 1, each a_i is in the sums with all j, each b_j in those with all i:

    da_i = sum_j dy_ij,   db_j = sum_i dy_ij.                            (2)

With numbers
------------
>>> y, saved = pair_sum(np.array([[[1.0], [2.0]]]), np.array([[[10.0], [20.0], [30.0]]]))
>>> y[0, :, :, 0].tolist()
[[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]
>>> da, db = pair_sum_backward(y, saved)
>>> da.ravel().tolist(), db.ravel().tolist()
([63.0, 66.0], [23.0, 43.0, 63.0])

The same in plain NumPy: ``pair_sum`` in ``plain.py``.
"""

from tinytx.shapes import check_axes, check_float, check_gradient, check_shape


def pair_sum(a, b):
    """Return the sum of each position of a with each position of b.

    Parameters
    ----------
    a : array (B, T, D), float32 or float64
    b : array (B, S, D), the dtype of a

    Returns
    -------
    y : array (B, T, S, D)
    saved : tuple
        The shape and the dtype of y.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("pair_sum", a=a, b=b)
    check_axes("pair_sum", "a", a, "(B, T, D)")
    check_axes("pair_sum", "b", b, "(B, S, D)")
    check_shape("pair_sum", "b", b, (len(a), b.shape[1], a.shape[2]), "a of shape", a.shape)
    y = a[:, :, None] + b[:, None]  # (1)
    return y, (y.shape, y.dtype)


def pair_sum_backward(dy, saved):
    """Return (da, db).

    Parameters
    ----------
    dy : array (B, T, S, D)
    saved : tuple
    """
    shape, dtype = saved
    check_gradient("pair_sum_backward", dy, shape, dtype, "a and b")
    return dy.sum(axis=2), dy.sum(axis=1)  # (2)
