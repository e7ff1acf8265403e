"""Sums over machines: what each rank's shards come to, added up over the ranks while backward is still running.

Of n ranks, each owns a part of every array. A rank sends the other owners their parts, adds up what it gets, in the order
of ranks and in pairs (`PairwiseSum`), and sends its part of the sum to all others: (n - 1) / n of the array is sent twice,
which is the least that any way needs. Where MPI's own all-reduce adds in an order of its choice, which depends on size and
machine, this sum has the same bits everywhere.

All ranks must send the same arrays, and only backward says which there are. So a step sends those of the step before, each
as soon as it is there; at the end, ranks tell each other where they had others, and these follow. Small arrays travel
together. Rows of a large table (`tinytx.training.shards`) are not added up, but sent to all ranks as they are.
"""

import threading
import time
from functools import partial

import numpy as np

from tinytx import ops
from tinytx.training.shards import ROWS, Key, PairwiseSum
from tinytx.workers.messages import packed, unpacked

LEAST = 2**16  # bytes that an array has for each rank to travel alone
PAUSE = 2e-4  # seconds between looks at what is under way
TAGS = 2**14


class Exchange:
    """Adds up arrays over the ranks.

    Parameters
    ----------
    ranks : Ranks
    named : dict of str to Parameter
        All ranks have the same.

    Attributes
    ----------
    waited : float
        Seconds for which the last sum was waited for at its end.
    """

    def __init__(self, ranks, named):
        self._ranks, self._named = ranks, named
        self._keys, self._groups, self.waited = [], [], 0.0
        self._change = threading.Condition()

    def begin(self):
        """Begin to send what is offered from now on."""
        self._offered, self._order, self._sums = {}, [], {}
        self._is_whole, self._ends, self._error = False, False, None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def offer(self, key, value):
        """Give this rank's part of a sum, which may be written to afterwards: an array, or a list of rows; from any thread."""
        with self._change:
            self._offered[key] = value
            self._order.append(key)
            self._change.notify()

    def finish(self):
        """Return the sums after the last offer: {name: {(round, kind): array or list of rows}}."""
        began = time.perf_counter()
        with self._change:
            self._is_whole = True
            self._change.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error
        orders = self._ranks.gather(None if set(self._order) == set(self._keys) else self._order)
        if any(order is not None for order in orders):
            keys = list(dict.fromkeys(Key(*key) for order in self._ranks.gather(self._order) for key in order))
            known = set(self._keys)
            self._send(self._grouped([key for key in keys if key not in known]))
            self._keys, self._groups = keys, self._grouped(keys)
        sums = {}
        for key, value in self._sums.items():
            sums.setdefault(key.name, {})[key.round, key.kind] = value
        self.waited = time.perf_counter() - began
        return sums

    def abandon(self):
        """Send no more, after an error of this rank: the others wait until it ends them."""
        with self._change:
            self._ends = True
            self._change.notify()

    def _work(self):
        try:
            self._send(self._groups)
        except BaseException as error:
            self._error = error

    def _send(self, groups):
        """Send groups of arrays in their order, each when this rank's part of it is there, or known to be missing."""
        left, under_way = list(enumerate(groups))[::-1], []
        while (left or under_way) and not self._ends:
            with self._change:
                while left and (self._is_whole or all(key in self._offered for key in left[-1][1])):
                    under_way.append(self._transfer(*left.pop()))
                if not under_way:
                    self._change.wait()
                    continue
            done = [transfer for transfer in under_way if next(transfer, transfer) is transfer]
            if done:
                under_way = [transfer for transfer in under_way if transfer not in done]
            elif not self._is_whole:
                time.sleep(PAUSE)
            else:
                time.sleep(PAUSE / 10)

    def _transfer(self, number, keys):
        """Add up a group over the ranks; yield while that goes on."""
        tag = 2 * (number % TAGS)
        if keys[0].kind == ROWS:
            (key,) = keys
            own = [(add.func.__name__, add.args) for add in self._offered.get(key, [])]
            texts = yield from self._all(tag, packed(own))
            self._sums[key] = [partial(getattr(ops, name), *arguments) for text in texts for name, arguments in unpacked(text)]
            return
        arrays = [self._offered.get(key) for key in keys]
        arrays = [np.zeros_like(self._named[key.name].data) if a is None else a for key, a in zip(keys, arrays)]
        flat = np.concatenate([a.reshape(-1) for a in arrays]) if len(arrays) > 1 else arrays[0].reshape(-1)
        yield from self._add_up(tag, flat)
        start = 0
        for key, array in zip(keys, arrays):
            self._sums[key] = flat[start : start + array.size].reshape(array.shape)
            start += array.size

    def _add_up(self, tag, flat):
        """Replace an array by its sum over the ranks."""
        n, rank = self._ranks.size, self._ranks.rank
        edges = [flat.size * i // n for i in range(n + 1)]
        parts = [flat[start:stop] for start, stop in zip(edges, edges[1:])]
        own = parts[rank]
        theirs = np.empty((n, own.size), flat.dtype)
        yield from _until(self._ranks.exchange(tag, parts, theirs))
        total = PairwiseSum(n)
        for i in range(n):
            total.add(i, own if i == rank else theirs[i], fresh=True)
        if total.total[0] is not own:
            own[...] = total.total[0]
        yield from _until(self._ranks.exchange(tag + 1, [own] * n, parts))

    def _all(self, tag, text):
        """Return the bytes that each rank gives."""
        n = self._ranks.size
        sizes = np.full(n, len(text), np.int64)
        yield from _until(self._ranks.exchange(tag, [sizes[:1].copy()] * n, [sizes[i : i + 1] for i in range(n)]))
        sizes[self._ranks.rank] = len(text)
        texts = [np.empty(size, np.uint8) for size in sizes]
        texts[self._ranks.rank][:] = np.frombuffer(text, np.uint8)
        yield from _until(self._ranks.exchange(tag + 1, [texts[self._ranks.rank]] * n, texts))
        return texts

    def _grouped(self, keys):
        """Return lists of keys that travel together."""
        groups, small, size, dtype = [], [], 0, None
        for key in keys:
            data = self._named[key.name].data
            if key.kind == ROWS or data.nbytes >= LEAST * self._ranks.size:
                groups.append([key])
                continue
            if small and dtype != data.dtype:
                groups.append(small)
                small, size = [], 0
            small, size, dtype = [*small, key], size + data.nbytes, data.dtype
            if size >= LEAST * self._ranks.size:
                groups.append(small)
                small, size = [], 0
        return groups + ([small] if small else [])


def _until(is_done):
    while not is_done():
        yield
