r"""LAMB (You et al. 2020, "Large batch optimization for deep learning: training BERT in 76 minutes", arXiv:1904.00962).

Adam's direction, with a length that each parameter's own size sets. Their algorithm 2, with phi the identity and d the
weight decay, for each parameter p as a whole:

    m = b1 m + (1 - b1) g                                                                   (1)
    v = b2 v + (1 - b2) g^2                                                                 (2)
    u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + d p                               (3)
    p = p - lr (|p| / |u|) u                                                                (4)

So one step changes every parameter by the share lr of its norm, whatever the gradient's size. Where |p| or |u| is 0, as
for a bias at its start, the quotient is taken as 1.
"""

import math

import numpy as np

from tinytx.kernel import kernel
from tinytx.training.optimizers.adam import Adam


@kernel
def _moments(p, m, v, g, squares, scale, b1, b2, first, root, eps, decay):
    """Update m and v; leave |p|^2 and |u|^2 in squares."""
    one = p.dtype.type(1)
    p_squares, u_squares = 0.0, 0.0  # float64
    for i in range(p.size):
        gi = scale * g[i]
        m[i] = b1 * m[i] + (one - b1) * gi  # (1)
        v[i] = b2 * v[i] + (one - b2) * gi * gi  # (2)
        u = first * m[i] / (math.sqrt(v[i]) * root + eps) + decay * p[i]  # (3)
        p_squares += np.float64(p[i]) * np.float64(p[i])
        u_squares += np.float64(u) * np.float64(u)
    squares[0], squares[1] = p_squares, u_squares


@kernel
def _move(p, m, v, step_size, first, root, eps, decay):
    for i in range(p.size):
        u = first * m[i] / (math.sqrt(v[i]) * root + eps) + decay * p[i]  # (3), again rather than kept
        p[i] -= step_size * u  # (4)


class LAMB(Adam):
    """Layer-wise adaptive moments for large batches.

    Parameters
    ----------
    model, lr, groups
        As for `Optimizer`.
    betas : (float, float)
    eps : float
        1e-6 in the paper.
    weight_decay : float
        For matrices, part of the direction (3); 0.01 in the paper.
    """

    def __init__(self, model, lr, *, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, groups=()):
        super().__init__(model, lr, betas=betas, eps=eps, weight_decay=weight_decay, groups=groups)

    def _update(self, name, parameter, scale, lr):
        (p, m, v, g), dtype = self._flat(name, parameter)
        first, root, eps = self._step_size(1.0, self.updates(name))
        direction = [dtype(x) for x in (first, root, eps, self.decay_of(name))]
        squares = np.empty(2)
        _moments(p, m, v, g, squares, *(dtype(x) for x in (scale, *self.betas)), *direction)
        trust = math.sqrt(squares[0] / squares[1]) if squares.all() else 1.0
        _move(p, m, v, dtype(lr * trust), *direction)
