r"""Derivatives by finite differences, with an error bar: scan-Romberg.

Derivation
----------
For a smooth function f of one variable the central difference has an error in even powers of the step h,

    C(h) = (f(h) - f(-h)) / (2h) = f'(0) + a_2 h^2 + a_4 h^4 + ...       (1)

Halving h and combining removes one power after the other (Richardson 1911; Romberg 1955):

    R[i, 0] = C(h_0 / 2^i)
    R[i, k] = R[i, k-1] + (R[i, k-1] - R[i-1, k-1]) / (4^k - 1).         (2)

Two errors are left in a cell: truncation, of which the last change in (2) is an estimate, and rounding, which is at
most some eps |f| / h and grows as h falls. No one h is right for every function, so all cells of the triangle are
looked at and the one with the smallest sum of the two,

    e[i, k] = max(|R[i, k] - R[i, k-1]|, |R[i, k] - R[i-1, k-1]|) + 4 eps F / h_i,   (3)

is taken. F is the size of the terms that were added up to f: where large terms cancel, f itself is small and its
rounding error is not.
"""

from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
HALVINGS = 10


class Estimate(NamedTuple):
    """A derivative and its error bar."""

    value: float
    error: float


def derivative(f, h0, halvings=HALVINGS):
    """Return the derivative of f at 0 as an `Estimate`.

    Parameters
    ----------
    f : function (float) -> (value, size)
        The value at a step, and the sum of the absolute values of the terms it was added up from.
    h0 : float
        The largest step: about a quarter of the scale on which f changes.
    halvings : int
        How often it is halved.
    """
    h = h0 / 2.0 ** np.arange(halvings)
    values = [(f(step), f(-step)) for step in h]
    row, best = [], Estimate(np.nan, np.inf)
    for i, ((up, size_up), (down, size_down)) in enumerate(values):
        above, row = row, [(up - down) / (2 * h[i])]  # (1)
        rounding = 4 * EPS * max(size_up, size_down) / h[i]
        for k in range(1, i + 1):
            row.append(row[k - 1] + (row[k - 1] - above[k - 1]) / (4.0**k - 1))  # (2)
            error = max(abs(row[k] - row[k - 1]), abs(row[k] - above[k - 1])) + rounding  # (3)
            if error < best.error:
                best = Estimate(float(row[k]), float(error))
    return best
