r"""Logistic regression with an L1 penalty: which few of many features tell two classes apart? And the best single feature.

Derivation
----------
Example n has the features x_n, (D,), and the label t_n, 1 or 0. With weights w and a bias b,

    z_n = x_n . w + b,   p_n = s(z_n),   s(z) = 1 / (1 + e^-z)           (1)

is the probability of label 1. What is minimised is the mean loss, ``binary_cross_entropy.py``, and a penalty of the weights,

    F(w, b) = f(w, b) + lambda |w|_1,   f = 1/N sum_n [ln(1 + e^(z_n)) - t_n z_n],   |w|_1 = sum_j |w_j|.      (2)

The bias has no penalty. The gradient of f is

    g_j = 1/N sum_n (p_n - t_n) x_nj,   g_b = 1/N sum_n (p_n - t_n).     (3)

|w_j| has the slope sign(w_j), and at 0 it has every slope from -1 to 1. So (w, b), as F is convex, is a minimum just if

    g_b = 0,   g_j = -lambda sign(w_j) where w_j is not 0,   |g_j| <= lambda where it is.                      (4)

That is why weights are exactly 0: a feature that helps less than lambda is left out.

FISTA (Beck and Teboulle 2009). s' <= 1/4, so the second derivative of f in any direction is at most

    L = |[X 1]|^2 / 4N,   the square of the largest singular value;      (5)

hence F lies below f's tangent at a point v plus L/2 |w - v|^2 + lambda |w|_1, whose minimum over w is, number by number,

    w_j = soft(v_j - g_j / L, lambda / L),   soft(a, c) = sign(a) max(|a| - c, 0),                             (6)

without ``soft`` for b. Each step goes to this minimum, and v is ahead of w by a part of the last step:

    v = w_k + (r_{k-1} - 1) / r_k (w_k - w_{k-1}),   r_k = (1 + sqrt(1 + 4 r_{k-1}^2)) / 2,   r_0 = 1.         (7)

Where the step turns against the last one, r starts again at 1 (O'Donoghue and Candes 2015).

With numbers
------------
One feature, +1 for three examples of label 1 and one of label 0, and -1 the other way round. Without a penalty p(+1) is
3/4, so w is ln 3. With lambda = 1/4 it is g = p - 3/4 = -1/4 in (4): p = 1/2, so w is 0 from there on.

>>> x, t = np.array([[1.0]] * 4 + [[-1.0]] * 4), np.array([1, 1, 1, 0, 0, 0, 0, 1])
>>> [round(float(abs(logistic_regression(x, t, penalty=c).weight[0])), 4) for c in (0, 0.125, 0.25)]
[1.0986, 0.5108, 0.0]
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_whole


class Logistic(NamedTuple):
    """What `logistic_regression` returns.

    Attributes
    ----------
    weight : float64 array (D,)
    bias : float
    violation : float
        The largest deviation from (4).
    """

    weight: np.ndarray
    bias: float
    violation: float

    def says(self, x):
        """Return which rows of x (N, D) are rather of label 1: booleans (N,)."""
        return x @ self.weight + self.bias > 0


class Unit(NamedTuple):
    """What `best_unit` returns.

    Attributes
    ----------
    unit : int
        The column.
    threshold : float
    rises : bool
        Whether values above the threshold are of label 1; those below, if not.
    accuracy : float
        The share of the rows that it was chosen on.
    """

    unit: int
    threshold: float
    rises: bool
    accuracy: float

    def says(self, x):
        """Return which rows of x (N, D) are of label 1: booleans (N,)."""
        return (x[:, self.unit] > self.threshold) == self.rises


def logistic_regression(x, labels, *, penalty, tolerance=1e-6, steps=10_000):
    """Return the minimum of (2).

    Parameters
    ----------
    x : array (N, D)
        Features of comparable size: the penalty is the same for all, and steps are short where one is much larger than others.
    labels : integers (N,)
        0 or 1.
    penalty : float
        lambda, at least 0. For comparison: 1 / (C N) with scikit-learn's C.
    tolerance : float
        The violation of (4) at which the search ends.
    steps : int
        At most so many.

    Returns
    -------
    Logistic

    Raises
    ------
    TypeError, ValueError
        If x and labels do not fit, or a setting is out of range.
    """
    place = "logistic_regression"
    x, t = _checked(place, x, labels)
    penalty = check_number(place, "penalty", penalty, "a finite number of at least 0", lambda c: 0 <= c < np.inf)
    tolerance = check_number(place, "tolerance", tolerance, "a finite number above 0", lambda c: 0 < c < np.inf)
    n, d = x.shape
    x = np.column_stack([x, np.ones(n)])  # the last weight is the bias
    length = 4 * n / np.linalg.norm(x, 2) ** 2  # 1 / L, (5)
    shrink = np.append(np.full(d, penalty), 0.0)
    w = ahead = np.zeros(d + 1)
    r = 1.0
    for _ in range(check_whole(place, "steps", steps)):
        found, g = ahead, _gradient(x, t, ahead)
        violation = _violation(g, found, shrink)
        if violation <= tolerance:
            break
        moved = ahead - length * g
        after = np.sign(moved) * np.maximum(np.abs(moved) - length * shrink, 0)  # (6)
        r = 1.0 if (ahead - after) @ (after - w) > 0 else r
        r_after = (1 + np.sqrt(1 + 4 * r * r)) / 2
        ahead, w, r = after + (r - 1) / r_after * (after - w), after, r_after  # (7)
    return Logistic(found[:-1], float(found[-1]), float(violation))


def _gradient(x, t, w):
    """Return (3), of all weights and of the bias."""
    return x.T @ (1 / (1 + np.exp(-np.clip(x @ w, -500, 500))) - t) / len(t)


def _violation(g, w, shrink):
    """Return the largest deviation from (4)."""
    return np.max(np.where(w != 0, np.abs(g + shrink * np.sign(w)), np.maximum(np.abs(g) - shrink, 0)))


def best_unit(x, labels):
    """Return the feature that alone tells the labels apart best, with its threshold: all are tried.

    Parameters
    ----------
    x : array (N, D)
    labels : integers (N,)
        0 or 1.

    Returns
    -------
    Unit

    Raises
    ------
    TypeError, ValueError
        If x and labels do not fit.

    Examples
    --------
    >>> best_unit(np.array([[0, 5], [0, 4], [1, 2], [1, 3.0], [0, 2]]), [0, 0, 1, 1, 1])
    Unit(unit=1, threshold=3.5, rises=False, accuracy=1.0)
    """
    x, t = _checked("best_unit", x, labels)
    order = np.argsort(x, axis=0, kind="stable")
    values = np.take_along_axis(x, order, axis=0)  # (N, D)
    below = np.cumsum(1 - 2 * t[order], axis=0)  # zeros minus ones among the first rows
    right = np.concatenate([np.zeros((1, x.shape[1])), below]) + t.sum()  # row k: the first k are taken for 0, the others for 1
    right[1:-1][values[1:] == values[:-1]] = len(t) / 2  # no threshold is between equal values
    rises = np.maximum(right, len(t) - right)
    k, unit = np.unravel_index(np.argmax(rises), rises.shape)
    column = values[:, unit]
    threshold = (column[max(k - 1, 0)] + column[min(k, len(t) - 1)]) / 2 if 0 < k < len(t) else column[0] - 1 if k == 0 else column[-1]
    return Unit(int(unit), float(threshold), bool(right[k, unit] == rises[k, unit]), float(rises[k, unit] / len(t)))


def _checked(place, x, labels):
    """Return x and the labels as float64."""
    x, t = np.asarray(x), np.asarray(labels)
    if x.dtype.kind not in "iuf" or x.ndim != 2 or not x.size or t.shape != x.shape[:1] or t.dtype.kind not in "iub":
        facts = f"x has shape {x.shape} and dtype {x.dtype}, labels have shape {t.shape} and dtype {t.dtype}"
        raise ValueError(f"{place}: {facts}, expected numbers (N, D), not empty, and integers (N,)")
    if not np.isfinite(x).all() or not np.isin(t, (0, 1)).all():
        raise ValueError(f"{place}: expected finite numbers in x, and labels 0 or 1")
    return x.astype(np.float64), t.astype(np.float64)
