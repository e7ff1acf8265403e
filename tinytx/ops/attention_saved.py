"""What attention keeps for its backward, checked, and the part of it that belongs to one tile.

The derivation, whose letters and numbers are used here, is in `tinytx.ops.attention`.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_flag, check_number, check_probability
from tinytx.ops.attention_patterns import Pattern
from tinytx.ops.dropout import check_mask_key, threshold
from tinytx.shapes import check_axes, check_broadcast, check_float, check_mask, check_shape

_NO_MASK, _NO_ROWS = np.empty((0, 0, 0), bool), np.empty(0, np.int64)


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

    def heads(self, x):
        """(B, H, ...) -> (B, G, H/G, ...), a view."""
        h, g = x.shape[1], self.k.shape[1]
        return x[:, :, None] if h == g else x.reshape(len(x), g, h // max(1, g), *x.shape[2:])

    def part(self, array, tile):
        """Return a tile's part of an array that broadcasts to (B, H, T, S)."""
        whole = np.broadcast_to(array, (*self.q.shape[:3], self.k.shape[2]))
        return self.heads(whole)[tile.q][..., tile.keys]

    def mask_of(self, tile):
        """Return which scores of a tile count, beside its pattern's band, or None if all do."""
        before = self.k.shape[2] - self.q.shape[2]
        places = slice(tile.queries.start + before, tile.queries.stop + before)
        rule = self.pattern.mask(tile.batch, places, tile.keys)
        mask = None if self.mask is None else self.part(self.mask, tile)
        if rule is None:
            return mask
        rule = rule[:, None] if rule.ndim == 3 else rule  # (b, 1, t, s): the same for all heads
        return rule if mask is None else mask & rule

    def rows_of(self, tile):
        """Return where each head of a tile begins among the B H T rows of the whole batch's weights."""
        (b, h, t, _), (_, _, first_row) = self.q.shape, self.dropout
        heads = (first_row + np.arange(b)[:, None]) * h + np.arange(h)
        return (self.heads(heads)[tile.q[:3]] * t + tile.queries.start).ravel()

    def kernel_arguments(self, tile, shape):
        """Return the arguments that both kernels share, for a tile of this shape (batch, groups, t, s)."""
        n_queries, n_keys, dtype = self.q.shape[2], self.k.shape[2], self.q.dtype.type
        p, key, _ = self.dropout
        mask = self.mask_of(tile)
        masked = mask is not None
        mask = flat(np.array(np.broadcast_to(mask, shape), order="C")) if masked else _NO_MASK
        left, right = self.pattern.left, self.pattern.right
        distance = tile.queries.start + n_keys - n_queries - tile.keys.start
        first = -n_queries if left is None else distance - left
        last = n_keys if right is None else distance + right
        drops = key is not None
        bit, keep_scale = (threshold(p), dtype(1 / (1 - p))) if drops else (np.uint32(0), dtype(1))
        rows_of = self.rows_of(tile) if drops else _NO_ROWS
        scale, key = self.kernel_scale, np.uint64(key or 0)
        return mask, masked, first, last, scale, key, bit, keep_scale, rows_of, tile.keys.start


def flat(tile):
    """Join the batch and head axes: (batch, heads, ...) -> (G, ...), a view of a contiguous array."""
    return np.ascontiguousarray(tile).reshape(tile.shape[0] * tile.shape[1], *tile.shape[2:])


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
    if not isinstance(pattern, Pattern):
        raise TypeError(f"{place}: pattern is {pattern!r:.60}, expected a Pattern: tinytx.ops.attention_patterns")
    pattern.check(q.shape[0], q.shape[2], k.shape[2])
    if scale is None:
        scale = 1 / math.sqrt(q.shape[3]) if q.shape[3] else 1.0  # a sum without terms: every score is 0
    else:
        scale = check_number(place, "scale", scale, "a number from 1e-30 to 1e30", lambda c: 1e-30 <= c <= 1e30)
    key, first_row = check_mask_key(place, key, first_row) if p and key is not None else (None, 0)
    largest, inverse = np.empty(q.shape[:3], q.dtype), np.empty(q.shape[:3], q.dtype)
    y = np.empty_like(q, shape=(*q.shape[:3], v.shape[3]))
    log_sum_exp = check_flag(place, "log_sum_exp", log_sum_exp)
    return Saved(q, k, v, y, largest, inverse, bias, mask, pattern, scale, (p, key, first_row), log_sum_exp)
