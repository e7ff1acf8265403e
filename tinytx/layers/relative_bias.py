"""Biases of attention that depend only on the distance between query and key: learned (T5), or fixed (ALiBi)."""

from bisect import bisect_left

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes, check_whole
from tinytx.core import Layer, Parameter
from tinytx.layers.init import normal
from tinytx.shapes import check_dtype


def bucket_starts(n_buckets, max_distance):
    """Return the smallest distance of each bucket. The first buckets have one distance each; later ones are wider.

    The first e = n_buckets // 2 buckets have one distance each, 0 .. e - 1. The other e' = n_buckets - e buckets divide
    the distances from e to ``max_distance`` by equal ratios: bucket e + m begins at the first distance d with
    d/e >= (max_distance/e)^(m/e'). The last bucket also has all longer distances. Only whole numbers are compared, so
    that no logarithm is rounded.

    Parameters
    ----------
    n_buckets : int
    max_distance : int
        More than e.

    Returns
    -------
    integers (n_buckets,)

    Examples
    --------
    >>> bucket_starts(16, 128).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
    """
    exact = n_buckets // 2
    wide = n_buckets - exact
    starts = list(range(exact))
    for m in range(wide):
        least = exact**wide * max_distance**m
        distances = range(exact, max_distance)
        starts.append(exact + bisect_left(distances, least, key=lambda d: d**wide * exact**m))
    return np.array(starts)


class RelativePositionBias(Layer):
    """A learned bias for each head and each bucket of distances, added to attention's scores (Raffel et al. 2019,
    arXiv:1910.10683).

    bias_hts = weight[bucket(s - t), h]. All blocks of a stack use one such layer, so its gradient is a sum over them.

    Parameters
    ----------
    n_heads : int
    n_buckets : int
        At least 2. If ``two_sided``, an even number of at least 4: half of the buckets are for the query's own position
        and keys before it, the other half for keys after it.
    max_distance : int
        All distances from here on are in the last bucket. It is more than the number of buckets with one distance.
    two_sided : bool
        Whether keys after the query have their own buckets. If not, their distance counts as 0, for a causal stack.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    weight : Parameter (n_buckets, H)

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """

    def __init__(
        self, n_heads, *, n_buckets=32, max_distance=128, two_sided=True, rng, dtype=np.float32, init=normal(0.02)
    ):
        place = "RelativePositionBias"
        check_sizes(place, n_heads=n_heads, n_buckets=n_buckets, max_distance=max_distance)
        side = n_buckets // 2 if two_sided else n_buckets
        if side < 2 or two_sided and n_buckets % 2 or max_distance <= side // 2:
            raise ValueError(
                f"{place}: n_buckets is {n_buckets} and max_distance {max_distance}, expected at least 2 buckets for each "
                f"side, an even number for two sides, and a max_distance above {side // 2}, half of a side's buckets"
            )
        self.two_sided = two_sided
        self.starts = bucket_starts(side, max_distance)
        self.weight = Parameter(init(rng, (n_buckets, n_heads)).astype(check_dtype(place, dtype)))

    def buckets(self, queries, keys):
        """Return the bucket (T, S) of each pair of positions, queries (T,) and keys (S,)."""
        distance = np.asarray(queries)[:, None] - np.asarray(keys)  # > 0: the key comes before the query
        ahead = distance < 0
        distance = np.abs(distance) if self.two_sided else np.maximum(distance, 0)
        bucket = np.searchsorted(self.starts, distance, side="right") - 1
        return bucket + len(self.starts) * ahead if self.two_sided else bucket

    def forward(self, queries, keys, tape=None):
        """Positions (T,) and (S,) -> the bias (1, H, T, S)."""
        y, saved = ops.embedding(self.buckets(queries, keys), self.weight.data)  # (T, S, H)
        if tape is not None:
            tape.push(self, saved)
        return y.transpose(2, 0, 1)[None]

    def backward(self, dy, tape):
        """Return (None, None): positions have no gradient."""
        dy = dy[0].transpose(1, 2, 0)  # (T, S, H)
        self.weight.add_grad(ops.embedding_backward(dy, tape.pop(self)), fresh=True)
        return None, None


class Alibi(Layer):
    """A penalty that grows with the distance, added to attention's scores: `tinytx.ops.alibi`.

    It has no parameters. As with `RelativePositionBias`, all blocks of a stack use one: ``Stack(...,
    relative=Alibi(H))``.

    Parameters
    ----------
    n_heads : int
        H, at least 1.
    dtype : float32 or float64
    """

    def __init__(self, n_heads, *, dtype=np.float32):
        self.n_heads, self.dtype = check_whole("Alibi", "n_heads", n_heads), check_dtype("Alibi", dtype)

    def forward(self, queries, keys, tape=None):
        """Positions (T,) and (S,) -> the bias (1, H, T, S)."""
        return ops.alibi(queries, keys, self.n_heads, self.dtype)

    def backward(self, dy, tape):
        """Return (None, None): positions have no gradient, and there are no parameters."""
        return None, None
