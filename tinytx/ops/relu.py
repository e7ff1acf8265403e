r"""The rectified linear unit (Nair and Hinton 2010).

Derivation
----------
    y = max(x, 0)                                                        (1)

∂y/∂x is 1 where x > 0 and 0 where x < 0. At x = 0 there is a kink, where any slope from 0 to 1 is a subgradient; we
take 0, as other libraries do. With [x > 0] for the number that is 1 if x > 0 and 0 otherwise,

    dx = dy [x > 0] = dy [y > 0].                                        (2)

The second form of (2) is why y is kept, not x: the linear map that follows keeps y anyway.

The same in plain NumPy: ``relu`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import check_float, check_gradient, elementwise


@kernel
def _backward(dx, dy, y):
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > 0 else dy.dtype.type(0)  # (2)


def relu(x):
    """Return max(x, 0).

    Parameters
    ----------
    x : array, float32 or float64, any shape

    Returns
    -------
    y : array, shape of x
    saved : array
        y itself.
    """
    check_float("relu", x=x)
    y = np.asarray(np.maximum(x, 0))  # (1)
    return y, y


def relu_backward(dy, saved):
    """Return dx."""
    check_gradient("relu_backward", dy, saved.shape, saved.dtype, "y of shape", saved.shape)
    return elementwise(_backward, dy, saved)
