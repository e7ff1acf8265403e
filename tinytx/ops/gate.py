r"""Gate: one array, activated, times another (gated linear units; Shazeer 2020, arXiv:2002.05202).

Derivation
----------
With an activation f, element by element, which is written here for "silu",

    f(a) = a / (1 + e^(-a)),   y = f(a) b,                               (1)

so that f(a) says how much of b goes through. The product rule, for any f:

    da = f'(a) (dy b),                                                   (2)
    db = dy f(a).                                                        (3)

(2) is the activation's own backward, called with dy b in the place of dy. With f the identity, a gate is symmetric in a
and b; with any other f, it matters which half is activated.

What is kept: a and b. Backward computes f(a) a second time for (3), which costs less than to keep it.

The same in plain NumPy: ``gate`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.kernel import kernel
from tinytx.ops.gelu import gelu, gelu_backward, gelu_tanh, gelu_tanh_backward
from tinytx.ops.relu import relu, relu_backward
from tinytx.ops.silu import silu, silu_backward
from tinytx.shapes import check_float, check_gradient, check_shape, elementwise

GATES = {
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
    "relu": (relu, relu_backward),
    "silu": (silu, silu_backward),
}


@kernel
def _multiply(y, a, b):
    for i in range(a.size):
        y[i] = a[i] * b[i]


class Saved(NamedTuple):
    a: np.ndarray
    b: np.ndarray
    activation: int  # its place among `GATES`


def gate(a, b, activation="gelu_tanh"):
    """Return activation(a) b.

    Parameters
    ----------
    a, b : array, float32 or float64, of one shape
    activation : {"gelu", "gelu_tanh", "relu", "silu"}

    Returns
    -------
    y : array, shape of a
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ, or the activation has another name.
    """
    check_float("gate", a=a, b=b)
    check_shape("gate", "b", b, a.shape, "a of shape", a.shape)
    if not isinstance(activation, str) or activation not in GATES:
        raise ValueError(f"gate: activation is {activation!r:.60}, expected one of {', '.join(sorted(GATES))}")
    y, _ = GATES[activation][0](a)
    return elementwise(_multiply, y, b), Saved(a, b, [*GATES].index(activation))  # (1)


def gate_backward(dy, saved):
    """Return (da, db).

    Parameters
    ----------
    dy : array, shape of a
    saved : Saved
    """
    a, b, activation = saved
    check_gradient("gate_backward", dy, a.shape, a.dtype, "a of shape", a.shape)
    f, f_backward = [*GATES.values()][activation]
    fa, kept = f(a)
    dfa, db = elementwise(_multiply, dy, b), elementwise(_multiply, dy, fa)  # (3)
    return f_backward(dfa, kept), db  # (2)
