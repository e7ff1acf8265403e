"""The key-value cache of decoding."""

import numpy as np

from tinytx.arguments import INT64, check_whole
from tinytx.shapes import check_ids


class KeyValueCache:
    """Keys and values of the positions decoded so far, for every attention layer of a model.

    The key and value of a position depend on that position and earlier ones only, so a causal model computes them
    once. Arrays grow by doubling: a position costs its own copy, and not that of all before it. Keys and values of a
    memory, which cross-attention reads, are the same at every position, and are computed at the first.

    Parameters
    ----------
    capacity : int
        Positions to make room for at first.
    """

    def __init__(self, capacity=64):
        self._capacity = check_whole("KeyValueCache", "capacity", capacity, 1, INT64[1])
        self._stored = {}  # id of the layer -> [keys, values, length]
        self._memories = {}  # id of the layer -> (keys, values)

    @property
    def length(self):
        """Positions held; those of a memory do not count."""
        return max((length for _, _, length in self._stored.values()), default=0)

    def extend(self, layer, k, v):
        """Add keys and values (B, H, T, K) of new positions; return those of all positions (B, H, S, K), as views."""
        keys, values, length = self._stored.get(id(layer), (None, None, 0))
        stop = length + k.shape[2]
        if keys is None or stop > keys.shape[2]:
            capacity = max(self._capacity, 2 * stop)
            keys, values = (self._grown(old, new, length, capacity) for old, new in ((keys, k), (values, v)))
        keys[:, :, length:stop] = k
        values[:, :, length:stop] = v
        self._stored[id(layer)] = [keys, values, stop]
        return keys[:, :, :stop], values[:, :, :stop]

    def memory(self, layer, make):
        """Return keys and values (B, H, S, K) of the memory that a layer reads: of ``make()`` the first time."""
        if id(layer) not in self._memories:
            self._memories[id(layer)] = make()
        return self._memories[id(layer)]

    def select(self, rows):
        """Keep these rows of the batch, in this order: what a search does with the hypotheses that it follows.

        Memory and mask, which are handed in at each call, need the same selection.

        Parameters
        ----------
        rows : integers (B',), each in 0..B-1, or booleans (B,)
            A row may occur several times, or not at all.

        Raises
        ------
        TypeError, ValueError
            If ``rows`` are no such array; then nothing is changed.
        """
        held = [*self._stored.values(), *self._memories.values()]
        if not held:
            return
        size = len(held[0][0])
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype == bool and len(rows) != size:
            raise ValueError(f"KeyValueCache: rows have shape {rows.shape}, expected one axis; the cache holds {size}")
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        rows = check_ids("KeyValueCache", rows, size, what="row")
        for layer, (keys, values, length) in self._stored.items():
            self._stored[layer] = [keys[rows], values[rows], length]
        for layer, (keys, values) in self._memories.items():
            self._memories[layer] = keys[rows], values[rows]

    @staticmethod
    def _grown(old, new, length, capacity):
        b, h, _, width = new.shape
        grown = np.empty((b, h, capacity, width), new.dtype)
        if old is not None:
            grown[:, :, :length] = old[:, :, :length]
        return grown
