"""Which tiles attention computes: the (T, S) weights of each head are cut into blocks that fit into a processor's cache.

`tinytx.ops.attention` computes one tile at a time and never has all weights in memory. This file says which queries and keys of
which head make a tile, in which order tiles are computed, and which of them one thread computes; results do not depend on the threads.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

BLOCK, LONG_BLOCK = 32, 256  # queries in a tile: a sixteenth of the sequence or of the window, within these bounds
KEYS = 512  # keys in a tile, at most

# The numbers of a tile, a row of a list of tiles.
BATCH, GROUP, HEAD = 0, 1, 2  # a row of the batch; of H / G heads that share keys; one of H heads
QUERY, QUERY_STOP, KEY, KEY_STOP = 3, 4, 5, 6
LEFT, RIGHT = 7, 8  # query t of the tile sees the tile's keys from LEFT + t to RIGHT + t, as far as there are such
OPENS, CLOSES = 9, 10  # whether it is the first and the last tile of its queries
BEGINS = 11  # whether backward writes the gradients of its keys and values here, in place of adding to them
NUMBERS = 12


def lists_of_tiles(shape, s, pattern, n=1, batch_together=False):
    """Return lists of tiles. No two lists write to the same memory, so that lists can run at the same time.

    Forward takes a list's tiles from its beginning, backward from its end. Tiles of the same queries follow each other; so do those
    of a group of heads, in the order of its queries. Backward may begin with a group's last queries, if these see all its keys.

    Parameters
    ----------
    shape : tuple (B, H, G, T)
    s : int
        S, the number of keys.
    pattern : Pattern
        Tiles in which no query may see a key are left out. Queries that see none have an empty tile.
    n : int
        How many lists, at most: a list has whole groups of heads.
    batch_together : bool
        Whether a list has all rows of the batch, because they add to the same gradient.

    Returns
    -------
    list of int64 array (N, NUMBERS)
    """
    make = _lists.__wrapped__ if pattern.per_row else _lists
    return make(shape, s, pattern, n, batch_together, (BLOCK, LONG_BLOCK, KEYS))


@lru_cache(64)
def _lists(shape, s, pattern, n, batch_together, sizes):
    (b, h, g, t), (shortest, longest, most_keys) = shape, sizes
    window = s if None in (pattern.left, pattern.right) else pattern.left + pattern.right + 1
    n_queries = min(longest, max(shortest, min(t, window) // 16))
    rows = [slice(row, row + 1) for row in range(b)] if pattern.per_row else [slice(0, b)]
    made = [_tiles(at, g, h // max(1, g), _blocks(at, t, s, pattern, n_queries, most_keys)) for at in rows]
    units = [made[i][row, group] for i, at in enumerate(rows) for row in range(at.stop - at.start) for group in range(g)]
    if batch_together:
        units = [np.concatenate(units[group::g]) for group in range(g if units else 0)]
    n = min(len(units), n)
    return [np.concatenate(units[len(units) * i // n : len(units) * j // n]) for i, j in pairwise(range(n + 1))]


def _tiles(rows, g, heads, blocks):
    """Return the tiles of each of some batch rows and of each group, (b, G, N, NUMBERS)."""
    b = rows.stop - rows.start
    tiles = np.empty((b, g, heads, *blocks.shape), np.int64)
    tiles[...] = blocks
    tiles[..., BATCH] = np.arange(rows.start, rows.stop).reshape(b, 1, 1, 1)
    tiles[..., GROUP] = np.arange(g).reshape(g, 1, 1)
    tiles[..., HEAD] = np.arange(g * heads).reshape(g, heads, 1)
    tiles[:, :, :-1, :, BEGINS] = 0
    return tiles.reshape(b, g, heads * len(blocks), NUMBERS)


def _blocks(rows, t, s, pattern, n_queries, most_keys):
    """Return the tiles of one head; the last queries' tiles begin."""
    tiles = [np.empty((0, NUMBERS), np.int64)]
    for t0 in range(0, t, n_queries):
        t1, place = min(t0 + n_queries, t), t0 + s - t
        spans = pattern.spans(rows, place, t1 + s - t, s)
        keys = [(s0, min(s0 + most_keys, last)) for first, last in spans for s0 in range(first, last, most_keys)] or [(0, 0)]
        row = np.zeros((len(keys), NUMBERS), np.int64)
        row[:, QUERY], row[:, QUERY_STOP] = t0, t1
        row[:, KEY : KEY_STOP + 1] = keys
        row[:, LEFT] = -t if pattern.left is None else place - row[:, KEY] - pattern.left
        row[:, RIGHT] = s if pattern.right is None else place - row[:, KEY] + pattern.right
        row[0, OPENS] = row[-1, CLOSES] = 1
        row[:, BEGINS] = t1 == t and sum(stop - start for start, stop in keys) == s
        tiles.append(row)
    return np.concatenate(tiles)
