r"""Derivatives by finite differences, with an error bar: scan-Romberg.

Derivation
----------
For a smooth function f of one variable the central difference has an error in even powers of the step h,

    C(h) = (f(h) - f(-h)) / (2h) = f'(0) + a_2 h^2 + a_4 h^4 + ...       (1)

Halving h and combining removes one power after the other (Richardson 1911; Romberg 1955):

    R[i, 0] = C(h_0 / 2^i)
    R[i, k] = R[i, k-1] + (R[i, k-1] - R[i-1, k-1]) / (4^k - 1).         (2)

Two errors are left in a cell: truncation, of which the last change in (2) is an estimate, and rounding, which is at
most some eps F / h and grows as h falls. No one h is right for every function, so all cells of the triangle are
looked at and the one with the smallest sum of the two,

    e[i, k] = max(|R[i, k] - R[i, k-1]|, |R[i, k] - R[i-1, k-1]|) + 4 eps F / h_i,   (3)

is taken. F is the size of the terms that were added up to f: where large terms cancel, f itself is small and its
rounding error is not.

At a kink the slopes on both sides differ, and (1) does not hold. Their gap

    G(h) = (f(h) - 2 f(0) + f(-h)) / h                                   (4)

falls like h where f is smooth and stays where it is not. `look_closely` follows it down to tiny steps.
"""

import math
from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
HALVINGS = 10


class Estimate(NamedTuple):
    """A derivative and its error bar."""

    value: float
    error: float


class Kink(NamedTuple):
    """The slopes on the left and on the right of a point where they differ."""

    left: float
    right: float


def derivative(f, h0, *, halvings=HALVINGS, noise=4 * EPS):
    """Return the derivative of f at 0 as an `Estimate`.

    Parameters
    ----------
    f : function (float) -> (value, size)
        The value at a step, and the sum of the absolute values of the terms it was added up from.
    h0 : float
        The largest step: about a quarter of the scale on which f changes.
    halvings : int
        How often it is halved.
    noise : float
        The rounding error of f, relative to its size.
    """
    row, best = [], Estimate(math.nan, math.inf)
    for i in range(halvings):
        h = h0 / 2.0**i
        (up, size_up), (down, size_down) = f(h), f(-h)
        above, row = row, [(up - down) / (2 * h)]  # (1)
        rounding = noise * max(size_up, size_down) / h
        for k in range(1, i + 1):
            row.append(row[k - 1] + (row[k - 1] - above[k - 1]) / (4.0**k - 1))  # (2)
            error = max(abs(row[k] - row[k - 1]), abs(row[k] - above[k - 1])) + rounding  # (3)
            if error < best.error:
                best = Estimate(float(row[k]), float(error))
    return best


def look_closely(f, h0, *, noise=4 * EPS):
    """Return the derivative of f at 0 where kinks may be near: an `Estimate`, or a `Kink` that is at 0 itself.

    Parameters
    ----------
    f, h0, noise
        As for `derivative`.
    """
    middle, size = f(0.0)
    steps = h0 / 2.0 ** np.arange(40)
    sides = [((f(h)[0] - middle) / h, (middle - f(-h)[0]) / h) for h in steps]
    rounding = [4 * noise * size / h for h in steps]
    gaps = [abs(right - left) for right, left in sides]  # (4)
    # The largest step from which on the gap falls: below it, no kink is in reach.
    smooth = len(steps)
    while smooth > 0 and gaps[smooth - 1] <= 0.6 * gaps[max(smooth - 2, 0)] + rounding[smooth - 1]:
        smooth -= 1
    clear = [i for i in range(len(steps)) if gaps[i] > 10 * rounding[i]]
    if clear and clear[-1] >= 12 and gaps[clear[-1]] > 0.5 * gaps[clear[-1] - 3]:
        right, left = sides[clear[-1]]
        return Kink(float(left), float(right))
    return derivative(f, float(steps[min(smooth, len(steps) - 1)]), noise=noise)


def complex_step(f, size):
    """Return the derivative at 0 of a function that accepts complex steps: Im f(ih) / h, without any difference.

    Parameters
    ----------
    f : function (complex) -> (value, size)
    size : float
        The scale of the variable.
    """
    h = 1e-30 * (size or 1.0)
    value, terms = f(1j * h)
    return Estimate(float(np.imag(value) / h), float(16 * EPS * terms / h))
