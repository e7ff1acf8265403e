r"""t-SNE: how much nearness in the plane differs from nearness in many dimensions (van der Maaten and Hinton 2008).

Derivation
----------
p_ij says how near points i and j are in the original space (``affinities.py``): it is symmetric, p_ii is 0, and the sum
over all pairs is 1. Nearness of the points y_1 .. y_N in the plane is measured by Student's t distribution, of the squared
distance D_ij:

    D_ij = sum_c (y_ic - y_jc)^2,   w_ij = [i != j] / (1 + D_ij)         (1)
    Z = sum_k sum_l w_kl,   q_ij = w_ij / Z                              (2)

The loss is the Kullback-Leibler divergence of q from p. As ln q_ij = -ln(1 + D_ij) - ln Z, and the p_ij add up to 1, it is

    sum_i sum_{j : j != i} p_ij ln(p_ij / q_ij) = sum_i sum_{j : j != i} p_ij (ln(p_ij) + ln(1 + D_ij)) + ln(Z)

The sum pulls points together that are near by p, and ln Z pushes all points apart. A factor a above 1, about 12 in the first
steps, is the paper's "early exaggeration": clusters form while there is still room between them. Otherwise it is 1.

    L = sum_i sum_{j : j != i} p_ij (ln(p_ij) + a ln(1 + D_ij)) + ln(Z)  (3)

A point's place is in each distance from it, ∂D_kj/∂y_ic = 2 ([i = k] - [i = j]) (y_kc - y_jc), and so

    ∂w_kj/∂y_ic = -2 w_kj^2 ([i = k] - [i = j]) (y_kc - y_jc)

Each pair stands in the sum and in Z twice, as ij and as ji, and p and w are symmetric, so a sum over k and j becomes twice
a sum over j alone, with i in the place of k. Another factor of 2 is that of the squares:

    ∂Z/∂y_ic = -4 sum_j w_ij^2 (y_ic - y_jc)
    dy_ic = dL (4 a sum_j p_ij w_ij (y_ic - y_jc) - (4/Z) sum_j w_ij^2 (y_ic - y_jc))      (4)

which for a = 1 is the paper's 4 sum_j (p_ij - q_ij) w_ij (y_i - y_j). A pair's two terms in (4) are opposite, so the gradients
of all points add up to 0, and the map's centre stays where it is:

    sum_i dy_ic = 0

What is kept: the arguments. To compute the N^2 numbers w again takes less time than to read them from memory. One pass
over the pairs gives both sums of (4) and Z, so that backward needs no result of the forward.

The same in plain NumPy: ``tsne`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.arguments import check_number
from tinytx.kernel import kernel
from tinytx.shapes import check_float, check_shape, contiguous

BLOCK = 128  # points in a block, which one thread takes


class Saved(NamedTuple):
    y: np.ndarray  # (N, 2)
    p: np.ndarray  # (N, N)
    exaggeration: float  # a in (3)


@kernel
def _forward(losses, totals, u, v, p, exaggeration, first, last):
    one = u.dtype.type(1)
    for i in range(first, last):
        loss, total = u.dtype.type(0), u.dtype.type(0)
        for j in range(u.shape[0]):
            if j == i:
                continue
            d0, d1 = u[i] - u[j], v[i] - v[j]
            squared = d0 * d0 + d1 * d1
            total += one / (one + squared)  # (1), for (2)
            if p[i, j] > 0:
                loss += p[i, j] * (math.log(p[i, j]) + exaggeration * math.log1p(squared))  # (3)
        losses[i], totals[i] = loss, total


@kernel
def _backward(pull, push, totals, u, v, p, first, last):
    zero, one = u.dtype.type(0), u.dtype.type(1)
    for i in range(first, last):
        pull0, pull1, push0, push1, total = zero, zero, zero, zero, zero
        for j in range(u.shape[0]):
            d0, d1 = u[i] - u[j], v[i] - v[j]
            w = one / (one + d0 * d0 + d1 * d1) if j != i else zero  # (1)
            pw, ww = p[i, j] * w, w * w
            total += w
            pull0 += pw * d0
            pull1 += pw * d1
            push0 += ww * d0
            push1 += ww * d1
        pull[i, 0], pull[i, 1] = pull0, pull1
        push[i, 0], push[i, 1] = push0, push1
        totals[i] = total


def blocks(n):
    """Return (first, after the last) of each block of ``BLOCK`` among n rows: the work that threads share out."""
    return [(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]


def _columns(y):
    """Return y's two columns, each contiguous, so that eight points fit one vector register."""
    return contiguous(y[:, 0]), contiguous(y[:, 1])


def _sum_of_all(totals):
    """Return Z of (2) from its rows' sums."""
    z = float(totals.sum(dtype=np.float64))
    if not z > 0:
        raise FloatingPointError(
            f"tsne: the sum of all 1 / (1 + distance^2) is {z}: y is not finite, or spread so far that nothing is near "
            "anything. A descent that comes here has too large a learning rate"
        )
    return z


def _check(y, p):
    """Raise an error that says what is wrong with the arguments."""
    check_float("tsne", y=y, p=p)
    if y.ndim != 2 or y.shape[1] != 2 or len(y) < 2:
        raise ValueError(f"tsne: y has shape {y.shape}, expected (N, 2) with N of 2 or more")
    check_shape("tsne", "p", p, (len(y), len(y)), "y of shape", y.shape)
    total = float(p.sum(dtype=np.float64))
    if not abs(total - 1) < 1e-3:
        raise ValueError(
            f"tsne: p sums to {total:.6g}, expected 1: divide by the sum; to pull harder, give exaggeration"
        )
    if p.diagonal().any() or not np.array_equal(p, p.T):
        raise ValueError("tsne: p is not symmetric with zeros on its diagonal: make it with tinytx.ops.affinities")


def tsne(y, p, *, exaggeration=1.0):
    """Return the divergence of the nearness in a map from the nearness p.

    Parameters
    ----------
    y : array (N, 2), float32 or float64
        The map: where each point stands in the plane.
    p : array (N, N), the dtype of y
        Symmetric, not negative, 0 on its diagonal, adding up to 1: see `affinities`. It gets no gradient.
    exaggeration : float
        a in (3), how much harder than its share p pulls.

    Returns
    -------
    loss : float
        In nats. 0 where q = p, with an ``exaggeration`` of 1.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or p is not what it should be.
    FloatingPointError
        If y is not finite, or its points are so far apart that Z is 0. So does `tsne_backward`.

    Notes
    -----
    L. van der Maaten and G. Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008). The paper's C is our loss. Time
    and memory grow with the square of N.
    """
    _check(y, p)
    exaggeration = check_number("tsne", "exaggeration", exaggeration, "a number above 0", lambda a: 0 < a < 1e30)
    saved = Saved(y, contiguous(p), exaggeration)
    losses, totals = np.empty(len(y), y.dtype), np.empty(len(y), y.dtype)
    arguments = losses, totals, *_columns(y), saved.p, y.dtype.type(exaggeration)
    workers.map(lambda first, last: _forward(*arguments, first, last), *zip(*blocks(len(y))))
    return float(losses.sum(dtype=np.float64)) + math.log(_sum_of_all(totals)), saved


def tsne_backward(dloss, saved):
    """Return dy (N, 2).

    Parameters
    ----------
    dloss : float
        The gradient of whatever the loss is part of, with respect to the loss: 1 for the loss itself.
    saved : Saved
        What `tsne` returned. Who does not need the loss makes one without the forward: ``Saved(y, p, exaggeration)``.
    """
    y, p, exaggeration = saved
    dloss = check_number("tsne_backward", "dloss", dloss)
    pull, push, totals = np.empty(y.shape, y.dtype), np.empty(y.shape, y.dtype), np.empty(len(y), y.dtype)
    arguments = pull, push, totals, *_columns(y), p
    workers.map(lambda first, last: _backward(*arguments, first, last), *zip(*blocks(len(y))))
    z = _sum_of_all(totals)  # (2)
    return y.dtype.type(4 * dloss * exaggeration) * pull - y.dtype.type(4 * dloss / z) * push  # (4)
