"""What the optimisers share: a step counter, the learning rates, weight decay, and arrays for each parameter."""

import numpy as np

from tinytx.shapes import contiguous
from tinytx.training.optimizers.groups import settings_of


class Optimizer:
    """An optimiser; a subclass names its ``slots`` and writes ``_update``.

    Parameters
    ----------
    model : Layer
        Its parameters are updated in place.
    lr : float or function (int) -> float
        The learning rate, or one for each step 0, 1, ... (`tinytx.training.schedules`).
    weight_decay : float
        For matrices only: gains and biases have one axis, and pulling them to 0 regularises nothing.
    groups : sequence of (str, dict)
        Other settings for parameters whose path matches a pattern, the first that does
        (`tinytx.training.optimizers.groups`): ``[("*.bias", {"weight_decay": 0.0}), ("token.*", {"lr_factor": 0.1})]``.

    Raises
    ------
    ValueError
        If ``lr`` or ``weight_decay`` is negative or not finite; if a pattern takes no parameter, or a group's settings
        cannot be used: naming the group.
    """

    slots = ()  # names of the arrays kept for each parameter

    def __init__(self, model, lr, *, weight_decay=0.0, groups=()):
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not callable(value) and not 0 <= value < np.inf:
                place = type(self).__name__
                raise ValueError(f"{place}: {name} is {value}, expected a finite number of at least 0")
        self.named = dict(model.named_parameters())
        self.lr, self.weight_decay = lr, weight_decay
        self.t = 0
        self.settings = settings_of(type(self).__name__, self.named, groups)
        self.state = {slot: {n: np.zeros_like(p.data) for n, p in self.named.items()} for slot in self.slots}

    @property
    def learning_rate(self):
        """The learning rate of the next step, for parameters without one of their own."""
        return self.lr(self.t) if callable(self.lr) else self.lr

    def learning_rates(self):
        """Return {path: the learning rate of the next step}, without the parameters that are frozen."""
        lr = self.learning_rate
        return {name: own.rate(lr, self.t) for name, own in self.settings.items() if not own.frozen}

    def decay_of(self, name):
        """Return the weight decay of a parameter: its group's, or ``weight_decay`` for a matrix and 0 for others."""
        own = self.settings[name].weight_decay
        if own is not None:
            return own
        return self.weight_decay if self.named[name].data.ndim > 1 else 0.0

    def step(self, *, scale=1.0, run=map):
        """Update every parameter from its ``grad``.

        Parameters
        ----------
        scale : float
            Multiplies the gradients: what clipping asks for.
        run : function (f, names)
            Calls f for each name; the trainer hands in one that uses its threads.
        """
        rates = self.learning_rates()
        self.t += 1
        list(run(lambda name: self._update(name, self.named[name], scale, rates[name]), rates))

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.named.values():
            parameter.zero_grad()

    def state_dict(self):
        """Return {name: array}, with the step counter as "t"."""
        arrays = {f"{slot}.{n}": array for slot, own in self.state.items() for n, array in own.items()}
        return {"t": np.array(self.t), **arrays}

    def load_state_dict(self, arrays):
        """Copy what `state_dict` returned, or change nothing and raise ValueError naming all that does not fit."""
        own = self.state_dict()
        faults = [n for n in {**own, **arrays} if n not in own or n not in arrays or not _alike(own[n], arrays[n])]
        if faults:
            raise ValueError(f"{type(self).__name__}: state does not fit the model: {', '.join(sorted(faults))}")
        for name, array in own.items():
            array[...] = arrays[name]
        self.t = int(arrays["t"])

    def _update(self, name, parameter, scale, lr):
        raise NotImplementedError

    def _flat(self, name, parameter):
        """Return data, kept arrays and gradient of a parameter, each flat; and its dtype for scalars."""
        if not parameter.data.flags.c_contiguous:  # flattening would copy it, and the copy would be updated
            raise ValueError(f"{type(self).__name__}: the data of {name} is not C-contiguous: copy it first")
        arrays = (parameter.data, *(self.state[slot][name] for slot in self.slots), contiguous(parameter.grad))
        return [array.reshape(-1) for array in arrays], parameter.data.dtype.type


def check_betas(place, betas):
    """Raise ValueError unless both are in [0, 1): at 1, a mean would never leave 0."""
    for i, beta in enumerate(betas):
        if not 0 <= beta < 1:
            raise ValueError(f"{place}: betas[{i}] is {beta}, expected a number in [0, 1)")


def _alike(a, b):
    """Return whether two arrays have one shape, and numbers of one kind in whatever precision."""
    return a.shape == b.shape and a.dtype.kind == b.dtype.kind
