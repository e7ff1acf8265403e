"""Finds the rows of a batch that a wrong gradient leaves out or counts several times."""

import numpy as np

from tinytx.testing.hints import listed

EXACT = 1e-4  # the largest distance of a row's weight from a whole number
MOST = 64  # the largest number of entries that are moved


def rows_added_up(problem, dy, tensor, a):
    """Return a sentence if a gradient is right except that it leaves out rows or counts them several times, or "".

    The right gradient of an entry is a sum over the output's rows b, and finite differences give the part of each row.
    If backward leaves out rows, or counts some twice, then

        a_i = sum_b w_b g_bi                                             (1)

    with weights w_b of 0, 1 or 2 that are the same for all entries i. They are the least squares solution of (1).

    Parameters
    ----------
    problem : Problem
    dy : list of array
    tensor : array
        One of the problem's.
    a : array, the same shape
        Its analytic gradient.
    """
    if len(dy) != 1 or not np.isfinite(a).all() or not np.isfinite(tensor).all():
        return ""
    entries = np.argsort(-np.abs(a), axis=None)[:MOST]
    moved = np.array([_contributions(problem, dy[0], tensor, i) for i in entries])
    for axis in range(dy[0].ndim):
        n = dy[0].shape[axis]
        others = tuple(1 + k for k in range(dy[0].ndim) if k != axis)
        g = moved.sum(axis=others)  # (entries, n)
        if n < 2 or len(entries) <= n or not np.isfinite(g).all():
            continue
        w, _, rank, _ = np.linalg.lstsq(g, a.ravel()[entries], rcond=1e-9)
        whole = np.rint(w)
        exact = np.abs(w - whole).max() < EXACT and np.abs(g @ whole - a.ravel()[entries]).max() < EXACT * np.abs(a).max()
        if rank == n and exact and (whole >= 0).all() and 0 < np.count_nonzero(whole != 1) < n:
            return f"a wrong sum over rows: it adds, of axis {axis} of the output, {_in_words(whole)}"
    return ""


def _contributions(problem, dy, tensor, i):
    """Return the part of each output entry in the derivative with respect to entry i of a tensor."""
    kept, step = tensor.flat[i], 1e-5 * (np.sqrt(np.mean(np.square(tensor))) or 1.0)
    y = []
    for sign in (1, -1):
        tensor.flat[i] = kept + sign * step
        y.append(problem.forward()[0])
        tensor.flat[i] = kept
    return dy * (y[0] - y[1]) / (2 * step)


def _in_words(weights):
    """Return in words how often rows are counted, but for those that are counted once, as they should be."""
    counts = {int(w): listed(np.flatnonzero(weights == w)) for w in np.unique(weights) if w != 1}
    return "; ".join(f"index {rows}: {n} times" for n, rows in counts.items())
