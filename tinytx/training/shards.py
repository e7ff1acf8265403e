"""Gradients of the shards of a batch, summed while backward is still running.

The sum over shards could wait until all of them are done; but then each shard holds gradients of the whole model, and
they are read once more when the caches have long forgotten them. Instead, a shard hands each contribution over as soon
as it has it, and keeps none. Sums of floating-point numbers depend on their order, so the order is fixed: whichever
shard comes first, the first contributions of all shards to a parameter are added in the order of the shards, then the
second ones (a tied weight has two), and so on. What comes too early waits.
"""

import threading

from tinytx.core import Parameter


class ShardParameter(Parameter):
    """A parameter of one shard's model: its gradient goes into the sum over the shards.

    Attributes
    ----------
    shard : int
    total : GradientSum, or None
    """

    __slots__ = ("shard", "total")

    def __init__(self, data, *, frozen=False):
        super().__init__(data, frozen=frozen)
        self.shard, self.total = 0, None

    def add_grad(self, dparameter, *, fresh=False):
        if not self.frozen:
            self.total.add(self.shard, lambda sum_: sum_.add_grad(dparameter, fresh=fresh))

    def add_into_grad(self, add):
        if not self.frozen:
            self.total.add(self.shard, lambda sum_: sum_.add_into_grad(add))


class GradientSum:
    """The sum of the shards' gradients of one parameter.

    Parameters
    ----------
    parameter : Parameter
        Gets the sum.
    shards : list of ShardParameter
        The same parameter in each shard's model.
    """

    def __init__(self, parameter, shards):
        self._parameter, self._shards = parameter, shards
        self._lock = threading.Lock()
        self._given = [0] * len(shards)  # contributions that each shard has made
        self._waiting = {}  # turn -> contribution
        self._turn = 0  # the next one to be added
        for number, shard in enumerate(shards):
            shard.zero_grad()
            shard.data = parameter.data  # again, since somebody may have assigned another array
            shard.shard, shard.total, shard.frozen = number, self, parameter.frozen

    def add(self, shard, contribution):
        """Call ``contribution(parameter)`` when its turn has come: in this thread, now or when an earlier one arrives."""
        with self._lock:
            self._waiting[self._given[shard] * len(self._shards) + shard] = contribution
            self._given[shard] += 1
            while self._turn in self._waiting:
                self._waiting.pop(self._turn)(self._parameter)
                self._turn += 1

    def close(self):
        """Add what still waits (a shard can have fewer contributions than another) and what was written into ``grad``."""
        for turn in sorted(self._waiting):
            self._waiting.pop(turn)(self._parameter)
        for shard in self._shards:
            if shard.has_grad:
                self._parameter.add_grad(shard.grad)
            shard.zero_grad()
            shard.total = None


def share_gradients(named, shards):
    """Let the parameters of the shards' models add to those in ``named``; return the sums, to be closed afterwards.

    Parameters
    ----------
    named : dict of str to Parameter
    shards : list of dict of str to ShardParameter
        One for each shard, with the same names.
    """
    if not shards:
        return []
    return [GradientSum(parameter, [shard[name] for shard in shards]) for name, parameter in named.items()]
