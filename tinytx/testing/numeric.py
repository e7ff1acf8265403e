r"""Derivatives by finite differences, with an error bar: scan-Romberg.

Derivation
----------
For a smooth function f of one variable the central difference has an error in even powers of the step h,

    C(h) = (f(h) - f(-h)) / (2h) = f'(0) + a_2 h^2 + a_4 h^4 + ...       (1)

Halving h and combining removes one power after the other (Richardson 1911; Romberg 1955):

    R[i, 0] = C(h_0 / 2^i)
    R[i, k] = R[i, k-1] + (R[i, k-1] - R[i-1, k-1]) / (4^k - 1).         (2)

A cell has two errors: truncation, which the difference from its neighbours in the row above estimates, and rounding,
which is at most some eps F / h and grows as h falls. No single h is right for every function, so all cells of the
triangle are compared, and the cell with the smallest sum of the two,

    e[i, k] = max(|R[i, k] - R[i-1, k-1]|, |R[i, k] - R[i-1, k]|) + noise F / h_i,   (3)

is taken. F is the size of the terms that are added up to f: if large terms cancel, f is small but its rounding error is
not.

The smallest of forty estimates of an error may be small by chance. So (3) uses two neighbours, where textbooks use one:
the cells on the diagonal and in the column must both agree with it, and two coincidences are rare. There is also a veto.
If f bends sharply at a distance d from 0, C(h) is nearly constant for steps far above d: it measures the slope of the two
arms, all these cells agree with their neighbours, and all are wrong. Smaller steps show this: as soon as (1) holds, the
error of C(h_i) is a third of its last change, so that f'(0) lies within

    C(h_i) +- (|C(h_i) - C(h_i-1)| + 4 noise F / h_i).                   (4)

A cell outside the interval (4) of a row below it gets an error bar that reaches to the far end of that interval. A bend
nearer than the smallest step shows in the slopes on both sides: their gap

    G(h) = (f(h) - 2 f(0) + f(-h)) / h                                   (5)

falls like h where f is smooth, and the change C(h) - C(2h) falls like h^2. If one of them has not begun to fall at the
smallest step, no step was small enough: the bar is infinite, and `look_closely` decides. Without (4) and the second
neighbour, 9 of 18,048 bars were too short, one of them by a factor of 400, all for a block of a transformer. Without the
test of the change, one bar in ten was too short for bends sharper than the smallest step.

At a kink the slopes on both sides differ, and (1) does not hold. Each side alone is smooth, with all powers of h: (2)
with 2^k in place of 4^k gives its slope, and the change in (4) counts twice. `look_closely` takes central, right and left
differences with ever smaller steps. Where f jumps at 0, as at a label that a loss compares with 1, the values beside it
stay away from f(0) however small the step. There is no slope, on one side at least.

The noise is measured: differences of order k over steps of 1e-7 of the variable cancel the smooth part of f. They leave
sums of rounding errors, weighted with binomial coefficients whose squares add up to (2k)! / k!^2. So at k = 4, with the
weights 1, 4, 6, 4, 1,

    noise F = 4 rms(fourth differences) / sqrt(70),                      (6)

four standard deviations, and at least 4 eps F. A forward of which a part runs in float32 has a large noise here. A
forward in float16 does not change with so small a step: it is a staircase whose stairs are a thousandth of the variable
wide. But over steps of a thousandth a smooth function changes too, and there may be a kink. So `noise_floor`, which is
called when a backward seems to be wrong, takes the median of the differences, on which a few kinks have no effect, and
the smallest over several orders: noise is equally large in all orders, while a smooth part falls from order to order
(More and Wild, "Estimating computational noise", 2011). It counts only if steps four times as large give the same, or
all orders do and smaller steps show nothing: there are stairs, so wide that no larger steps are left to compare with.
"""

import math
from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
HALVINGS = 10
PROBES = (2.5e-7, 1e-6), (2.5e-4, 1e-3, 4e-3)  # steps that show float32, and steps that show float16 and bfloat16
COLUMNS = 8  # further columns are no better, because of rounding


class Estimate(NamedTuple):
    """A derivative and its error bar."""

    value: float
    error: float


class Kink(NamedTuple):
    """The slopes on the left and right of a point at which they differ, and the error bar of both.

    At a jump they are minus infinity and infinity.
    """

    left: float
    right: float
    error: float

    @property
    def value(self):
        """The mean of both slopes, which a central difference gives."""
        return (self.left + self.right) / 2


def derivative(f, h0, *, halvings=HALVINGS, noise=4 * EPS, middle=None):
    """Return the derivative of f at 0 as an `Estimate`.

    Parameters
    ----------
    f : function (float) -> (value, size)
        The value at a step, and the sum of the absolute values of the terms of which it is the sum.
    h0 : float
        The largest step: about a quarter of the scale on which f changes.
    halvings : int
        How often it is halved.
    noise : float
        The rounding error of f, relative to its size: see `rounding_noise`.
    middle : float, optional
        The value at 0, if it is known.
    """
    steps = [h0 / 2.0**i for i in range(halvings)]
    pairs = [(f(h), f(-h)) for h in steps]
    slopes = [(up - down) / (2 * h) for h, ((up, _), (down, _)) in zip(steps, pairs)]  # (1)
    rounding = noise * max((size for pair in pairs for _, size in pair if size < math.inf), default=0.0)
    best, middle = _scan(slopes, steps, rounding, 4), f(0.0)[0] if middle is None else middle
    gaps = [abs(up - 2 * middle + down) / h for h, ((up, _), (down, _)) in zip(steps[-2:], pairs[-2:])]  # (5)
    changes = [abs(slopes[i] - slopes[i - 1]) for i in (-2, -1)]
    if any(last > 0.55 * before + 4 * rounding / steps[-1] for before, last in (gaps, changes)):
        best = best._replace(error=math.inf)
    return best


def look_closely(f, h0, *, noise=4 * EPS):
    """Return the derivative of f at 0 even if kinks are near: an `Estimate`, or a `Kink` if it is at 0 itself.

    Parameters
    ----------
    f, h0, noise
        As for `derivative`.
    """
    middle, size = f(0.0)
    steps = [h0 / 2.0**i for i in range(4 * HALVINGS)]
    up, down = ([f(sign * h)[0] for h in steps] for sign in (1, -1))
    if any(_jumps(values, middle, 10 * noise * size) for values in (up, down)):
        return Kink(-math.inf, math.inf, 0.0)
    central = _scan([(a - b) / (2 * h) for a, b, h in zip(up, down, steps)], steps, noise * size, 4)
    right = _scan([(a - middle) / h for a, h in zip(up, steps)], steps, 4 * noise * size, 2)
    left = _scan([(middle - b) / h for b, h in zip(down, steps)], steps, 4 * noise * size, 2)
    error = right.error + left.error
    if abs(right.value - left.value) > 10 * error:
        return Kink(left.value, right.value, error)
    return central


def _jumps(values, middle, least):
    """Return whether values at ever smaller steps stay away from the value in the middle."""
    gaps = [abs(value - middle) for value in values[-HALVINGS:]]  # the first step is 512 times the last
    return least < min(gaps) and max(gaps) < 1.1 * min(gaps) < math.inf


def _scan(slopes, steps, rounding, base):
    """Return the cell of the triangle (2) with the shortest error bar."""
    rows = []
    for i, slope in enumerate(slopes):
        row = [slope]
        for k in range(1, min(i, COLUMNS) + 1):
            row.append(row[k - 1] + (row[k - 1] - rows[-1][k - 1]) / (base**k - 1.0))  # (2)
        rows.append(row)
    best, low, high = Estimate(math.nan, math.inf), -math.inf, math.inf
    for i in range(len(rows) - 1, 0, -1):
        row, above, blur = rows[i], rows[i - 1], rounding / steps[i]
        for k in range(1, len(above)):
            error = max(abs(row[k] - above[k - 1]), abs(row[k] - above[k])) + blur  # (3)
            if not low <= row[k] <= high:
                error = max(error, abs(row[k] - low), abs(row[k] - high))
            if error < best.error:
                best = Estimate(float(row[k]), float(error))
        reach = 4 / base * abs(row[0] - above[0]) + 4 * blur
        low, high = max(low, row[0] - reach), min(high, row[0] + reach)  # (4)
    return best


def rounding_noise(f, step):
    """Return the rounding error of f near 0, relative to its size.

    Parameters
    ----------
    f : function (float) -> (value, size)
    step : float
        About 1e-7 of the scale on which f changes.
    """
    values, size = _equidistant(f, step, 9)
    fourth = np.diff(values[np.isfinite(values)], 4)
    noise = 4 * math.sqrt(float(np.mean(np.square(fourth))) / 70) if fourth.size else 0.0  # (6)
    return max(4 * EPS, noise / size) if size else 4 * EPS


def noise_floor(f, scale):
    """Return the rounding error of f, relative to its size, for a forward in any precision.

    Parameters
    ----------
    f : function (float) -> (value, size)
    scale : float
        The scale on which f changes.
    """
    found = 4 * EPS
    for steps in PROBES:
        floors = [_floors(f, scale * step) for step in steps]
        for (fine, _), (coarse, most) in zip(floors, floors[1:]):
            wide_stairs = fine == 0 and most <= 3 * coarse  # that only these steps cross
            if wide_stairs or coarse <= 16 * fine:  # noise does not depend on the step, a steep smooth function does
                found = max(found, fine, coarse)
    return found


def _floors(f, step):
    """Return the smallest and the largest of the noise's estimates from differences of several orders."""
    values, size = _equidistant(f, step, 33)
    if not size or not np.isfinite(values).all():
        return 0.0, 0.0
    floors = [np.median(np.abs(np.diff(values, k))) / math.sqrt(math.comb(2 * k, k)) for k in (4, 6, 8, 10, 12)]
    return tuple(4 * 1.48 * float(end) / size for end in (min(floors), max(floors)))  # 1.48: a deviation from a median


def _equidistant(f, step, points):
    """Return the values of f at steps around 0 but not at 0, where f may jump, and the largest finite size."""
    found = [f(step * (i - points // 2 + 1 / 3)) for i in range(points)]
    return np.array([value for value, _ in found]), max((size for _, size in found if size < math.inf), default=0.0)
