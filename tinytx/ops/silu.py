r"""The sigmoid linear unit (Elfwing et al. 2017, arXiv:1702.03118), also known as swish: the activation of Llama's gates.

Derivation
----------
With the logistic function s,

    s = 1 / (1 + e^(-x)),   y = x s.                                     (1)

∂s/∂x = e^(-x) / (1 + e^(-x))^2 = s (1 - s), so the product rule gives

    dx = dy (s + x s (1 - s)).                                           (2)

A logistic function alone has the derivative s (1 - s), and y alone the derivative (2): a backward that takes one for the
other is a common mistake.

What is kept: x alone; to compute s again takes one exponential.

The same in plain NumPy: ``silu`` in ``plain.py``.
"""

from tinytx.kernel import exp, kernel
from tinytx.shapes import check_float, check_gradient, elementwise

FLAT = 800.0  # below -FLAT y is 0 in both dtypes, and no infinity is divided by infinity


@kernel
def _forward(y, x):
    one, low = x.dtype.type(1), x.dtype.type(-FLAT)
    for i in range(x.size):
        v = low if x[i] < low else x[i]
        y[i] = v / (one + exp(-v))  # (1)


@kernel
def _backward(dx, dy, x):
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(x.size):
        s = one / (one + exp(-x[i]))
        slope = s * (one - s)  # where it is 0, x may be infinite
        dx[i] = dy[i] * (s + (x[i] * slope if slope > 0 else zero))  # (2)


def silu(x):
    """Return x / (1 + e^(-x)).

    Parameters
    ----------
    x : array, float32 or float64, any shape

    Returns
    -------
    y : array, shape of x
    saved : array
        x itself.
    """
    check_float("silu", x=x)
    return elementwise(_forward, x), x


def silu_call(words, y, x):
    """Return the loop that writes (1) of a contiguous x into y, and its arguments, for a program: `tinytx.calls.bound`. It is not shared."""
    return _forward, y.reshape(-1), x.reshape(-1)


def silu_backward(dy, saved):
    """Return dx."""
    check_gradient("silu_backward", dy, saved.shape, saved.dtype, "x of shape", saved.shape)
    return elementwise(_backward, dy, saved)
