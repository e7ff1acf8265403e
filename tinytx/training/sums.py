"""Gradients of shards whose steps are repeated, added up by compiled code, too.

Such shards hand on their gradients in the same arrays each time (`tinytx.training.repeater`). So what `tinytx.training.shards` does with them is recorded
once: the same sums in the same order, in arrays that stay, and the squares of each sum for the gradient's norm, which find it in a cache.
"""

import weakref

import numpy as np

from tinytx import workers
from tinytx.members import are_the_same
from tinytx.ops.linear import Product
from tinytx.recording import found
from tinytx.training.again import Again
from tinytx.training.arithmetic import copied, plus, zeros_like
from tinytx.training.by_layer import squares
from tinytx.training.shards import GradientSum


class Sums:
    """The sums of what the shards' repeated steps have handed on.

    Parameters
    ----------
    named : dict of str to Parameter
        They get the sums.
    shards : dict of int to dict of str to ShardParameter
        By the shards' numbers.
    handed_on : dict of int to list of functools.partial
        What is done after a shard's calls (`tinytx.recording.Recording`), which have just been made.
    size, n_shards
        As for `GradientSum`.

    Raises
    ------
    LookupError
        If compiled code cannot add them up.
    """

    def __init__(self, named, shards, handed_on, size, n_shards):
        trained = {name: parameter for name, parameter in named.items() if not parameter.frozen}
        calls = {name: [] for name in trained}
        names = {id(parameter): name for own in shards.values() for name, parameter in own.items()}
        for call in (call for number in sorted(handed_on) for call in handed_on[number]):
            name = names.get(id(getattr(call.func, "__self__", None)))
            if name not in calls:
                raise LookupError(f"Sums: {call.func} is done after a shard's calls, expected gradients of parameters that are trained")
            calls[name].append(call)
        if any(found(Product, [*calls.values()])):
            raise LookupError("Sums: a shard hands over a product that is made later, expected arrays")
        kept = {name: _Kept(parameter) for name, parameter in trained.items()}

        def summed(name):
            total = GradientSum(name, kept[name], {number: own[name] for number, own in shards.items()}, size, n_shards)
            for call in calls[name]:
                call()
            total.close()
            return squares(kept[name].grad)

        self._again = Again(summed, trained, lambda name: trained[name].data.size, found(np.ndarray, [*calls.values()]))
        self._gradients = [(parameter, kept[name].grad) for name, parameter in trained.items()]

    def again(self):
        """Add up what the shards have handed on this time, and lend it to the parameters; return the squares of each sum."""
        all_squares = self._again.again()
        for parameter, gradient in self._gradients:
            parameter.lend_grad(gradient)
        return all_squares


class _Kept:
    """Gets the gradient of a parameter, in its place, in an array that stays."""

    def __init__(self, parameter):
        self.data, self.frozen, self.checked = parameter.data, parameter.frozen, parameter.checked
        self._grad, self._owned = None, False

    @property
    def grad(self):
        if self._grad is None:
            self._grad, self._owned = zeros_like(self.data), True
        return self._grad

    def add_grad(self, dparameter, *, fresh=False):
        if self._grad is None:
            self._grad, self._owned = dparameter, fresh  # what was handed on is not written to, and need not be copied
        else:
            self._grad, self._owned = plus(self._grad, dparameter, self._grad if self._owned else None), True

    def add_into_grad(self, add):
        if not self._owned:
            self._grad, self._owned = zeros_like(self.data) if self._grad is None else copied(self._grad), True
        add(self._grad)


class Together:
    """Makes the shards' steps and the sums of their gradients, where all of them are repeated.

    Parameters
    ----------
    named : dict of str to Parameter
    repeaters : list of Repeater
    parameters : list of dict of str to ShardParameter
        Of the same shards.
    """

    def __init__(self, named, repeaters, parameters):
        self._named, self._repeaters, self._parameters = named, repeaters, parameters
        self._sums = weakref.WeakKeyDictionary()  # {Repeated of the first shard: (weak references to the others', Sums or None)}: they go with the recordings

    def step(self, batches, count):
        """Return (losses, squares of the gradient of each parameter that is trained), or (None, None) if a step has to be made in another way."""
        steps = self._repeated_steps(batches, count)
        _, sums = self._known(steps) or (None, None)
        if sums is None or any(parameter.has_grad for parameter in self._named.values()):  # to those that are there gradients are added
            return None, None
        losses = workers.map(lambda step, batch: step.results(batch), steps, batches)
        for repeater, _ in zip(self._repeaters, batches):
            repeater.n_repeated += 1
        return [loss for (loss,) in losses], sums.again()

    def look(self, batches, count, shards, size, n_shards):
        """Look at a step that was just made in another way: whether the next one can be made here. ``shards``, ``size`` and ``n_shards`` are those of `Sums`."""
        steps = self._repeated_steps(batches, count)
        if not steps or self._known(steps):
            return
        first, *others = (step.repeated for step in steps)
        handed_on = {number: step.repeated.recording.after for number, step in zip(shards, steps)}
        try:
            sums = Sums(self._named, shards, handed_on, size, n_shards)
        except LookupError:
            sums = None
        self._sums[first] = [weakref.ref(other) for other in others], sums

    def _known(self, steps):
        """Return what has been kept of the recordings of steps, or None if that is nothing."""
        if not steps:
            return None
        first, *others = (step.repeated for step in steps)
        known = self._sums.get(first)
        return known if known and are_the_same([other() for other in known[0]], others) else None

    def _repeated_steps(self, batches, count):
        """Return the `Step` of each shard; [] unless all of them are repeated."""
        repeaters = self._repeaters[: len(batches)]
        if not all(repeater.may for repeater in repeaters):
            return []
        for own in self._parameters[: len(batches)]:
            for parameter, copy in zip(self._named.values(), own.values(), strict=True):
                copy.data, copy.frozen = parameter.data, parameter.frozen
        steps = [repeater.step(batch, count) for repeater, batch in zip(repeaters, batches)]
        return steps if all(step is not None and step.is_repeated for step in steps) else []
