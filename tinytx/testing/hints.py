"""Guesses from the pattern of a wrong gradient which mistake made it."""

import itertools
import math

import numpy as np

CLOSE = 1e-5  # the relative difference up to which a pattern fits
SINGLE = 1e-6  # the largest relative error that float32 explains
NEARLY = 2e-3  # up to this relative difference a gradient counts as nearly right


def hint(analytic, numeric, wrong, sizes=(), like=None):
    """Return a sentence about the likely mistake, or "".

    Parameters
    ----------
    analytic, numeric : array, the same shape
        The gradients from backward and from finite differences; ``numeric`` is NaN where it was not measured.
    wrong : boolean array
        True where they disagree.
    sizes : iterable of int
        Sizes that occur in the problem (batch, positions, width): a wrong factor is often made of them.
    like : dict of str to array, the same shape
        Arrays that a missing term may be a multiple of: the input, the output.
    """
    known = np.isfinite(numeric)
    if not wrong.any() or not known.any():
        return ""
    if not np.isfinite(analytic[wrong]).all():
        return "not finite: 0/0 or an overflow in backward"
    if not np.any(analytic[known]):
        return "all zero: backward never adds to it (a forgotten accumulation), or overwrites it"
    found = _nearly(analytic, numeric, known) or _factor(analytic, numeric, known, sizes)
    found = found or _transposed(analytic, numeric, known) or _reduction(analytic, numeric, known)
    found = found or _term(analytic, numeric, known, like or {})
    return found or _places(wrong, known & ((analytic != 0) | (numeric != 0)))


def _close(a, b):
    scale = np.abs(b).max(initial=0.0)
    return scale > 0 and np.abs(a - b).max(initial=0.0) <= CLOSE * scale


def _nearly(analytic, numeric, known):
    """Return a hint if the gradient is right except for a small relative error."""
    off, scale = np.abs(analytic[known] - numeric[known]).max(), np.abs(numeric[known]).max()
    if not 0 < off <= NEARLY * scale:
        return ""
    near = f"right to {off / scale:.1g} of its size"
    single = "float32 inside, " if off < SINGLE * scale else ""
    return f"{near}: {single}an eps left out, a constant cut short, another form of the same function?"


def _factor(analytic, numeric, known, sizes):
    """Return a hint if the two differ by a constant factor."""
    a, n = analytic[known], numeric[known]
    if np.count_nonzero(n) < 2:
        return ""
    ratio = float(a @ n / (n @ n))
    if not _close(a, ratio * n) or ratio == 0:
        return ""
    return f"a constant factor: analytic = {ratio:.6g} x numeric{_named(ratio, sizes)}"


def _named(ratio, sizes):
    """Return in words which sizes of the problem give a ratio."""
    if math.isclose(ratio, -1, rel_tol=CLOSE):
        return " (the sign)"
    sizes = sorted(set(sizes) - {0, 1})
    names = {float(size): f"{size}, a size of this problem" for size in sizes}  # the first name of a number stays
    names = names | {value: str(int(value)) for value in (2.0, 3.0, 4.0) if value not in names}
    for size in sizes:
        names.setdefault(math.sqrt(size), f"sqrt({size}), a size of this problem")
    for a, b in itertools.combinations(sizes, 2):
        names.setdefault(float(a * b), f"{a * b} = {a} x {b}, sizes of this problem")
    for value, name in names.items():
        if math.isclose(abs(ratio), value, rel_tol=CLOSE):
            return f" (a factor {name} too many)"
        if math.isclose(abs(ratio), 1 / value, rel_tol=CLOSE):
            return f" (a factor {name} is missing)"
    return " (a missing factor)"


def _transposed(analytic, numeric, known):
    """Return a hint if the numbers are right but in the wrong places."""
    if not known.all():
        return ""
    for axes in itertools.permutations(range(analytic.ndim)):
        if axes == tuple(range(analytic.ndim)):
            continue
        moved = numeric.transpose(axes)
        if moved.shape == analytic.shape and _close(analytic, moved):
            return f"transposed: analytic equals numeric with its axes in the order {axes}"
        if _close(analytic.ravel(), moved.ravel()):
            return f"transposed: a reshape without moving the axes back (numeric's axes in the order {axes})"
    if _close(np.sort(analytic, axis=None), np.sort(numeric, axis=None)):
        return "the right numbers in the wrong places: a reshape or transpose"
    return ""


def _reduction(analytic, numeric, known):
    """Return a hint if the two differ by a term that is constant along an axis: a sum or mean over it is missing."""
    if not known.all():
        return ""
    difference = analytic - numeric
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = analytic / numeric
    for axis in reversed(range(analytic.ndim)):
        if analytic.shape[axis] < 2:
            continue
        if _close(difference, np.broadcast_to(difference.mean(axis, keepdims=True), difference.shape)):
            return (
                f"off by something constant along axis {axis}: a missing reduction (sum or mean) over it, such as the "
                "derivative of a mean that was subtracted"
            )
        if np.isfinite(ratio).all() and analytic.ndim > 1:
            if _close(ratio, np.broadcast_to(ratio.mean(axis, keepdims=True), ratio.shape)):
                return f"a factor that is constant along axis {axis} only: a missing or misplaced factor per slice"
    return ""


def _term(analytic, numeric, known, like):
    """Return a hint if the two differ by a multiple of the input or output in each row.

    Let s(x) be the norm, the variance or the sum that a row is divided by. Then dx has a term that is ∂s/∂x times a
    number: for a norm or a variance a multiple of x (minus its mean), for the sum of a softmax a multiple of y.
    """
    for axis, (name, array) in itertools.product(reversed(range(analytic.ndim)), like.items()):
        n = analytic.shape[axis]
        whole = np.moveaxis(known & np.isfinite(array), axis, -1).reshape(-1, n).all(-1)  # rows that are known
        if n < 3 or not whole.any():
            continue
        off, z = (np.moveaxis(part, axis, -1).reshape(-1, n)[whole] for part in (analytic - numeric, array))
        if _close(_multiple(off, z), off):
            return (
                f"off by a multiple of {name} in each row along axis {axis}: a term of a normalisation is left out, as if "
                "the norm, variance or sum that it divides by were constant (detached)"
            )
        centred, z = off - off.mean(-1, keepdims=True), z - z.mean(-1, keepdims=True)
        if n > 3 and _close(_multiple(centred, z), centred):
            return (
                f"off by a multiple of {name}, and a constant, in each row along axis {axis}: terms of a normalisation are "
                "left out, as if its variance, or its mean and variance, were constant (detached)"
            )
    return ""


def _multiple(rows, z):
    """Return for each row the multiple of z that is nearest to it."""
    squares = (z * z).sum(-1, keepdims=True)
    return z * np.divide((rows * z).sum(-1, keepdims=True), squares, out=np.zeros_like(squares), where=squares > 0)


def _places(wrong, known):
    """Return a hint if only some slices are wrong: masked or last positions, repeated rows."""
    if wrong[known].all():
        return ""
    for axis in range(wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        bad, seen = wrong.any(axis=others), known.any(axis=others)
        if bad.sum() <= seen.sum() / 2:
            where = np.flatnonzero(bad)
            last = where.tolist() == [wrong.shape[axis] - 1]
            kind = "the last position" if last else f"index {listed(where)}"
            return f"only {kind} of axis {axis} is wrong: look at masks, edges, repeated rows"
    return f"{wrong.sum()} of {known.sum()} entries are wrong, the others right: look at masks and special cases"


def listed(indices):
    """Return the first six indices as text."""
    return ", ".join(map(str, indices[:6])) + (", ..." if len(indices) > 6 else "")
