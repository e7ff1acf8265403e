r"""The hyperbolic tangent, which BERT puts on its summary of a text (Devlin et al. 2018, arXiv:1810.04805).

Derivation
----------
    y = tanh x = sinh x / cosh x.                                        (1)

The derivative of sinh is cosh and that of cosh is sinh, so by the quotient rule
∂y/∂x = (cosh^2 x - sinh^2 x) / cosh^2 x = 1 - y^2, and

    dx = dy (1 - y^2) = dy (1 - y) (1 + y).                              (2)

The second form of (2) is computed: where y is near 1, 1 - y is exact, and 1 - y^2 has lost y^2's last digits. It is
a function of y alone, which is why y is kept, and not x.

The same in plain NumPy: ``tanh`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import check_float, check_gradient, elementwise


@kernel
def _backward(dx, dy, y):
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (one - y[i]) * (one + y[i])  # (2)


def tanh(x):
    """Return tanh x.

    Parameters
    ----------
    x : array, float32 or float64, any shape

    Returns
    -------
    y : array, shape of x
    saved : array
        y itself.
    """
    check_float("tanh", x=x)
    y = np.asarray(np.tanh(x))  # (1)
    return y, y


def tanh_backward(dy, saved):
    """Return dx."""
    check_gradient("tanh_backward", dy, saved.shape, saved.dtype, "y of shape", saved.shape)
    return elementwise(_backward, dy, saved)
