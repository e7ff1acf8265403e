"""The key-value cache of decoding."""

import numpy as np


class KeyValueCache:
    """Keys and values of the positions decoded so far, for every attention layer of a model.

    The key and value of a position depend on that position and earlier ones only, so a causal model computes them
    once. Arrays grow by doubling: a position costs its own copy, and not that of all before it.

    Parameters
    ----------
    capacity : int
        Positions to make room for at first.
    """

    def __init__(self, capacity=64):
        self._capacity = capacity
        self._stored = {}  # id of the layer -> [keys, values, length]

    @property
    def length(self):
        """Positions held."""
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

    @staticmethod
    def _grown(old, new, length, capacity):
        b, h, _, width = new.shape
        grown = np.empty((b, h, capacity, width), new.dtype)
        if old is not None:
            grown[:, :, :length] = old[:, :, :length]
        return grown
