r"""Adam and AdamW (Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019, arXiv:1711.05101).

With g the gradient (already clipped), step t = 1, 2, ... and d the weight decay:

    g = g + d p                                 coupled: Adam's own, older decay        (1)
    p = p - lr d p                              decoupled: AdamW's                      (2)
    m = b1 m + (1 - b1) g                                                               (3)
    v = b2 v + (1 - b2) g^2                                                             (4)
    p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)                          (5)

The difference between (1) and (2) is largest where there is no other gradient, as in the rows of an embedding whose
words do not occur. There (1) makes g = d p, and (5) divides it by its own size: however small d is, such a row goes
to 0 at lr for each step. With (2) it shrinks by the factor 1 - lr d, which is next to nothing.
"""

import math

from tinytx.kernel import kernel
from tinytx.training.optimizers.base import ABOVE_0, BELOW_1, Optimizer


@kernel
def _adam(p, m, v, g, numbers):
    scale, step_size, b1, b2 = numbers[0], numbers[1], numbers[2], numbers[3]
    root, eps, coupled, decoupled = numbers[4], numbers[5], numbers[6], numbers[7]
    one = p.dtype.type(1)
    for i in range(p.size):
        gi = scale * g[i] + coupled * p[i]  # (1)
        m[i] = b1 * m[i] + (one - b1) * gi  # (3)
        v[i] = b2 * v[i] + (one - b2) * gi * gi  # (4)
        p[i] = p[i] * decoupled - step_size * m[i] / (math.sqrt(v[i]) * root + eps)  # (2), (5)


class Adam(Optimizer):
    """Adam, with optional L2 regularisation added to the gradient.

    Parameters
    ----------
    model, lr, groups
        As for `Optimizer`.
    betas : (float, float), each in [0, 1)
        Decay of the two moments. At 1 a mean would never leave 0.
    eps : float, above 0
        Added to the denominator, which is 0 where there has been no gradient.
    weight_decay : float
        For matrices: times the parameter, added to the gradient (Adam) or subtracted times lr (AdamW).
    """

    slots = ("m", "v")
    _loop = _adam
    decoupled = False

    def __init__(self, model, lr, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, groups=()):
        super().__init__(model, lr, weight_decay=weight_decay, groups=groups)
        b1, b2 = betas
        self._check("betas[0]", b1, *BELOW_1)
        self._check("betas[1]", b2, *BELOW_1)
        self._check("eps", eps, *ABOVE_0)
        self.betas, self.eps = (b1, b2), eps

    def _numbers(self, scale, lr, decay, t):
        coupled, kept = (0.0, 1 - lr * decay) if self.decoupled else (decay, 1.0)
        step_size, root, eps = self._step_size(lr, t)
        return scale, step_size, *self.betas, root, eps, coupled, kept

    def _step_size(self, lr, t):
        """Return (step_size, root, eps) of p -= step_size m / (root sqrt(v) + eps), which is (5) after t updates."""
        b1, b2 = self.betas
        return lr / (1 - b1**t), 1 / math.sqrt(1 - b2**t), self.eps


class AdamW(Adam):
    """Adam with decoupled weight decay; parameters as for `Adam`, ``weight_decay`` 0.01 by default."""

    decoupled = True

    def __init__(self, model, lr, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, groups=()):
        super().__init__(model, lr, betas=betas, eps=eps, weight_decay=weight_decay, groups=groups)
