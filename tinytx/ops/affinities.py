r"""How near points are to one another, relative to the local density of points: the p of t-SNE.

Derivation
----------
Each point i has a Gaussian around x_i with a width of its own, b_i = 1 / (2 sigma_i^2), which weights the other points. With D_ij
for the squared distances, point i's shares of all others are

    D_ij = sum_c (x_ic - x_jc)^2,   Z_i = sum_{j : j != i} e^(-b_i D_ij),
    q_ij = [i != j] e^(-b_i D_ij) / Z_i                                  (1)

(the paper's p_j|i). Only differences of the D_ij matter, so the distance of the nearest neighbour is subtracted from all of them.
Then the largest exponent is 0 and Z_i is 1 or more, even if point i is far away from all others. The entropy of (1), in nats, is

    E_i = sum_j q_ij D_ij,   H_i = -sum_{j : j != i} q_ij ln(q_ij) = ln(Z_i) + b_i E_i           (2)

with E_i for the mean of the D_ij. Its slope by b_i is -b_i times their variance:

    ∂H_i/∂b_i = -b_i sum_j q_ij (D_ij - E_i)^2                           (3)

so H_i never rises with b_i: it falls from ln(N - 1) at b_i = 0, where all others are equally near, to ln(number of
nearest neighbours). e^H_i is called the ``perplexity``: the effective number of i's neighbours. The user chooses it,
and a bisection finds the b_i that gives it,

    H_i = ln(perplexity)

Then the nearness of both directions is averaged,

    p_ij = (q_ij + q_ji) / (2 N)                                         (4)

which adds up to 1. A point that is far from all others still has a share of at least 1/2N.

    sum_i sum_j p_ij = 1

If more points than the perplexity stand at the same place, H_i cannot be as small as asked: their q_ij are the limit of
(1), the same for each of them. (An inverse width above 1e300 counts as infinite.)

There is no backward: the points x are data, and p is made once.
"""

import math

import numpy as np

from tinytx import workers
from tinytx.arguments import check_number
from tinytx.kernel import exp, kernel
from tinytx.ops.tsne import blocks
from tinytx.shapes import check_float, contiguous

TOLERANCE = 1e-11  # of an entropy, in nats
STEEPEST = 1e300


@kernel
def squared_distances(d, columns, first, last):
    """Fill d (last - first, N) for some of the points, whose coordinates are columns (D, N).

    By differences: |x|^2 + |y|^2 - 2xy loses all digits if one point is far away.
    """
    d[:] = 0.0
    for i in range(first, last):
        row = d[i - first]
        for k in range(columns.shape[0]):
            column, own = columns[k], columns[k, i]
            for j in range(row.shape[0]):  # innermost, since no sum runs over j: the processor does several at once
                difference = own - column[j]
                row[j] += difference * difference


@kernel
def _entropy(row, i, b):
    """Return (2)."""
    total, mean = 0.0, 0.0
    for j in range(row.shape[0]):
        weight = exp(-b * row[j]) if j != i else 0.0
        total += weight
        mean += weight * row[j]
    return math.log(total) + b * mean / total


@kernel
def _normalise(row, i, b):
    """Turn a row of d into one of p by (1)."""
    total = 0.0
    for j in range(row.shape[0]):
        row[j] = exp(-b * row[j]) if j != i else 0.0
        total += row[j]
    for j in range(row.shape[0]):
        row[j] /= total


@kernel
def _conditional(d, target, first, last):
    """Turn rows of d into rows of p_j|i whose entropy is the target."""
    n = d.shape[0]
    for i in range(first, last):
        row = d[i]
        nearest, mean = np.inf, 0.0
        for j in range(n):
            nearest = min(nearest, row[j]) if j != i else nearest
        for j in range(n):
            row[j] = row[j] - nearest if j != i else 0.0
            mean += row[j] / (n - 1)
        low, high = 0.0, np.inf
        b = min(1 / mean, STEEPEST) if mean > 0 else 0.0
        while 0 < b < STEEPEST and (high == np.inf or high - low > 4e-16 * high):
            excess = _entropy(row, i, b) - target
            if abs(excess) < TOLERANCE:
                break
            if excess > 0:  # too many neighbours: a narrower Gaussian, by (3)
                low = b
                b = 2 * b if high == np.inf else (low + high) / 2
            else:
                high = b
                b = (low + high) / 2
        _normalise(row, i, b)


def affinities(x, perplexity=30.0):
    """Return the nearness of every pair of points, as t-SNE takes it.

    Parameters
    ----------
    x : array (N, D), float32 or float64, N of 3 or more
    perplexity : float, at least 1 and less than N - 1
        The effective number of neighbours of each point; 5 to 50 is usual.

    Returns
    -------
    p : array (N, N), the dtype of x
        Symmetric, 0 on its diagonal, adding up to 1. Computed in float64.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite floats, or so many points cannot have the perplexity.

    Notes
    -----
    L. van der Maaten and G. Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008).
    """
    check_float("affinities", x=x)
    if x.ndim != 2 or len(x) < 3:
        raise ValueError(f"affinities: x has shape {x.shape}, expected (N, D) with N of 3 or more")
    perplexity = check_number("affinities", "perplexity", perplexity)
    if not 1 <= perplexity < len(x) - 1:
        raise ValueError(
            f"affinities: perplexity is {perplexity:g}, and {len(x)} points can have 1 to {len(x) - 2} neighbours: "
            f"(N - 1)/3 = {(len(x) - 1) / 3:.3g} is a good one for few points"
        )
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise ValueError(f"affinities: row {int(np.argmin(finite))} of x has a NaN or an infinity")
    p = np.empty((len(x), len(x)))
    columns = scaled(x)
    workers.map(lambda first, last: squared_distances(p[first:last], columns, first, last), *zip(*blocks(len(x))))
    target = math.log(perplexity)
    workers.map(lambda first, last: _conditional(p, target, first, last), *zip(*blocks(len(x))))
    return ((p + p.T) / (2 * len(x))).astype(x.dtype)  # (4)


def scaled(x):
    """Return the columns of x (D, N) as float64, shrunk into [-1, 1] by a power of two, which loses no digit.

    So no square overflows. The mean is not subtracted: it depends most on the farthest point, and all others would lose
    digits.
    """
    x = np.asarray(x, np.float64)
    _, exponent = np.frexp(np.abs(x).max(initial=0.0))
    return contiguous(np.ldexp(x.T, -exponent))
