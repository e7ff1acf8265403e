"""Updates of an optimiser's parameters: by Python, one after the other, or, where all arrays are those of the step before, by compiled code."""

import weakref

import numpy as np

from tinytx import workers
from tinytx.kernel import is_plain
from tinytx.members import are_the_same
from tinytx.training.again import Again


class Updates:
    """Makes the updates of one optimiser."""

    def __init__(self):
        self._gradients, self._names, self._arrays, self._again = [], [], [], None

    def know(self, optimizer, names):
        """Return whether the updates of these parameters are written down, with the arrays that they have now."""
        return self._again is not None and [*names] == self._names and self._are_the_same(self._all_arrays(optimizer, names))

    def take(self, optimizer, names, scale, rates):
        """Update parameters.

        Parameters
        ----------
        optimizer : Optimizer
        names : list of str
            Of the parameters.
        scale : float
            Multiplies the gradients.
        rates : dict of str to float
        """
        named = optimizer.named
        if optimizer._is_simple():
            if self.know(optimizer, names):
                self._numbers[...] = self._rows(optimizer, names, scale, rates)
                self._again.again()
                return
            arrays = self._all_arrays(optimizer, names)
            is_new = names != self._names or not self._are_the_same(arrays)
            if self._stay(arrays[-1]) and is_new and not is_plain() and len({array.dtype for column in arrays for array in column}) == 1:
                self._write_down(optimizer, names, arrays, scale, rates)
                return
        workers.map_grouped(lambda name: optimizer._update(name, named[name], scale, rates[name]), names, lambda name: named[name].data.size)

    @staticmethod
    def _all_arrays(optimizer, names):
        """Return lists of the parameters' data, of what is in each slot, and, the last one, of gradients."""
        named = [optimizer.named[name] for name in names]
        slots = [[slot[name] for name in names] for slot in optimizer.state.values()]
        return [[parameter.data for parameter in named], *slots, [parameter.grad_now for parameter in named]]

    def _are_the_same(self, arrays):
        return len(arrays) == len(self._arrays) and all(map(are_the_same, arrays, self._arrays))

    def _stay(self, gradients):
        """Return whether the gradients are in the same arrays as in the step before."""
        stay = are_the_same([each() for each in self._gradients], gradients)
        if not stay:
            self._gradients = [weakref.ref(gradient) for gradient in gradients]  # whose memory is free as soon as nobody else needs it
        return stay

    def _write_down(self, optimizer, names, arrays, scale, rates):
        """Make updates, and write down the calls, unless one has an array that does not stay."""
        self._names, self._arrays, self._again = names, arrays, None
        self._numbers = np.array(self._rows(optimizer, names, scale, rates), arrays[0][0].dtype)
        rows, known = dict(zip(names, self._numbers, strict=True)), [self._numbers, *(array for column in arrays for array in column)]

        def update(name):
            optimizer._loop(*optimizer._flat(name, optimizer.named[name])[0], rows[name])

        try:
            self._again = Again(update, names, lambda name: optimizer.named[name].data.size, known)
        except LookupError:
            pass

    @staticmethod
    def _rows(optimizer, names, scale, rates):
        """Return the numbers of each parameter's update; those with the same settings have the same."""
        made, rows = {}, []
        for name in names:
            key = rates[name], optimizer.decay_of(name), optimizer.updates(name)
            if key not in made:
                made[key] = optimizer._numbers(scale, *key)
            rows.append(made[key])
        return rows
