r"""AdaGrad (Duchi, Hazan and Singer 2011), as the program of GloVe's authors has it.

With g the gradient (already clipped) and d the weight decay, a number moves the less, the more it has moved already:

    p = p - lr (g + d p) / sqrt(G)                                 (1)
    G = G + (lr (g + d p))^2                                       (2)

G begins with 1. So the first step is that of plain gradient descent, and lr is a length as it is there. Elsewhere, in
``torch.optim.Adagrad`` too, G begins with 0, has (g + d p)^2 in it, without lr, and is added to before the division: there
the first step has length lr, whatever the gradient is.
"""

import math

from tinytx.kernel import kernel
from tinytx.training.optimizers.base import Optimizer


@kernel
def _adagrad(p, squares, g, numbers):
    scale, lr, decay = numbers[0], numbers[1], numbers[2]
    for i in range(p.size):
        step = lr * (scale * g[i] + decay * p[i])
        p[i] -= step / math.sqrt(squares[i])  # (1)
        squares[i] += step * step  # (2)


class AdaGrad(Optimizer):
    """AdaGrad with sums of squares that begin with 1.

    Parameters
    ----------
    model, lr, groups
        As for `Optimizer`.
    weight_decay : float
        Added to the gradient of matrices, times the parameter.
    """

    slots = ("squares",)
    _loop = _adagrad

    def __init__(self, model, lr, *, weight_decay=0.0, groups=()):
        super().__init__(model, lr, weight_decay=weight_decay, groups=groups)
        for squares in self.state["squares"].values():
            squares[...] = 1

    def _numbers(self, scale, lr, decay, t):
        return scale, lr, decay
