"""Patterns: which keys a query may see by their places, so that attention skips the tiles in which it sees none.

A mask is an array and costs (T, S) elements. A pattern is a rule: `tinytx.ops.attention` asks it which keys a block of
queries may see, and computes no other tile. Patterns combine: ``a & b`` allows what both allow, ``a | b`` what one of
them allows.

================================  ==============================================================================
full attention                    ``FULL``
GPT                               ``CAUSAL``
a window                          ``CAUSAL & Band(255, 0)``, or ``Band(64, 64)`` for 64 keys at each side and itself
Sparse Transformer, strided       ``CAUSAL & (Band(l - 1, 0) | Strided(l))``
Sparse Transformer, fixed         ``CAUSAL & (Blocks(l) | Ends(l, a))``
a prefix that all may read        ``CAUSAL | Prefix(n)``
several documents in a sequence   ``CAUSAL & Documents(ids)``
================================  ==============================================================================

Places are counted in the keys: key s stands at place s, and the T queries are the last T of the S places, so that query
t stands at place p = S - T + t. With as many queries as keys that is p = t. In decoding, where keys of earlier places
are in a cache, the last query stands at the last key.

Every pattern has a *band*: bounds ``left`` and ``right`` with -right <= p - s <= left for every pair that it allows. A
band is two numbers, which the loops read. What a band cannot express is a mask, which is made for one tile at a time.
"""

from dataclasses import dataclass

import numpy as np

from tinytx.arguments import ROWS, check_whole
from tinytx.shapes import check_integers


class Pattern:
    """What all patterns share; a subclass has a band, or overrides `spans` and `mask`, or both.

    Attributes
    ----------
    left, right : int or None
        How many places before and after its own a query may look at most; None is as many as there are.
    per_row : bool
        Whether the rows of a batch may see different keys.
    """

    left = right = None
    per_row = False

    def __and__(self, other):
        return _Both(self, other)

    def __or__(self, other):
        return _Either(self, other)

    def check(self, n_rows, n_queries, n_keys):
        """Raise ValueError unless the pattern fits a batch of so many rows, queries and keys."""

    def spans(self, rows, start, stop, n_keys):
        """Return the keys that some query at places ``start`` .. ``stop - 1`` may see.

        Parameters
        ----------
        rows : slice
            Rows of the batch.
        start, stop : int
            ``start`` may be below 0: a query before the first key.
        n_keys : int

        Returns
        -------
        list of (int, int)
            The first key and the one after the last of each span. Spans are in ascending order, do not touch, and are not
            empty. They may hold keys that no query may see.
        """
        first = 0 if self.left is None else max(0, start - self.left)
        last = n_keys if self.right is None else min(n_keys, stop + self.right)
        return [(first, last)] if first < last else []

    def mask(self, rows, places, keys):
        """Return what the band cannot express: booleans that broadcast to (b, t, s), or None if the band is the whole rule.

        Parameters
        ----------
        rows : slice
            Rows of the batch, b of them.
        places : slice
            The places of t queries.
        keys : slice
            s keys.
        """
        return None

    def allowed(self, rows, places, keys):
        """Return whether each query may see each key: booleans that broadcast to (b, t, s). Arguments as for `mask`."""
        distance = _distances(places, keys)
        inside = np.ones(distance.shape, bool)
        if self.left is not None:
            inside &= distance <= self.left
        if self.right is not None:
            inside &= distance >= -self.right
        mask = self.mask(rows, places, keys)
        return inside if mask is None else inside & mask


def _distances(places, keys):
    """Return p - s of each query and key, (t, s)."""
    return np.arange(places.start, places.stop)[:, None] - np.arange(keys.start, keys.stop)


@dataclass(frozen=True)
class Band(Pattern):
    """A query sees itself, ``left`` keys before and ``right`` keys after its place. With -1 after it, it does not see itself.

    ``FULL`` is ``Band(None, None)`` and ``CAUSAL`` is ``Band(None, 0)``. A window of w keys with the query itself, as
    GPT-Neo and Mistral count, is ``Band(w - 1, 0)``; Longformer's window w is ``Band(w // 2, w // 2)``.

    Parameters
    ----------
    left, right : int or None
        At least 0 and -1. None is as many as there are.
    """

    left: int | None = None
    right: int | None = None

    def __post_init__(self):
        for name, least in (("left", 0), ("right", -1)):
            if getattr(self, name) is not None:
                check_whole("Band", name, getattr(self, name), least, ROWS[1])


FULL, CAUSAL = Band(None, None), Band(None, 0)


@dataclass(frozen=True)
class Strided(Pattern):
    """A query sees every key whose distance is a multiple of ``stride`` (Child et al. 2019, arXiv:1904.10509).

    No tile is empty under it, so by itself it skips no product.
    """

    stride: int

    def __post_init__(self):
        check_whole("Strided", "stride", self.stride)

    def mask(self, rows, places, keys):
        return _distances(places, keys) % self.stride == 0


@dataclass(frozen=True)
class Blocks(Pattern):
    """The keys are cut into blocks of ``size``, and a query sees those of its own block, and of as many blocks ``before`` it."""

    size: int
    before: int = 0

    def __post_init__(self):
        check_whole("Blocks", "size", self.size)
        check_whole("Blocks", "before", self.before, 0)

    def spans(self, rows, start, stop, n_keys):
        first, last = (start // self.size - self.before) * self.size, ((stop - 1) // self.size + 1) * self.size
        first, last = max(0, first), min(n_keys, last)
        return [(first, last)] if first < last else []

    def mask(self, rows, places, keys):
        own, theirs = (np.arange(at.start, at.stop) // self.size for at in (places, keys))
        behind = own[:, None] - theirs
        return (behind >= 0) & (behind <= self.before)


@dataclass(frozen=True)
class Ends(Pattern):
    """The keys are cut into blocks of ``size``, and a query sees the last ``n`` of each (Child et al. 2019).

    No tile is empty under it, so by itself it skips no product.
    """

    size: int
    n: int = 1

    def __post_init__(self):
        check_whole("Ends", "size", self.size)
        check_whole("Ends", "n", self.n, 1, self.size)

    def mask(self, rows, places, keys):
        return (np.arange(keys.start, keys.stop) % self.size >= self.size - self.n)[None]


@dataclass(frozen=True)
class Prefix(Pattern):
    """All queries see the first ``length`` keys.

    Parameters
    ----------
    length : int, or integers (B,)
        For the whole batch, or for each row.
    """

    length: int | tuple

    def __post_init__(self):
        lengths = check_integers("Prefix", self.length, "length")
        if lengths.ndim > 1 or (lengths < 0).any():
            raise ValueError(f"Prefix: length is {self.length!r:.60}, expected a number of keys, or one for each row")
        object.__setattr__(self, "length", tuple(map(int, lengths)) if lengths.ndim else int(lengths))

    @property
    def per_row(self):
        return isinstance(self.length, tuple)

    def check(self, n_rows, n_queries, n_keys):
        if self.per_row and len(self.length) != n_rows:
            raise ValueError(f"Prefix: length has {len(self.length)} numbers, expected one for each of {n_rows} rows")

    def spans(self, rows, start, stop, n_keys):
        last = min(n_keys, max(self.length[rows], default=0) if self.per_row else self.length)
        return [(0, last)] if last else []

    def mask(self, rows, places, keys):
        return np.arange(keys.start, keys.stop) < (np.reshape(self.length[rows], (-1, 1, 1)) if self.per_row else self.length)


@dataclass(frozen=True, eq=False)
class Documents(Pattern):
    """A query sees the keys of its own document, where a sequence holds several, one behind the other.

    Parameters
    ----------
    ids : integers (B, S), or (1, S) for the whole batch
        The number of the document at each place of the keys.
    """

    ids: np.ndarray
    per_row = True

    def __post_init__(self):
        ids = check_integers("Documents", self.ids, "ids")
        if ids.ndim != 2:
            raise ValueError(f"Documents: ids have shape {ids.shape}, expected (B, S)")
        object.__setattr__(self, "ids", ids)

    def check(self, n_rows, n_queries, n_keys):
        shape = self.ids.shape
        if shape not in ((n_rows, n_keys), (1, n_keys)) or n_queries > n_keys:
            raise ValueError(
                f"Documents: ids have shape {shape}, expected {(n_rows, n_keys)} or {(1, n_keys)} from {n_rows} rows "
                f"of {n_keys} keys, the last {n_queries} of which are the queries'"
            )

    def _of(self, rows):
        return self.ids if len(self.ids) == 1 else self.ids[rows]

    def spans(self, rows, start, stop, n_keys):
        ids = self._of(rows)
        seen = [np.isin(row, row[start:stop]) for row in ids]
        seen = np.flatnonzero(np.any(seen, axis=0)) if seen else ()
        return [(int(seen[0]), int(seen[-1]) + 1)] if len(seen) else []

    def mask(self, rows, places, keys):
        ids = self._of(rows)
        return ids[:, places, None] == ids[:, None, keys]


@dataclass(frozen=True)
class _Two(Pattern):
    """Two patterns as one."""

    a: Pattern
    b: Pattern

    @property
    def per_row(self):
        return self.a.per_row or self.b.per_row

    @property
    def left(self):
        return self._bound(self.a.left, self.b.left)

    @property
    def right(self):
        return self._bound(self.a.right, self.b.right)

    def check(self, *sizes):
        self.a.check(*sizes)
        self.b.check(*sizes)


class _Both(_Two):
    """What both patterns allow."""

    @staticmethod
    def _bound(x, y):
        return x if y is None else y if x is None else min(x, y)

    def spans(self, *block):
        both = [(max(x[0], y[0]), min(x[1], y[1])) for x in self.a.spans(*block) for y in self.b.spans(*block)]
        return [(first, last) for first, last in both if first < last]

    def mask(self, *tile):
        x, y = self.a.mask(*tile), self.b.mask(*tile)
        return x if y is None else y if x is None else x & y


class _Either(_Two):
    """What at least one of two patterns allows."""

    @staticmethod
    def _bound(x, y):
        return None if x is None or y is None else max(x, y)

    def spans(self, *block):
        joined = []
        for first, last in sorted(self.a.spans(*block) + self.b.spans(*block)):
            if joined and first <= joined[-1][1]:
                first, last = joined[-1][0], max(last, joined.pop()[1])
            joined.append((first, last))
        return joined

    def mask(self, *tile):
        return self.a.allowed(*tile) | self.b.allowed(*tile)
