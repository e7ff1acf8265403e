r"""Stochastic gradient descent with momentum (Sutskever et al. 2013).

With g the gradient (already clipped) and d the weight decay:

    u = momentum u + (g + d p)                                     (1)
    p = p - lr u                                                   (2)
"""

from tinytx.kernel import kernel
from tinytx.training.optimizers.base import BELOW_1, Optimizer


@kernel
def _sgd(p, u, g, numbers):
    scale, lr, momentum, decay = numbers[0], numbers[1], numbers[2], numbers[3]
    for i in range(p.size):
        u[i] = momentum * u[i] + (scale * g[i] + decay * p[i])  # (1)
        p[i] -= lr * u[i]  # (2)


class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    model, lr, groups
        As for `Optimizer`.
    momentum : float in [0, 1)
    weight_decay : float
        Added to the gradient of matrices, times the parameter.
    """

    slots = ("u",)
    _loop = _sgd

    def __init__(self, model, lr, *, momentum=0.0, weight_decay=0.0, groups=()):
        super().__init__(model, lr, weight_decay=weight_decay, groups=groups)
        self._check("momentum", momentum, *BELOW_1)
        self.momentum = momentum

    def _numbers(self, scale, lr, decay, t):
        return scale, lr, self.momentum, decay
