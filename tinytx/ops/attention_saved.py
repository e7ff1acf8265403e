"""What attention keeps for its backward, checked, and the part of it that belongs to one tile.

The derivation, whose letters and numbers are used here, is in `tinytx.ops.attention`.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.arguments import check_flag, check_number, check_probability
from tinytx.kernel import kernel
from tinytx.ops import attention_tiles
from tinytx.ops.attention_patterns import Pattern
from tinytx.ops.attention_tiles import BATCH, HEAD, KEY, KEY_STOP, QUERY, QUERY_STOP, lists_of_tiles
from tinytx.ops.dropout import check_mask_key, threshold
from tinytx.recording import empty, empty_like
from tinytx.shapes import check_axes, check_broadcast, check_float, check_mask, check_shape

MASK = 1 << 20  # scores whose mask is made at once, at most, where a pattern is more than a band
LARGE = 1 << 26  # multiplications of Q K^T, of which CAUSAL leaves out half; larger ones use several threads
SHARED = 1 << 20  # multiplications from which on a thread that is awake takes a part
LISTS = 4  # lists of tiles for each thread, so that threads finish together
FEW = 16  # queries for which columns take longer than they save
NO_MASK, NO_BIAS = np.empty((0, 0, 0, 0), bool), {char: np.empty((0, 0, 0, 0), char) for char in "fd"}


class Saved(NamedTuple):
    """Arrays that exist anyway, two numbers for each query and head, and the settings."""

    q: np.ndarray  # (B, H, T, K)
    k: np.ndarray  # (B, G, S, K)
    v: np.ndarray  # (B, G, S, W)
    y: np.ndarray  # (B, H, T, W)
    largest: np.ndarray  # (B, H, T), m / c in (10); m with a bias
    inverse: np.ndarray  # (B, H, T), 1 / Z
    bias: np.ndarray | None
    mask: np.ndarray | None
    pattern: Pattern
    scale: float  # c
    dropout: tuple  # p, key, first row
    log_sum_exp: bool  # whether dy comes with dL

    @property
    def kernel_scale(self):
        """What the kernels multiply scores by: c, or 1 with a bias, which is added to scores that have c already."""
        return self.q.dtype.type(self.scale if self.bias is None else 1)

    @property
    def is_large(self):
        """Whether there is so much to do that threads are woken for it."""
        return self.q.size * self.k.shape[2] >= LARGE

    def lists(self):
        """Return lists of tiles, for `tinytx.workers.map`: one if there is little to do."""
        (b, h, t, _), (g, s) = self.q.shape, self.k.shape[1:3]
        n = LISTS * workers.count() if self.is_large else workers.awake.parts() if self.q.size * s >= SHARED else 1
        return lists_of_tiles((b, h, g, t), s, self.pattern, n, self.bias is not None and len(self.bias) < b)

    def parts(self, tiles):
        """Yield (tiles, mask, place): all tiles of a list, or one after the other if a mask has to be made that would be large.

        ``mask`` broadcasts to some scores of the batch, and ``place`` is the first one's row of the batch, head, query and key.
        """
        (b, h, t, _), s, mask = self.q.shape, self.k.shape[2], self.mask
        rows, heads = (1, 1) if mask is None else mask.shape[:2]
        is_made = self.pattern.mask(*[slice(0, 0)] * 3) is not None or mask is not None and mask.shape[3] < s
        if not is_made or t * s * heads * (b if self.pattern.per_row else rows) <= MASK:
            yield tiles, self._mask(*(slice(0, n) for n in (b, h, t, s))), (0, 0, 0, 0)
            return
        for i in range(len(tiles)):
            row, head, t0, t1, s0, s1 = tiles[i, [BATCH, HEAD, QUERY, QUERY_STOP, KEY, KEY_STOP]].tolist()
            mask = self._mask(slice(row, row + 1), slice(head, head + 1), slice(t0, t1), slice(s0, s1))
            yield tiles[i : i + 1], mask, (row, head, t0, s0)

    def _mask(self, *at):
        """Return which of the scores at four slices count, beside the pattern's band; `NO_MASK` if all do."""
        (rows, _, queries, keys), before = at, self.k.shape[2] - self.q.shape[2]
        mask = self.pattern.mask(rows, slice(queries.start + before, queries.stop + before), keys)
        if mask is not None:
            mask = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)[:, None]  # the same for all heads
        if self.mask is not None:
            own = self.mask[tuple(part if n > 1 else slice(None) for part, n in zip(at, self.mask.shape, strict=True))]
            mask = own if mask is None else own & mask
        return NO_MASK if mask is None else broadcast(mask, [part.stop - part.start for part in at])

    @property
    def rooms(self):
        """The shapes of columns of keys and of values, which are not made for few queries, and of a tile."""
        (n_queries, width), (n_keys, n_values) = self.q.shape[2:], self.v.shape[2:]
        n = n_keys if n_queries > FEW else 0
        return (width, n), (n_values, n), (min(n_queries, attention_tiles.LONG_BLOCK), min(n_keys, attention_tiles.KEYS))

    def sums(self):
        """Return L (B, H, T) of (12): m + ln Z."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.inverse != 0, self.kernel_scale * self.largest - np.log(self.inverse), -np.inf)

    def drawn(self):
        """Return what the loops draw dropout from: key, bit, 1 / (1 - p) and the whole batch's first row; without dropout bit is 0."""
        p, key, first_row = self.dropout
        if key is None:
            return np.uint64(0), np.uint32(0), self.q.dtype.type(1), np.int64(0)
        return np.uint64(key), threshold(p), self.q.dtype.type(1 / (1 - p)), np.int64(first_row)


@kernel
def _forget(copied):
    copied[:] = -1


def walk(loop, saved, outputs, inputs, rooms, backwards=False):
    """Call a loop for all tiles of each list; lists are shared out among `tinytx.workers`, or among threads that are awake.

    Parameters
    ----------
    loop : kernel (*outputs, *rooms, copied, words, edges, tiles, *inputs, bias, mask, place, c, key, bit, keep_scale, first_row)
        A list of tiles is from one of ``edges`` to the next. ``copied`` are integers that it keeps from call to call of a list, -1 at first.
        ``words`` are those of `tinytx.kernel.share`.
    saved : Saved
    outputs, inputs : sequences of arrays
    rooms : sequence of tuples
        Shapes of arrays for what the loop computes in between: each list has its own, along a first axis.
    backwards : bool
        Whether tiles are taken from a list's end, by the loop too.
    """
    dtype = saved.q.dtype
    written, inputs = [in_lines(x) for x in outputs], [in_lines(x) for x in inputs]
    bias = NO_BIAS[dtype.char] if saved.bias is None else broadcast(saved.bias, (*saved.q.shape[:3], saved.k.shape[2]))
    settings = dtype.type(saved.scale), *saved.drawn()

    def compute(lists):
        """Call the loop for lists, each with arrays of its own."""
        n, words, tiles = len(lists), workers.awake.words(len(lists) > 1), lists[0] if len(lists) == 1 else np.concatenate(lists)
        edges = np.cumsum([0, *map(len, lists)])
        room, copied = [empty((n, *shape), dtype) for shape in rooms], empty((n, 5), np.int64)
        _forget(copied)
        for some, mask, place in saved.parts(tiles[::-1] if backwards else tiles):
            edges = edges if len(some) == len(tiles) else np.array([0, len(some)])
            loop(*written, *room, copied, words, edges, some[::-1] if backwards else some, *inputs, bias, mask, place, *settings)

    lists = saved.lists()
    if saved.is_large:
        workers.map(lambda tiles: compute([tiles]), lists)
    elif lists:
        compute(lists)
    for x, y in zip(outputs, written, strict=True):
        if y is not x:
            x[...] = y


def in_lines(x):
    """Return x, or a copy of it, whose rows' numbers lie beside each other."""
    return x if x.shape[-1] < 2 or x.strides[-1] == x.itemsize else np.ascontiguousarray(x)


def broadcast(x, shape):
    """Return x, broadcast to a shape; numbers of a row lie beside each other."""
    x = x[tuple(slice(None) if stride else slice(1) for stride in x.strides)]
    return np.broadcast_to(in_lines(np.broadcast_to(x, (*x.shape[:-1], shape[-1]))), shape)


def checked(place, q, k, v, bias, mask, pattern, scale, dropout, log_sum_exp):
    """Return the `Saved` of arguments as `tinytx.ops.attention` takes them, with room for its results.

    ``place`` is how messages call the operation.
    """
    check_float(place, q=q, k=k, v=v, **({} if bias is None else {"bias": bias}))
    p, key, first_row = dropout
    p = check_probability(place, "dropout", p)
    if q.ndim != 4 or k.ndim != 4 or k.shape[0] != q.shape[0] or k.shape[3] != q.shape[3]:
        raise ValueError(f"{place}: q {q.shape} and k {k.shape} do not fit: expected (B, H, T, K) and (B, G, S, K)")
    if q.shape[1] % k.shape[1] if k.shape[1] else q.shape[1]:
        raise ValueError(f"{place}: k {k.shape} has {k.shape[1]} heads, which do not divide the {q.shape[1]} of q {q.shape}")
    check_shape(place, "v", v, (*k.shape[:3], *v.shape[3:4]), "k of shape", k.shape)
    whole = (*q.shape[:3], k.shape[2])
    if bias is not None:
        check_axes(place, "bias", bias, "(B, H, T, S)")
        check_broadcast(place, "bias", bias, whole)
    if mask is not None:
        mask = check_mask(place, mask, whole)
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
        mask = mask[tuple(slice(None) if stride else slice(1) for stride in mask.strides)]
    if not isinstance(pattern, Pattern):
        raise TypeError(f"{place}: pattern is {pattern!r:.60}, expected a Pattern: tinytx.ops.attention_patterns")
    pattern.check(q.shape[0], q.shape[2], k.shape[2])
    if scale is None:
        scale = 1 / math.sqrt(q.shape[3]) if q.shape[3] else 1.0  # a sum without terms: every score is 0
    else:
        scale = check_number(place, "scale", scale, "a number from 1e-30 to 1e30", lambda c: 1e-30 <= c <= 1e30)
    key, first_row = check_mask_key(place, key, first_row) if p and key is not None else (None, 0)
    largest, inverse = empty(q.shape[:3], q.dtype), empty(q.shape[:3], q.dtype)
    y = empty_like(q, shape=(*q.shape[:3], v.shape[3]))
    log_sum_exp = check_flag(place, "log_sum_exp", log_sum_exp)
    return Saved(q, k, v, y, largest, inverse, bias, mask, pattern, scale, (p, key, first_row), log_sum_exp)
