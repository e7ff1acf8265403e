"""Which tiles attention computes: the (T, S) weights of each head are cut into blocks that fit into a processor's cache.

`tinytx.ops.attention` computes one tile at a time and never has all weights in memory. This file says which batch rows,
heads, queries and keys make a tile, and which tiles one thread computes; results do not depend on it. A head has the
number of its group, which shares keys and values, and a number within the group.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple


class Tile(NamedTuple):
    """Some batch rows, one head of some groups, a block of queries, a block of keys."""

    batch: slice
    groups: slice
    head: int
    queries: slice
    keys: slice

    @property
    def q(self):
        """The tile's part of an array (B, G, H/G, T, ...)."""
        return self.batch, self.groups, self.head, self.queries

    @property
    def k(self):
        """The tile's part of an array (B, G, S, ...)."""
        return self.batch, self.groups, self.keys


class Row(NamedTuple):
    """The tiles of one block of queries: one for each block of keys that it may see, or a single empty one.

    ``begins`` says that backward may write the gradients of keys and values here, in place of adding to them: this row
    has all keys, and backward computes it before all other rows that have the same keys. If no row begins, backward
    adds to arrays of zeros.
    """

    tiles: list
    begins: bool


def lists_of_rows(shape, s, pattern, parts, sizes, batch_together=False):
    """Return lists of rows of tiles. No two lists write to the same memory, so that lists can run at the same time.

    A list has all queries of some groups of heads, in the order of the queries; backward takes them from the end.

    Parameters
    ----------
    shape : tuple (B, G, H/G, T)
    s : int
        S, the number of keys.
    pattern : Pattern
        Tiles in which no query may see a key are left out.
    parts : int
        Threads. Where the weights have more elements than a tile, the groups of each batch row are cut into a multiple
        of ``parts`` lists, so that the threads finish together; with fewer groups than that, each group is a list.
    sizes : tuple of int
        Queries in a tile, at least and at most (an eighth of the sequence or of the window, within these bounds); keys
        in a tile, at most; elements in a tile of several heads, at most.
    batch_together : bool
        Whether a list has all rows of the batch, because they add to the same gradient.

    Returns
    -------
    list of list of Row
    """
    make = _lists.__wrapped__ if pattern.per_row else _lists
    return make(shape, s, pattern, parts, sizes, batch_together)


@lru_cache(64)
def _lists(shape, s, pattern, parts, sizes, batch_together):
    (b, g, heads, t), (shortest, longest, most_keys, elements) = shape, sizes
    window = s if None in (pattern.left, pattern.right) else pattern.left + pattern.right + 1
    n_queries = min(longest, max(shortest, min(t, window) // 8))
    size = max(1, min(n_queries, t) * min(most_keys, s, window + n_queries))
    most = max(1, elements // size)  # groups that a tile has room for
    n = max(1, -(-g // most))
    if b * g * heads * t * min(s, window) > elements:
        n = min(g, -(-n // parts) * parts)
    batch = max(1, min(b, most // max(1, g))) if n == 1 else 1
    chunks = [slice(b0, min(b0 + batch, b)) for b0 in range(0, b, batch)]
    blocks = {chunk.start: _blocks(chunk, t, s, pattern, n_queries, most_keys) for chunk in chunks if t}
    whole = all(sum(part.stop - part.start for part in made[-1][1]) == s for made in blocks.values())

    def rows(chunk, groups):
        return [
            Row([Tile(chunk, groups, head, at, part) for part in keys], whole and (head, at.stop) == (heads - 1, t))
            for head in range(heads)
            for at, keys in blocks.get(chunk.start, ())
        ]

    groups = [slice(g0, g1) for g0, g1 in pairwise(g * i // n for i in range(n + 1))]
    if batch_together:
        return [[row for chunk in chunks for row in rows(chunk, part)] for part in groups]
    return [rows(chunk, part) for chunk in chunks for part in groups]


def _blocks(chunk, t, s, pattern, n_queries, most_keys):
    """Return [(queries, [keys, ...]), ...]: the blocks of queries, and what each may see, in slices."""
    blocks = []
    for t0 in range(0, t, n_queries):
        t1 = min(t0 + n_queries, t)
        spans = pattern.spans(chunk, t0 + s - t, t1 + s - t, s)
        keys = [slice(s0, min(s0 + most_keys, last)) for first, last in spans for s0 in range(first, last, most_keys)]
        blocks.append((slice(t0, t1), keys or [slice(0, 0)]))
    return blocks
