"""Gradients of the shards of a batch, summed while backward is still running.

The sum over shards could wait until all of them are done; but then each shard holds gradients of the whole model, and
they are read once more when the caches have long forgotten them. Instead, a shard hands each contribution over as soon
as it has it, and keeps none. Sums of floating-point numbers depend on their order, so the order is fixed, whichever shard
comes first. The first contributions of all shards to a parameter are one round, the second ones (a tied weight has two)
the next; of each round

    sum  =  ((c0 + c1) + (c2 + c3)) + ...               in pairs, pairs of pairs, ...   (1)
    grad  =  (grad + sum) + the rows of shard 0, 1, ...                                 (2)

where rows are contributions that add to few rows of a large table. Where a gradient is a large product of few rows, a shard hands over its factors, and
the products of all shards are made at the end (``products.py``). Pairs come ready-made where several machines work on a
batch: with 1, 2, 4, ... threads on each, (1) is the same sum however many machines share the shards out.
"""

import threading
from functools import partial
from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.core import Parameter
from tinytx.recording import afterwards, thread
from tinytx.training.arithmetic import plus, zeros_like
from tinytx.training.products import are_worth_it, is_unmade, made, make

DENSE, ROWS = "dense", "rows"  # kinds of what one round comes to
WRITTEN = 2**31  # the last round: what was written into ``grad`` itself


class Key(NamedTuple):
    """Which sum: of which parameter, of which round, and of which kind."""

    name: str
    round: int
    kind: str


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
            afterwards(self._add, self.checked(dparameter), fresh and thread.recording is None)

    def checked(self, dparameter):
        if is_unmade(dparameter) and (dparameter.shape, dparameter.dtype) == (self.data.shape, self.data.dtype):
            return dparameter  # to be made later
        return super().checked(dparameter)

    def takes_unmade(self, dy):
        return self.total is not None and self.total.takes_unmade(dy)

    def add_into_grad(self, add):
        if not self.frozen:
            afterwards(self._add_rows, add)

    def _add(self, dparameter, fresh):
        self.total.add(self.shard, dparameter, fresh=fresh)

    def _add_rows(self, add):
        self.total.add_rows(self.shard, add)


class PairwiseSum:
    """The sum (1) of n arrays that come in any order; some may be missing.

    Attributes
    ----------
    total : (array, whether it may be written to), or None
        The sum, None if all are missing.
    is_whole : bool
        Whether all have come.

    Examples
    --------
    >>> total = PairwiseSum(3)
    >>> for number in (2, 0, 1):
    ...     total.add(number, np.array([10.0**number]))
    >>> total.is_whole, total.total[0]
    (True, array([111.]))
    """

    def __init__(self, n):
        self._n, self._waiting, self.total, self.is_whole = n, {}, None, False

    def add(self, number, array, *, fresh=False):
        """Add the array with a number in 0..n-1; None: it is missing. With ``fresh`` it may be written to."""
        level, width, value = 0, self._n, None if array is None else (array, fresh)
        while width > 1:
            if number ^ 1 < width:
                other = (level, number ^ 1)
                if other not in self._waiting:
                    self._waiting[level, number] = value
                    return
                value = _sum(value, self._waiting.pop(other))
            level, number, width = level + 1, number // 2, (width + 1) // 2
        self.total, self.is_whole = value, True


def _sum(one, two):
    """Return the sum of two arrays, each with whether it may be written to; a + b and b + a have the same bits."""
    if one is None or two is None:
        return one or two
    (a, a_fresh), (b, b_fresh) = one, two
    if is_unmade(a) and is_unmade(b):
        return (a, b), True
    a, b = made(a), made(b)
    return plus(a, b, a if a_fresh else b if b_fresh else None), True


class _Round:
    """The contributions of one round."""

    def __init__(self, size, absent):
        self.dense, self.rows, self._left = PairwiseSum(size), {}, set(range(size))
        for shard in absent:
            self.add(shard, None)

    def add(self, shard, dense, fresh=False, rows=None):
        self._left.discard(shard)
        self.dense.add(shard, dense, fresh=fresh)
        if rows is not None:
            self.rows[shard] = rows

    def close(self):
        for shard in sorted(self._left):
            self.add(shard, None)

    @property
    def is_whole(self):
        return self.dense.is_whole


class GradientSum:
    """The sum of the shards' gradients of one parameter.

    Parameters
    ----------
    name : str
    parameter : Parameter
        Gets the sum.
    shards : dict of int to ShardParameter
        The same parameter in each shard's model, by the shard's number.
    size : int
        One more than the largest number that a shard may have here.
    n_shards : int
        Of the whole batch, on all machines.
    offer : function (Key, array or list), optional
        Takes what each round comes to here, to add it up over machines; `take` gets the sums. Without it the sums are the
        shards', and go into the parameter at once, or, from a product on that is made later, by `tinytx.training.products.make`.
    hands_over : bool
        Whether there may be such products: nobody writes to what a layer was given, or returned, before the shards have ended.

    Attributes
    ----------
    waiting : list
        What still has to be added to the parameter: products, arrays, and lists of functions that add rows.
    """

    def __init__(self, name, parameter, shards, size, n_shards, offer=None, hands_over=False):
        self.name, self.parameter, self._shards, self._size = name, parameter, shards, size
        self._n_shards, self._offer, self._hands_over, self._lock = n_shards, offer, hands_over, threading.Lock()
        self._absent = [number for number in range(size) if number not in shards]
        self._given = dict.fromkeys(shards, 0)  # contributions that each shard has made
        self._rounds, self._next, self.waiting = [], 0, []
        for number, shard in shards.items():
            shard.zero_grad()
            shard.data = parameter.data  # again, since somebody may have assigned another array
            shard.shard, shard.total, shard.frozen = number, self, parameter.frozen

    def add(self, shard, dense, *, fresh=False, rows=None):
        """Add a shard's next contribution to its round; what is whole now goes on, in this thread."""
        with self._lock:
            number = self._given[shard]
            self._given[shard] += 1
            if number == len(self._rounds):
                self._rounds.append(_Round(self._size, self._absent))
            self._rounds[number].add(shard, dense, fresh, rows)
            self._go_on()

    def add_rows(self, shard, add):
        """Add a contribution that ``add(grad)`` adds: as rows, if these are shorter than the parameter, over all shards, or there is one shard."""
        if self._n_shards == 1 or _can_be_sent(add) and _size(add.args) * self._n_shards < self.parameter.data.size:
            self.add(shard, None, rows=add)
        else:
            dense = zeros_like(self.parameter.data)
            add(dense)
            self.add(shard, dense, fresh=True)

    def close(self):
        """Add what still waits (a shard can have fewer contributions than another) and what was written into ``grad``."""
        for each in self._rounds[self._next :]:
            each.close()
        self._go_on()
        if any(shard.has_grad for shard in self._shards.values()):
            last = _Round(self._size, self._absent)
            for number, shard in self._shards.items():
                last.add(number, self.parameter.checked(shard.grad) if shard.has_grad else None)
            self._hand_on(WRITTEN, last)
        for shard in self._shards.values():
            shard.zero_grad()
            shard.total = None

    def take(self, sums):
        """Add sums over all machines, as ``offer`` got their parts: a dict from (round, kind) to an array or a list."""
        for number, kind in sorted(sums):
            value = sums[number, kind]
            self._take(kind, value if kind == ROWS else (value, True))

    def _go_on(self):
        while self._next < len(self._rounds) and self._rounds[self._next].is_whole:
            self._hand_on(self._next, self._rounds[self._next])
            self._rounds[self._next] = None
            self._next += 1

    def _hand_on(self, number, whole):
        rows = [whole.rows[shard] for shard in sorted(whole.rows)]
        if self._offer is None:
            self._take(DENSE, whole.dense.total)
            self._take(ROWS, rows)
        else:
            if whole.dense.total is not None:
                array, fresh = whole.dense.total
                self._offer(Key(self.name, number, DENSE), array if fresh and array.flags.c_contiguous else np.array(array, order="C"))
            if rows:
                self._offer(Key(self.name, number, ROWS), rows)

    @property
    def next_product(self):
        """What waits first, if that is a product, else None."""
        kind, value = self.waiting[0]
        return value[0] if kind == DENSE and is_unmade(value[0]) else None

    def go_on(self, array):
        """Add what waits first; ``array`` is what it comes to, if it is a product."""
        kind, value = self.waiting.pop(0)
        self._add(kind, value if array is None else (array, True))

    def takes_unmade(self, dy):
        """Return whether a shard may hand over a product that is made later, where the gradient of the linear map is ``dy``."""
        return self._hands_over and self._offer is None and len(self._shards) > 1 and are_worth_it(dy, self.parameter.data.shape)

    def _take(self, kind, value):
        if value and (self.waiting or kind == DENSE and is_unmade(value[0])):
            self.waiting.append((kind, value))
        else:
            self._add(kind, value)

    def _add(self, kind, value):
        if kind == ROWS:
            for add in value:
                self.parameter.add_into_grad(add)
        elif value is not None:
            array, fresh = value
            self.parameter.add_grad(array, fresh=fresh)


def share_gradients(named, shards, *, size=None, n_shards=None, offer=None, hands_over=False):
    """Let the parameters of the shards' models add to those in ``named``; return the sums, to be closed afterwards.

    Parameters
    ----------
    named : dict of str to Parameter
    shards : list of dict of str to ShardParameter, or dict of int to such dicts
        One for each shard, with the same names; by the shards' numbers where these have gaps.
    size, n_shards, offer, hands_over
        As for `GradientSum`; without them these are all shards of the batch.
    """
    shards = dict(enumerate(shards)) if isinstance(shards, list) else shards
    if not shards:
        return []
    size = size or 1 + max(shards)
    return [
        GradientSum(name, parameter, {n: shard[name] for n, shard in shards.items()}, size, n_shards or size, offer, hands_over)
        for name, parameter in named.items()
    ]


def close(totals):
    """Close all sums, after the last shard has ended, and make the products that wait in them."""
    for total in totals:
        total.close()
    make(totals)


def _can_be_sent(add):
    """Return whether a function is an operation with its arguments, so that its name says to another machine what to do."""
    return isinstance(add, partial) and not add.keywords and getattr(ops, add.func.__name__, None) is add.func


def _size(arguments):
    """Return the number of elements in all arrays among arguments."""
    return sum(argument.size for argument in arguments if isinstance(argument, np.ndarray))
