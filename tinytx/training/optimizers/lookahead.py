r"""Lookahead (Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", arXiv:1907.08610), and Ranger.

Any optimiser takes k steps with the model's weights p, the fast weights. Then the slow weights s move a part of the way
towards them, and the fast weights continue from there:

    s = p                                    before the first step                          (1)
    s = s + alpha (p - s)                    after every k-th                               (2)
    p = s                                                                                   (3)

Fast steps in opposite directions cancel in (2); steps in one direction are shortened by the factor alpha. The inner
optimiser's moments do not change ("maintain" in the paper). Between multiples of k the model computes with the fast
weights: evaluate at multiples of k, where both are equal.
"""

from tinytx import workers
from tinytx.kernel import kernel
from tinytx.training.optimizers.around import Around
from tinytx.training.optimizers.radam import RAdam


@kernel
def _back(p, s, alpha):
    for i in range(p.size):
        s[i] += alpha * (p[i] - s[i])  # (2)
        p[i] = s[i]  # (3)


class Lookahead(Around):
    """Adds slow weights to another optimiser, and is used in its place.

    Parameters
    ----------
    optimizer : Optimizer
        Takes the fast steps, with its own learning rate, decay and groups.
    k : int
        Number of fast steps for each slow one.
    alpha : float in (0, 1]
        The part of the way that the slow weights move; 1 is the optimiser without Lookahead.

    Attributes
    ----------
    t, lr
        The inner optimiser's.

    Raises
    ------
    ValueError
        If ``k`` or ``alpha`` is out of range.

    Examples
    --------
    >>> from tinytx.layers import Linear
    >>> from tinytx.training import AdamW
    >>> optimizer = Lookahead(AdamW(Linear(3, 2, rng=np.random.default_rng(0)), 1e-3), k=5)
    >>> sorted(optimizer.state_dict())[:3]
    ['fast.m.bias', 'fast.m.weight', 'fast.v.bias']
    """

    slots = ("slow",)

    def __init__(self, optimizer, *, k=5, alpha=0.5):
        super().__init__(optimizer)
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"{type(self).__name__}: k is {k!r}, expected a whole number of at least 1")
        self.k, self.alpha = k, alpha
        self._check("alpha", alpha, "a number above 0 and at most 1", lambda x: 0 < x <= 1)

    def step(self, *, scale=1.0):
        """Take a fast step, and after every k-th the slow one; arguments and errors as for `Optimizer.step`."""
        names = list(self.ready(scale))  # those that this step moves
        if self.t == 0:  # not in __init__: weights may be loaded in between
            for name in (name for name, own in self.settings.items() if not own.frozen):
                self.state["slow"][name][...] = self.named[name].data  # (1)
        self.optimizer.step(scale=scale)
        if self.t % self.k == 0:
            workers.map(self._go_back, names)

    def _go_back(self, name):
        data = self.named[name].data  # C-contiguous: the inner optimiser has looked
        _back(data.reshape(-1), self.state["slow"][name].reshape(-1), data.dtype.type(self.alpha))


class Ranger(Lookahead):
    """RAdam inside Lookahead: Less Wright's Ranger (2019), with its defaults.

    Gradient centralization (Yong et al. 2020), which Ranger has since April 2020, is left out. It subtracts from each
    row of an embedding's gradient its mean, which is 0 in a pre-norm Transformer, where every layer reads x through a
    layer norm.

    Parameters
    ----------
    model, lr, groups
        As for `Optimizer`.
    k, alpha
        As for `Lookahead`.
    betas, eps, rho_threshold
        As for `RAdam`; Ranger calls the last ``N_sma_threshhold``.
    weight_decay : float
        For matrices, decoupled.
    """

    def __init__(
        self,
        model,
        lr,
        *,
        k=6,
        alpha=0.5,
        betas=(0.95, 0.999),
        eps=1e-5,
        weight_decay=0.0,
        rho_threshold=5.0,
        groups=(),
    ):
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "rho_threshold": rho_threshold}
        radam = RAdam(model, lr, decoupled_weight_decay=True, groups=groups, **options)
        super().__init__(radam, k=k, alpha=alpha)
