"""What is done to each element by itself, once more in plain NumPy: see `plain`."""

import math

import numpy as np

from tinytx.ops.gelu import A, C


def scale(x, factor):
    """Return c x."""
    return x * x.dtype.type(factor), factor  # (1)


def scale_backward(dy, saved):
    """Return dx."""
    return dy * dy.dtype.type(saved)  # (2)


def relu(x):
    """Return max(x, 0)."""
    return np.maximum(x, 0), x  # (1)


def relu_backward(dy, saved):
    """Return dx."""
    return dy * (saved > 0)  # (2)


def tanh(x):
    """Return tanh x."""
    y = np.tanh(x)  # (1)
    return y, y


def tanh_backward(dy, saved):
    """Return dx."""
    return dy * (1 - saved) * (1 + saved)  # (2)


def erf(x):
    """Return the error function, of which NumPy has none: that of Python, number by number."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def gelu(x):
    """Return x P(x)."""
    below = (1 + erf(x * x.dtype.type(math.sqrt(0.5)))) / 2
    return x * below, (x, below)  # (1)


def gelu_backward(dy, saved):
    """Return dx."""
    x, below = saved
    return dy * (below + x * np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi)))  # (2)


def gelu_tanh(x):
    """Return x (1 + tanh u) / 2."""
    t = np.tanh(x.dtype.type(C) * (x + x.dtype.type(A) * x * x * x))
    return x * (1 + t) / 2, (x, t)


def gelu_tanh_backward(dy, saved):
    """Return dx."""
    x, t = saved
    du = x.dtype.type(C) * (1 + x.dtype.type(3 * A) * x * x)  # ∂u/∂x
    return dy * (1 + t + x * (1 - t * t) * du) / 2  # (4), with 2 s = 1 + tanh u


def silu(x):
    """Return x s."""
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)  # (1)


def silu_backward(dy, saved):
    """Return dx."""
    x, s = saved
    return dy * (s + x * s * (1 - s))  # (2)


def gate(a, b, activation="gelu_tanh"):
    """Return f(a) b; ACTIVATIONS has f and its backward."""
    fa, of_f = ACTIVATIONS[activation][0](a)
    return fa * b, (fa, b, of_f, activation)  # (1)


def gate_backward(dy, saved):
    """Return (da, db)."""
    fa, b, of_f, activation = saved
    return ACTIVATIONS[activation][1](dy * b, of_f), dy * fa  # (2), (3)


def gelu_linear(x, weight, bias=None, activation="gelu_tanh", *, onto=0):
    """Return onto + f(x) W + b; ACTIVATIONS has f and its backward."""
    g, of_f = ACTIVATIONS[activation][0](x)  # (1)
    y = onto + g @ weight  # (2), (6)
    return (y if bias is None else y + bias), (g, weight, of_f, bias is not None, activation)


def gelu_linear_backward(dy, saved, *, frozen=False, unmade=False):
    """Return (dx, dweight, dbias); dbias is None where there was no bias."""
    g, weight, of_f, has_bias, activation = saved
    g_rows, dy_rows = g.reshape(-1, g.shape[-1]), dy.reshape(-1, dy.shape[-1])
    dx = ACTIVATIONS[activation][1](dy @ weight.T, of_f)  # (3), (4)
    return dx, None if frozen else g_rows.T @ dy_rows, dy_rows.sum(axis=0) if has_bias else None  # (5)


def highway(x, h, gate):
    """Return t h + c x."""
    t, c = 1 / (1 + np.exp(-gate)), 1 / (1 + np.exp(gate))  # (1)
    return t * h + c * x, (x, h, t, c)  # (2)


def highway_backward(dy, saved):
    """Return (dx, dh, dgate)."""
    x, h, t, c = saved
    return c * dy, t * dy, dy * (h - x) * t * c  # (3), (4)


ACTIVATIONS = {"gelu": (gelu, gelu_backward), "gelu_tanh": (gelu_tanh, gelu_tanh_backward)}
ACTIVATIONS |= {"relu": (relu, relu_backward), "silu": (silu, silu_backward)}
