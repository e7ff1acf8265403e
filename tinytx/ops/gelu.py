r"""The Gaussian error linear unit, in its two forms (Hendrycks and Gimpel 2016, arXiv:1606.08415).

Derivation
----------
x times the probability that a standard normal variable is below x. BERT and ViT compute it exactly:

    P(x) = (1 + erf(x / sqrt 2)) / 2,   y = x P(x).                      (1)

The derivative of P is the normal density p, and the product rule gives the derivative of y:

    p(x) = exp(-x^2 / 2) / sqrt(2 pi),   P'(x) = p(x),
    ∂y/∂x = P(x) + x p(x),   dx = dy (P(x) + x p(x)).                    (2)

GPT-2 uses the paper's approximation y = x (1 + tanh u) / 2, in which

    c = sqrt(2 / pi),   a = 0.044715,   u = c (x + a x^3).

It is x times a logistic function s of 2u:

    s = (1 + tanh u) / 2 = 1 / (1 + e^(-2u)),   y = x s.                 (3)

The product rule and the chain rule give

    ∂u/∂x = c (1 + 3 a x^2),   ∂s/∂u = 2 s (1 - s),
    dx = dy (s + x 2 s (1 - s) c (1 + 3 a x^2)).                         (4)

The two forms differ by up to 5e-4. The forward of one with the backward of the other would give a gradient that is
wrong in the fourth digit, and a model that still learns. So each form has its own pair of functions, and both passes
use the same constants.

What is kept: x alone. s would be another array of x's size; to compute it again takes one exponential.

The same in plain NumPy: ``gelu`` and ``gelu_tanh`` in ``plain.py``.
"""

import math

from tinytx import workers
from tinytx.kernel import exp, kernel, normal_cdf, share
from tinytx.shapes import check_float, check_gradient, elementwise

A = 0.044715
C = math.sqrt(2 / math.pi)
DENSITY = 1 / math.sqrt(2 * math.pi)
SHARED = 1 << 14  # numbers from which on a thread that is awake takes a part: about 10 microseconds
FLAT = 40.0  # below -FLAT y is 0 in both dtypes, and no infinity is multiplied by 0


@kernel
def _edge(p, n, size):
    """Return where part p of n begins: at a multiple of 64, where a loop in vector registers begins anew."""
    return size if p == n else size * p // n // 64 * 64


@kernel
def _erf_forward(p, n, y, x):
    start, stop = _edge(p, n, x.size), _edge(p + 1, n, x.size)
    y, x = y[start:stop], x[start:stop]
    half, low = x.dtype.type(0.5), x.dtype.type(-FLAT)
    for i in range(x.size):
        v = low if x[i] < low else x[i]
        y[i] = v * normal_cdf(v, exp(-half * v * v))  # (1)


@kernel
def _erf_backward(p, n, dx, dy, x):
    start, stop = _edge(p, n, x.size), _edge(p + 1, n, x.size)
    dx, dy, x = dx[start:stop], dy[start:stop], x[start:stop]
    half, density, zero = x.dtype.type(0.5), x.dtype.type(DENSITY), x.dtype.type(0)
    for i in range(x.size):
        e = exp(-half * x[i] * x[i])
        dx[i] = dy[i] * (normal_cdf(x[i], e) + (x[i] * density * e if e > 0 else zero))  # (2)


@kernel
def _tanh_forward(p, n, y, x):
    start, stop = _edge(p, n, x.size), _edge(p + 1, n, x.size)
    y, x = y[start:stop], x[start:stop]
    one, c, a, low = x.dtype.type(1), x.dtype.type(-2 * C), x.dtype.type(A), x.dtype.type(-FLAT)
    for i in range(x.size):
        v = low if x[i] < low else x[i]
        y[i] = v / (one + exp(c * (v + a * v * v * v)))  # (3)


@kernel
def _tanh_backward(p, n, dx, dy, x):
    start, stop = _edge(p, n, x.size), _edge(p + 1, n, x.size)
    dx, dy, x = dx[start:stop], dy[start:stop], x[start:stop]
    one, c, a, a3 = x.dtype.type(1), x.dtype.type(-2 * C), x.dtype.type(A), x.dtype.type(3 * A)
    zero = x.dtype.type(0)
    for i in range(x.size):
        s = one / (one + exp(c * (x[i] + a * x[i] * x[i] * x[i])))
        slope = s * (one - s) * c  # of s, c being -2 sqrt(2/pi); where it is 0, infinity may stand beside it
        dx[i] = dy[i] * (s - (x[i] * slope * (one + a3 * x[i] * x[i]) if slope < 0 else zero))  # (4)


@kernel
def _share_erf_forward(words, n, y, x):
    share(words, _erf_forward, n, (n, y, x))


@kernel
def _share_erf_backward(words, n, dx, dy, x):
    share(words, _erf_backward, n, (n, dx, dy, x))


@kernel
def _share_tanh_forward(words, n, y, x):
    share(words, _tanh_forward, n, (n, y, x))


@kernel
def _share_tanh_backward(words, n, dx, dy, x):
    share(words, _tanh_backward, n, (n, dx, dy, x))


def _in_parts(loop, *arrays):
    """Return what a loop makes of arrays, of which a thread that is awake makes a part."""
    n = workers.awake.parts() if arrays[0].size >= SHARED else 1
    return elementwise(lambda *flat: loop(workers.awake.words(n > 1), n, *flat), *arrays)


def gelu(x):
    """Return x P(x), the exact form with erf.

    Parameters
    ----------
    x : array, float32 or float64, any shape

    Returns
    -------
    y : array, shape of x
    saved : array
        x itself.
    """
    check_float("gelu", x=x)
    return _in_parts(_share_erf_forward, x), x


def gelu_call(words, y, x):
    """Return the loop that writes (1) of a contiguous x into y, and its arguments, for a program: `tinytx.calls.bound`, `tinytx.kernel.share`."""
    return _share_erf_forward, words, 2, y.reshape(-1), x.reshape(-1)


def gelu_backward(dy, saved):
    """Return dx of `gelu`."""
    check_gradient("gelu_backward", dy, saved.shape, saved.dtype, "x of shape", saved.shape)
    return _in_parts(_share_erf_backward, dy, saved)


def gelu_tanh(x):
    """Return the tanh approximation of `gelu`, which GPT-2 uses.

    Parameters
    ----------
    x : array, float32 or float64, any shape

    Returns
    -------
    y : array, shape of x
    saved : array
        x itself.
    """
    check_float("gelu_tanh", x=x)
    return _in_parts(_share_tanh_forward, x), x


def gelu_tanh_call(words, y, x):
    """Return the loop that writes (3) of a contiguous x into y, and its arguments, for a program, as `gelu_call` does."""
    return _share_tanh_forward, words, 2, y.reshape(-1), x.reshape(-1)


def gelu_tanh_backward(dy, saved):
    """Return dx of `gelu_tanh`."""
    check_gradient("gelu_tanh_backward", dy, saved.shape, saved.dtype, "x of shape", saved.shape)
    return _in_parts(_share_tanh_backward, dy, saved)
