r"""Displacements read off multivectors: where the point of each lies, as seen from a given place.

Derivation
----------
A multivector x with w = e123 and t = (-e023, e013, -e012), in the order of three coordinates, stands for the point t/w
(``multivector.py``). A net that is to say where a body at p goes can have any w, and 1/w has no bound. But to move everything so
that p becomes the origin takes w p from t, and

    y = t - w p                                                          (1)

is w times the step from p to the point: no translation changes it, rotations and reflections turn it, and w is the net's to
choose; with w = 1 the point is p + y. (1) is linear in each of t, w and p, and ∂y/∂w = -p:

    dt = dy,   dw = - dy . p,   dp = - w dy.                             (2)

With numbers
------------
>>> x = np.zeros(16)
>>> x[13], x[14] = -5, 1  # the point (5, 0, 0)
>>> y, saved = displacement(x, np.array([3.0, 0, 1]))
>>> dx, dorigin = displacement_backward(y, saved)
>>> y.tolist(), dx[11:].tolist(), dorigin.tolist()
([2.0, 0.0, -1.0], [1.0, 0.0, -2.0, -5.0, 0.0], [-2.0, -0.0, 1.0])

The same in plain NumPy: ``displacement`` in ``plain.py``.
"""

import numpy as np

from tinytx.ops.multivector import BLADES, DIRECTION, POINT_WEIGHT, check_multivectors
from tinytx.shapes import check_float, check_gradient, check_shape


def displacement(x, origin):
    """Return where the points of multivectors are, as seen from ``origin``, times their weight.

    Parameters
    ----------
    x : array (..., 16), float32 or float64
    origin : array (..., 3), the dtype of x
        p in (1).

    Returns
    -------
    y : array (..., 3)
    saved : tuple
        x and origin.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("displacement", x=x, origin=origin)
    check_multivectors("displacement", x=x)
    check_shape("displacement", "x", x, (*x.shape[:-1], len(BLADES)), "one multivector at each place")
    check_shape("displacement", "origin", origin, (*x.shape[:-1], 3), "x of shape", x.shape)
    return x @ DIRECTION.T.astype(x.dtype) - x[..., POINT_WEIGHT, None] * origin, (x, origin)  # (1)


def displacement_backward(dy, saved):
    """Return (dx, dorigin).

    Parameters
    ----------
    dy : array (..., 3)
    saved : tuple
    """
    x, origin = saved
    check_gradient("displacement_backward", dy, origin.shape, x.dtype, "origin of shape", origin.shape)
    dx = dy @ DIRECTION.astype(x.dtype)
    dx[..., POINT_WEIGHT] = -np.sum(dy * origin, axis=-1)
    return dx, -x[..., POINT_WEIGHT, None] * dy  # (2)
