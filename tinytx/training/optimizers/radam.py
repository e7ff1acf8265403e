r"""RAdam, the rectified Adam (Liu et al. 2020, "On the variance of the adaptive learning rate and beyond").

arXiv:1908.03265.

In Adam's first steps v is the mean of very few g^2: its square root varies wildly, and the step with it. That is what a
warm-up is for, say the authors, and put a factor in its place. The mean of exponential weights is about as good as a
plain mean over the last rho squares, and with rho comes the variance of 1 / sqrt(v) in closed form (their section 3):

    rho_inf = 2 / (1 - b2) - 1                                          what rho grows to           (1)
    rho     = rho_inf - 2 t b2^t / (1 - b2^t)                           after t steps               (2)
    r       = sqrt( (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho) )               (3)

r^2 is the variance at the end over the variance now: it grows from 0 at rho = 4, where the variance is infinite, to 1.
With Adam's m, v and both kinds of decay (`tinytx.training.optimizers.adam`, 1 to 4):

    p = p - lr r (m / (1 - b1^t)) / ((sqrt(v) + eps) / sqrt(1 - b2^t))  if rho > 5                  (4)
    p = p - lr (m / (1 - b1^t))                                         before: no division at all  (5)

The paper has rho > 4 in (4); its authors' code, and PyTorch's, have 5. With b2 = 0.999 the first 5 steps are of kind
(5), and their length is the gradient's: where that is far smaller than 1, they are a standstill. Then r sets in at
0.026, reaches 0.5 after 560 steps and 0.83 after 2,000, which is a warm-up of that length, wanted or not. eps stands
beside sqrt(v), before the bias correction, where Adam's stands after it.
"""

import math

from tinytx.training.optimizers.adam import Adam


class RAdam(Adam):
    """Adam with the variance of its first steps rectified: no warm-up to choose.

    Parameters
    ----------
    model, lr, betas, eps, groups
        As for `Adam`.
    weight_decay : float
        For matrices.
    decoupled_weight_decay : bool
        Decay as AdamW does it, which is what the paper's authors do. False, as in ``torch.optim.RAdam``: as Adam does.
    rho_threshold : float, at least 4
        Above which rho the denominator is used (``N_sma_threshhold`` elsewhere).

    Raises
    ------
    ValueError
        If the threshold is below 4, where the factor (3) is not defined; and as for `Adam`.
    """

    def __init__(
        self,
        model,
        lr,
        *,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        decoupled_weight_decay=False,
        rho_threshold=5.0,
        groups=(),
    ):
        super().__init__(model, lr, betas=betas, eps=eps, weight_decay=weight_decay, groups=groups)
        self._check("rho_threshold", rho_threshold, "a finite number of at least 4", lambda x: 4 <= x < math.inf)
        self.decoupled, self.rho_threshold = decoupled_weight_decay, rho_threshold

    def rectification(self, t):
        """Return r of the update number t (3), or None where rho is not above the threshold."""
        b2_t = self.betas[1] ** t
        rho_inf = 2 / (1 - self.betas[1]) - 1  # (1)
        rho = rho_inf - 2 * t * b2_t / (1 - b2_t)  # (2)
        if not rho > self.rho_threshold:
            return None
        return math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))  # (3)

    def _step_size(self, lr, t):
        b1, b2 = self.betas
        step_size, r = lr / (1 - b1**t), self.rectification(t)
        if r is None:
            return step_size, 0.0, 1.0  # (5): a denominator of 0 sqrt(v) + 1
        return step_size * r * math.sqrt(1 - b2**t), 1.0, self.eps  # (4)
