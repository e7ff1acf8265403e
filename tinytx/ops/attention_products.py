"""The products of a tile of attention: `Columns` of keys to multiply by, and `product`, which heeds what is masked.

The derivation, whose letters are used here, is in `tinytx.ops.attention`.
"""

import math

import numpy as np

FEW = 32  # queries for which a transposed copy takes longer than it saves
PART = 64  # keys that are copied at a time: their rows stay in the fastest cache
QUIET = {"invalid": "ignore", "over": "ignore"}  # NaN may stand in masked positions


class Columns:
    """Keys, or values, transposed: by a small matrix whose rows are contiguous BLAS multiplies up to twice as fast.

    Copied are all keys of a tile's batch rows and groups, since their other tiles come next.

    Parameters
    ----------
    x : array (B, G, S, K)
    n_queries : int
        T; for few of them there is no copy.
    """

    def __init__(self, x, n_queries):
        self._x, self._copies, self._at, self._columns = x.swapaxes(2, 3), n_queries > FEW, None, None

    def of(self, tile):
        """Return the tile's part (batch, groups, K, keys)."""
        at = tile.batch, tile.groups
        if at != self._at:
            self._at, self._columns = at, self._x[at]
            if self._copies:
                self._columns = _copied(self._columns)
        return self._columns[..., tile.keys]


def _copied(columns):
    copy = np.empty(columns.shape, columns.dtype)
    for start in range(0, columns.shape[3], PART):
        part = slice(start, start + PART)
        copy[..., part] = columns[..., part]
    return copy


def are_finite(*arrays, than):
    """Return whether no array has NaN or infinity: seen from their sums, where each has no more elements than ``than``.

    Otherwise it is quicker to look at the products, and False is returned.
    """
    with np.errstate(**QUIET):
        return all(x.size <= than.size and math.isfinite(x.sum()) for x in arrays)


def product(p, x, is_finite, *, out, add=False):
    """Write p @ x into ``out``, or add it; where p is 0 it leaves out what it multiplies, even NaN or infinity.

    Parameters
    ----------
    p : array (..., T, S)
    x : array (..., S, K)
    is_finite : bool
        Whether x is known to have neither.
    out : array (..., T, K)
    add : bool
    """
    y = np.matmul(p, x, out=None if add else out)
    if not is_finite and not math.isfinite(y.sum()):
        finite = np.isfinite(x)
        touched = np.matmul(p != 0, ~finite)
        y[...] = np.where(touched, y, p @ np.where(finite, x, x.dtype.type(0)))
    if add:
        out += y
