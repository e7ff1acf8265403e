"""Which tiles attention computes: the (T, S) weights of every head, cut into blocks that a processor's cache can hold.

`tinytx.ops.attention` computes one tile at a time and never has all weights together. This file holds no arithmetic on
arrays: only which batch rows, heads, queries and keys make a tile, and which tiles one thread takes. Nothing here
changes a result.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple


class Tile(NamedTuple):
    """Some batch rows, some heads, a block of queries, a block of keys."""

    batch: slice
    heads: slice
    queries: slice
    keys: slice

    @property
    def q(self):
        """The tile's part of an array (B, H, T, ...)."""
        return self.batch, self.heads, self.queries

    @property
    def k(self):
        """The tile's part of an array (B, H, S, ...)."""
        return self.batch, self.heads, self.keys


@lru_cache(64)
def groups_of_tiles(shape, s, causal, parts, sizes):
    """Return the groups: each is a list of rows of tiles, and a row of tiles is one block of queries against all keys.

    A group has all queries of some heads, so that what one group writes, no other touches: groups can run in threads
    beside each other.

    Parameters
    ----------
    shape : tuple (B, H, T)
    s : int
        S, the number of keys.
    causal : bool
        Whether query t sees the keys up to S - T + t only: tiles in which no query sees a key are left out.
    parts : int
        Threads. Where the weights have more elements than a tile, each batch row's heads are cut into a multiple of
        ``parts`` groups, so that the threads end together; or into one group a head, if there are too few heads.
    sizes : tuple of int
        Queries in a tile, at least and at most (an eighth of the sequence, within these bounds); keys in a tile, at
        most; elements in a tile of several heads, at most.

    Returns
    -------
    list of list of list of Tile
    """
    (b, h, t), (shortest, longest, most_keys, elements) = shape, sizes
    n_queries = min(longest, max(shortest, t // 8))
    size = max(1, min(n_queries, t) * min(most_keys, s))
    most = max(1, elements // size)  # heads that a tile has room for
    n = max(1, -(-h // most))
    if b * h * t * s > elements:
        n = min(h, -(-n // parts) * parts)
    batch = max(1, min(b, most // max(1, h))) if n == 1 else 1
    rows = []
    for t0 in range(0, t, n_queries):
        t1 = min(t0 + n_queries, t)
        seen = max(0, min(s, t1 + s - t)) if causal else s
        starts = range(0, max(seen, 1), most_keys)
        rows.append((slice(t0, t1), [slice(s0, min(s0 + most_keys, seen)) for s0 in starts]))
    return [
        [[Tile(slice(b0, b0 + batch), slice(h0, h1), at, part) for part in keys] for at, keys in rows]
        for b0 in range(0, b, batch)
        for h0, h1 in pairwise(h * i // n for i in range(n + 1))
    ]
