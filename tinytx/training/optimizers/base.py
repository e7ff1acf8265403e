"""The common part of optimisers: step counter, learning rates, weight decay, and arrays for each parameter."""

import contextlib
import math

import numpy as np

from tinytx.arguments import check_number
from tinytx.core import Layer
from tinytx.members import is_of_the_library
from tinytx.shapes import contiguous
from tinytx.training.optimizers.groups import settings_of, some
from tinytx.training.optimizers.updates import Updates
from tinytx.workers import ranks

# Allowed values of a setting: in words, and as a function
FROM_0 = ("a finite number of at least 0", lambda x: 0 <= x < math.inf)
ABOVE_0 = ("a finite number above 0", lambda x: 0 < x < math.inf)
BELOW_1 = ("a number in [0, 1)", lambda x: 0 <= x < 1)
RATE = ("a finite number of at least 0", lambda x: 0 <= x <= 3e38)  # finite in float32, too


class Optimizer:
    """Base class of optimisers; a subclass defines ``slots``, and ``_loop`` and ``_numbers``, or ``_update``.

    Parameters
    ----------
    model : Layer
        Its parameters are updated in place.
    lr : float or function (int) -> float
        The learning rate, or a function of the step 0, 1, ... (`tinytx.training.schedules`).
    weight_decay : float
        For matrices only: decay of gains and biases, which have one axis, does not regularise.
    groups : sequence of (str, dict)
        Other settings for parameters whose path matches a pattern; the first match counts
        (`tinytx.training.optimizers.groups`): ``[("*.bias", {"weight_decay": 0.0}), ("token.*", {"lr_factor": 0.1})]``.

    Raises
    ------
    TypeError
        If ``model`` is not a layer, or a setting not a number.
    ValueError
        If the model has no parameters; if ``lr`` or ``weight_decay`` is negative or not finite in the model's dtype; if
        a group's pattern matches no parameter or its settings are invalid: the message names the group.
    """

    slots = ()  # names of the arrays kept for each parameter
    _loop = None  # kernel (data, array of each slot, gradient, numbers), all flat, that updates a parameter
    owners = None  # {path: rank that keeps the arrays and updates the parameter}, where they are divided

    def __init__(self, model, lr, *, weight_decay=0.0, groups=()):
        place = type(self).__name__
        if not isinstance(model, Layer):
            raise TypeError(f"{place}: model is a {type(model).__name__}, expected a Layer, whose parameters are trained")
        self.named = dict(model.named_parameters())
        if not self.named:
            raise ValueError(f"{place}: {type(model).__name__} has no parameters to train")
        self._made_for = {name: (p.data.shape, p.data.dtype) for name, p in self.named.items()}
        self.settings = settings_of(place, self.named, groups)
        if not callable(lr):
            self._check("lr", lr, *FROM_0)
        self._check("weight_decay", weight_decay, *FROM_0)
        for own in self.settings.values():
            self._check("weight_decay", own.weight_decay or 0.0, *FROM_0)
        self.lr, self.weight_decay = lr, weight_decay
        self.t = 0
        self.state = {slot: self._zeros() for slot in self.slots}
        self._updates = Updates()

    def __getstate__(self):
        return self.__dict__ | {"_updates": Updates()}  # a copy has other arrays than those that are written down

    def _zeros(self):
        """Return {name: zeros}; memory that nobody writes to, as that of frozen parameters, costs nothing."""
        return {name: np.zeros(p.data.shape, p.data.dtype) for name, p in self.named.items()}

    def _check(self, name, value, expected, accept):
        """Raise TypeError or ValueError unless ``accept`` accepts a setting, also rounded to the parameters' dtypes."""
        place = type(self).__name__
        value = check_number(place, name, value, expected, accept)
        for dtype in {parameter.data.dtype for parameter in self.named.values()}:
            with np.errstate(over="ignore"):
                rounded = dtype.type(value)
            if not accept(rounded):
                raise ValueError(f"{place}: {name} is {value}, which is {rounded} in the model's {dtype}, expected {expected}")

    @property
    def learning_rate(self):
        """The learning rate of the next step, for parameters whose group does not set another.

        Raises
        ------
        TypeError, ValueError
            If it is not a finite number of at least 0.
        """
        return self._check_rate("the learning rate", self.lr(self.t) if callable(self.lr) else self.lr)

    def learning_rates(self):
        """Return {path: the learning rate of the next step}, without parameters that are frozen in it.

        Raises
        ------
        TypeError, ValueError
            If a rate is not a finite number of at least 0; the message names the step and the parameter.
        """
        lr, rates = self.learning_rate, {}
        for name, own in self.settings.items():
            if self.named[name].frozen or own.frozen_at(self.t):
                continue
            if own.plain:
                rates[name] = lr
            else:
                rates[name] = own.rate(lr, self.t, lambda *value, of=name: self._check_rate(f"{value[0]} of {of}", value[1]))
        return rates

    def _check_rate(self, name, rate):
        return check_number(f"{type(self).__name__}: step {self.t}", name, rate, *RATE)

    @contextlib.contextmanager
    def resting(self):
        """Return a context around a step's backward, in which what is frozen in this step gets no gradient."""
        parameters = [p for name, p in self.named.items() if not p.frozen and self.settings[name].frozen_at(self.t)]
        try:
            for parameter in parameters:
                parameter.frozen = True
            yield
        finally:
            for parameter in parameters:
                parameter.frozen = False

    def averaged(self):
        """Return a context in which the model has the weights that it is to be used with: the trained ones, or a mean."""
        return contextlib.nullcontext()

    def go_on(self):
        """Give the model the weights that training goes on with, after it and this state were loaded as `averaged` has them."""

    def observe(self, loss):
        """Take notice of a validation loss: nothing depends on it here."""

    def updates(self, name):
        """Return how many steps have changed a parameter, that which is being taken included.

        Means over the steps so far, such as Adam's moments, begin where a parameter is no longer frozen.
        """
        return self.t - self.settings[name].first_step

    def decay_of(self, name):
        """Return the weight decay of a parameter: its group's, or ``weight_decay`` for a matrix and 0 for others."""
        own = self.settings[name].weight_decay
        if own is not None:
            return own
        return self.weight_decay if self.named[name].data.ndim > 1 else 0.0

    def step(self, *, scale=1.0):
        """Update every parameter from its ``grad``.

        Parameters
        ----------
        scale : float
            Multiplies the gradients: what clipping asks for.

        Raises
        ------
        TypeError, ValueError
            If a rate or ``scale`` is not a finite number of at least 0, or a gradient does not fit; nothing is changed.
        """
        rates = self.ready(scale)
        self.t += 1
        own = list(rates) if self.owners is None else [name for name in rates if self.owners[name] == self._ranks.rank]
        self._updates.take(self, own, scale, rates)
        if self.owners is not None:
            self._ranks.spread([(self.owners[name], self.named[name].data) for name in rates])

    def divide(self):
        """From now on keep a part of the arrays on each of the ranks in use (`tinytx.workers.ranks`).

        Each updates the parameters whose arrays it keeps, and sends them to the others: the same bits, with less memory, as the arrays that
        others keep are forgotten. A parameter's arrays stay together, so that the largest one sets a limit. From now on
        all ranks call `step` and `state_dict` at the same time; the first has the whole state, for as long as that is in use.

        Raises
        ------
        ValueError
            If the optimiser stands around another one, whose arrays are not divided.
        """
        self._ranks = ranks.current()
        if self._ranks.size > 1:
            loads, self.owners = [0] * self._ranks.size, {}
            for name in sorted(self.named, key=lambda name: -self.named[name].data.size):
                self.owners[name] = loads.index(min(loads))
                loads[self.owners[name]] += self.named[name].data.size
            self.state = {slot: {name: self._kept(name, array) for name, array in own.items()} for slot, own in self.state.items()}

    def _kept(self, name, array):
        """Return what this rank keeps of an array: a copy, so that the memory of all old ones is free in one piece, or the shape alone."""
        return array.copy() if self.owners[name] == self._ranks.rank else np.broadcast_to(array.dtype.type(0), array.shape)

    def ready(self, scale=1.0):
        """Check everything that the next step needs, and return its learning rates; errors as for `step`."""
        check_number(f"{type(self).__name__}: step {self.t}", "scale", scale, *FROM_0)
        rates, place = self.learning_rates(), type(self).__name__
        for name in [] if self._updates.know(self, rates) else rates:  # what has calls that are written down was looked at then
            data, grad, made_for = self.named[name].data, self.named[name].grad_now, self._made_for[name]
            if (data.shape, data.dtype) != made_for:
                raise ValueError(
                    f"{place}: {name} has shape {data.shape} and dtype {data.dtype}, expected {made_for[0]} and "
                    f"{made_for[1]} as when the optimiser was made: make a new optimiser"
                )
            if (grad.shape, grad.dtype) != made_for:
                raise ValueError(
                    f"{place}: the gradient of {name} has shape {grad.shape} and dtype {grad.dtype}, "
                    f"expected {data.shape} and {data.dtype} as the parameter"
                )
            if not data.flags.c_contiguous:  # flattening would make a copy, and the update would change only that
                raise ValueError(f"{place}: the data of {name} is not C-contiguous: copy it first")
        return rates

    def check_model(self, place, model):
        """Raise ValueError unless this optimiser was made for ``model``: the same Parameters under the same names."""
        own = dict(model.named_parameters())
        if own.keys() != self.named.keys() or any(own[name] is not self.named[name] for name in own):
            differing = sorted(n for n in own | self.named if own.get(n) is not self.named.get(n))
            raise ValueError(
                f"{place}: {type(self).__name__} was made for another model: it would update other parameters than "
                f"this {type(model).__name__}'s {some(differing)}. Make an optimiser of this model"
            )

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.named.values():
            parameter.zero_grad()

    def state_dict(self):
        """Return {name: array}, with the step counter as "t"."""
        arrays = self._arrays()
        if self.owners is not None:
            owners = [self.owners[n] for own in self.state.values() for n in own]
            arrays = dict(zip(arrays, self._ranks.collect([*zip(owners, arrays.values())])))
        return {"t": np.array(self.t), **arrays}

    def _arrays(self):
        """Return {name: array} of this rank's slots."""
        return {f"{slot}.{n}": array for slot, own in self.state.items() for n, array in own.items()}

    def load_state_dict(self, arrays):
        """Copy the arrays of `state_dict`. If some do not fit, raise ValueError with their names and change nothing.

        NaN and infinity, or a step counter below 0, do not fit either.
        """
        own = self.state_dict() if self.owners is None else {"t": np.array(self.t), **self._arrays()}
        faults = [n for n in {**own, **arrays} if n not in own or n not in arrays or not _alike(own[n], arrays[n])]
        if faults:
            raise ValueError(f"{type(self).__name__}: state does not fit the model: {some(sorted(faults))}")
        faults = [n for n in own if not np.isfinite(arrays[n]).all() or n == "t" and arrays[n] < 0]
        if faults:
            raise ValueError(f"{type(self).__name__}: state that is not finite, or a step below 0: {some(sorted(faults))}")
        for name, array in own.items():
            if self.owners is None or self.owners.get(name.partition(".")[2], self._ranks.rank) == self._ranks.rank:
                array[...] = arrays[name]
        self.t = int(arrays["t"])

    def _numbers(self, scale, lr, decay, t):
        """Return the numbers that ``_loop`` takes, a tuple, for the update number t of a parameter with a weight decay."""
        raise NotImplementedError

    def _update(self, name, parameter, scale, lr):
        arrays, dtype = self._flat(name, parameter)
        self._loop(*arrays, np.array(self._numbers(scale, lr, self.decay_of(name), self.updates(name)), dtype))

    def _is_simple(self):
        """Return whether an update is ``_loop`` with ``_numbers``, and nothing else, and both are the library's: those of others may hold something of their own."""
        return is_of_the_library(self) and type(self)._update is Optimizer._update

    def _flat(self, name, parameter):
        """Return ([data, arrays of the slots, gradient], each flat; the dtype for scalars) of a parameter."""
        arrays = parameter.data, *(self.state[slot][name] for slot in self.slots), contiguous(parameter.grad_now)
        return [array.reshape(-1) for array in arrays], parameter.data.dtype.type


def _alike(a, b):
    """Return whether two arrays have the same shape and the same kind of dtype, in any precision."""
    return a.shape == b.shape and a.dtype.kind == b.dtype.kind
