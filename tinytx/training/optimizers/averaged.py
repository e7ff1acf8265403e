r"""Averages of the weights (Polyak and Juditsky 1992), begun when validation says so (NT-ASGD: Merity et al. 2017).

arXiv:1708.02182, algorithm 1.

At a constant rate, stochastic gradient descent ends by walking around a minimum. The mean of all weights since step T is
nearer to the minimum than each of them. With p for the weights after a step of any optimiser, and n = t - T,

    a = a + (p - a) / n                                                 the mean of the last n      (1)

Training goes on with p; the model is evaluated, and used, with a. What T is good is said by the validation losses, of
which v is the newest, and L the patience: averaging begins when

    v > min(the losses before the last L),                              "non-monotonically triggered"  (2)

that is, when it is above the best of those that are more than L evaluations old. In the paper the optimiser is SGD without
momentum, with a constant rate, and L = 5.
"""

from contextlib import contextmanager

import numpy as np

from tinytx import workers
from tinytx.arguments import check_whole
from tinytx.kernel import kernel
from tinytx.training.optimizers.around import Around


@kernel
def _mean(a, p, share):
    for i in range(p.size):
        a[i] += share * (p[i] - a[i])  # (1)


class Averaged(Around):
    """Adds the mean of the weights to another optimiser, and is used in its place.

    Parameters
    ----------
    optimizer : Optimizer
        Takes the steps; `SGD` in the paper.
    patience : int
        L: the newest loss is compared with those that are more than so many evaluations old.

    Attributes
    ----------
    t, lr
        The inner optimiser's.
    begun : int or None
        T, after how many steps the averaging has begun; None before.

    Raises
    ------
    TypeError, ValueError
        If ``optimizer`` is none, or ``patience`` is no whole number of at least 1.

    Examples
    --------
    >>> from tinytx.layers import Linear
    >>> from tinytx.training import SGD
    >>> optimizer = Averaged(SGD(Linear(3, 2, rng=np.random.default_rng(0)), 30.0), patience=1)
    >>> for loss in (2.0, 1.0, 1.5):  # the last is better than 2.0, which alone is old enough to be compared with
    ...     optimizer.observe(loss)
    >>> optimizer.begun
    >>> optimizer.observe(1.2)  # worse than 1.0
    >>> optimizer.begun
    0
    """

    slots = ("average",)

    def __init__(self, optimizer, *, patience=5):
        super().__init__(optimizer)
        patience = check_whole(type(self).__name__, "patience", patience, 1)
        self._begun, self._evaluations = np.array(-1), np.array(0)
        self._losses = np.zeros(1 + patience)  # the least of those before the last L, and the last L, the newest at the end

    @property
    def begun(self):
        """T, or None."""
        return None if self._begun < 0 else int(self._begun)

    def observe(self, loss):
        """Take notice of a validation loss, and begin to average where (2) asks for it."""
        losses, patience = self._losses, len(self._losses) - 1
        if self._evaluations > patience and loss > losses[0] and self.begun is None:  # (2)
            self.begin()
        older = losses[1] if self._evaluations <= patience else min(losses[:2])
        losses[:] = [older, *losses[2:], loss]
        self._evaluations += 1

    def begin(self):
        """Begin to average with the next step, whatever has been before."""
        self._begun[...] = self.t

    def step(self, *, scale=1.0):
        """Take a step and add it to the mean; arguments and errors as for `Optimizer.step`."""
        names = list(self.ready(scale))  # those that this step moves
        self.optimizer.step(scale=scale)
        if self.begun is not None:
            workers.map(self._add, names)

    def _add(self, name):
        data, n = self.named[name].data, self._steps(name)
        _mean(self.state["average"][name].reshape(-1), data.reshape(-1), data.dtype.type(1 / n))

    def _steps(self, name):
        """Return n, the number of steps whose weights are in a parameter's mean; 0 for one that is frozen."""
        own = self.settings[name]
        frozen = own.frozen or self.named[name].frozen
        return 0 if self.begun is None or frozen else max(0, self.t - max(self.begun, own.first_step))

    @contextmanager
    def averaged(self):
        """Return a context in which the model has the mean weights; `Trainer.evaluate` opens it.

        It is also the way to save what is to be used: ``with optimizer.averaged(): save_checkpoint(folder, model)``. With
        ``optimizer=optimizer`` the weights that training goes on with are then in its state, and `go_on` takes them out.
        """
        try:
            self._exchange()
            yield
        finally:
            self._exchange()

    def go_on(self):
        """Give the model the weights that training goes on with, after it and this state were loaded as `averaged` has them."""
        self._exchange()

    def _exchange(self):
        workers.map(self._exchange_one, [name for name in self.named if self._steps(name)])

    def _exchange_one(self, name):
        data, average = self.named[name].data, self.state["average"][name]
        held = data.copy()
        data[...], average[...] = average, held

    def state_dict(self):
        """Return {name: array}: the mean, what `Around` says, and what (2) needs."""
        own = {"begun": self._begun, "evaluations": self._evaluations, "losses": self._losses}
        return super().state_dict() | own
