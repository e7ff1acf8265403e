r"""Equivariant linear maps of multivectors (Brehmer et al. 2023, arXiv:2305.18415, proposition 2).

Derivation
----------
A linear map commutes with all rotations, translations and reflections only if it is a sum of nine: <x>_k, which keeps the
numbers of grade k and no others, for k = 0..4, and e0 <x>_k for k = 0..3. So a map from I channels to O channels has 9 numbers
for each pair of channels, in place of 256. e0 <x>_k is 0 for blades that have e0 already, and turns 1 into e0, e1 into e01, e12
into e012, e123 into e0123, without a change of sign. So 24 pairs (a, b) of an entry of x_i and one of y_o are connected, each by
one map. Let T_mab be 1 where map m connects them, and 0 elsewhere, and B_o a bias, which no motion may change: it is added to
the scalars alone, entries 0.

    g_mib = sum_a T_mab x_ia,
    y_ob = sum_m sum_i w_mio g_mib + [b = 0] B_o                         (1)

One matrix says it all,

    M_iaob = sum_m w_mio T_mab,
    y_ob = sum_i sum_a x_ia M_iaob + [b = 0] B_o,                        (2)

and one product computes it, which takes ten times the multiplications needed, and is faster than 24 small ones. So x gets its
gradient as in ``linear.py``, and M would get x_ia dy_ob, summed over all rows; a weight stands in M as often as its map has pairs:

    dx_ia = sum_o sum_b dy_ob M_iaob,
    dw_mio = sum_rows sum_a sum_b T_mab x_ia dy_ob,   dB_o = sum_rows dy_o0                 (3)

With numbers
------------
>>> x = np.arange(16.0)
>>> weight = np.array([2.0, 0, 0, 0, 0, 0, 0, 0, 1]).reshape(9, 1, 1)  # twice the scalar; e0 <x>_3
>>> y, saved = equivariant_linear(x + 1, weight, np.ones(1))
>>> y.tolist()  # 2 * 1 + 1, and e0123 of e123
[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 15.0]
>>> dx, dweight, dbias = equivariant_linear_backward(np.ones(16), saved)
>>> dweight.ravel().tolist(), dbias.tolist()
([1.0, 14.0, 51.0, 54.0, 16.0, 1.0, 12.0, 30.0, 15.0], [1.0])

The same in plain NumPy: ``equivariant_linear`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.ops.linear import linear, linear_backward
from tinytx.ops.multivector import BLADES, SCALAR, check_multivectors
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape

N_MAPS = 9
_KEPT = [(len(blade), a, a) for a, blade in enumerate(BLADES)]
_RAISED = [(5 + len(blade), a, BLADES.index((0, *blade))) for a, blade in enumerate(BLADES) if 0 not in blade]
MAP, SOURCE, TARGET = np.array(sorted(_KEPT + _RAISED)).T  # of the 24 pairs, by map
_FIRST = np.searchsorted(MAP, np.arange(N_MAPS))  # each map's first pair


class Saved(NamedTuple):
    product: NamedTuple  # what `linear` saved
    weight_shape: tuple
    has_bias: bool


def equivariant_linear(x, weight, bias=None):
    """Return the linear map (1) of each vector of multivectors.

    Parameters
    ----------
    x : array (..., 16 I), float32 or float64
    weight : array (9, I, O), the dtype of x
    bias : array (O,), optional
        Added to the scalars.

    Returns
    -------
    y : array (..., 16 O)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    place, n = "equivariant_linear", len(BLADES)
    check_float(place, x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    check_multivectors(place, x=x)
    check_axes(place, "weight", weight, "(9, I, O)")
    check_shape(place, "weight", weight, (N_MAPS, x.shape[-1] // n, weight.shape[2]), "x of shape", x.shape)
    n_in, n_out = weight.shape[1:]
    matrix = np.zeros((n_in, n, n_out, n), x.dtype)
    matrix[:, SOURCE, :, TARGET] = weight[MAP]  # (2)
    y, product = linear(x, matrix.reshape(n_in * n, n_out * n))
    if bias is not None:
        check_shape(place, "bias", bias, (n_out,), "weight of shape", weight.shape)
        y[..., SCALAR::n] += bias  # (1)
    return y, Saved(product, weight.shape, bias is not None)


def equivariant_linear_backward(dy, saved):
    """Return (dx, dweight, dbias); dbias is None where there was no bias.

    Parameters
    ----------
    dy : array (..., 16 O)
    saved : Saved
    """
    (_, n_in, n_out), n, x = saved.weight_shape, len(BLADES), saved.product.x
    check_gradient("equivariant_linear_backward", dy, (*x.shape[:-1], n_out * n), x.dtype, "x and weight")
    dx, dmatrix, _ = linear_backward(dy, saved.product)
    dpairs = dmatrix.reshape(n_in, n, n_out, n)[:, SOURCE, :, TARGET]  # (24, I, O)
    dbias = dy.reshape(-1, n_out, n)[:, :, SCALAR].sum(axis=0) if saved.has_bias else None
    return dx, np.add.reduceat(dpairs, _FIRST), dbias  # (3)
