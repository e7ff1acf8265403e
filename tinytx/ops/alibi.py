r"""A penalty for distance in attention's scores, in place of positions (Press et al. 2021, ALiBi, arXiv:2108.12409).

A query at position t and a key at position s, in head h of H, get

    bias_hts = -m_h |t - s|,   m_h = 2^(-8h / H),   h = 1 .. H.          (1)

The first heads look near, the last ones far: from one word to the next, e^score falls by a factor of e^(-m_h). Nothing is
learned, so there is no backward, and a model reads texts longer than those in its training. In a causal model s <= t, and
-m_h (t - s) differs from m_h s by a number that is the same for all keys of a query. The softmax does not see that, so
some programs add m_h s.

(1) is for an H that is a power of two. For another H, the authors take the slopes of the next lower power of two, and then every
second slope of the next higher one:

>>> slopes(4).tolist(), slopes(3).tolist()
([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
"""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.shapes import check_dtype, check_integers

MOST_HEADS = 1 << 16


def slopes(n_heads):
    """Return m (H,) of (1)."""
    lower = 1 << (n_heads.bit_length() - 1)  # the largest power of two up to H
    own = [2.0 ** (-8 * h / lower) for h in range(1, lower + 1)]
    return np.array(own + [2.0 ** (-4 * h / lower) for h in range(1, 2 * (n_heads - lower), 2)])


def alibi(queries, keys, n_heads, dtype=np.float32):
    """Return the bias of (1).

    Parameters
    ----------
    queries : integers (T,)
        Their positions.
    keys : integers (S,)
    n_heads : int
        H, from 1 to 65,536.
    dtype : float32 or float64

    Returns
    -------
    array (1, H, T, S)

    Raises
    ------
    TypeError, ValueError
        If positions are not integers on one axis, or there is no head.
    """
    places = [check_integers("alibi", value, name) for name, value in (("queries", queries), ("keys", keys))]
    if any(place.ndim != 1 for place in places):
        shapes = " and ".join(str(place.shape) for place in places)
        raise ValueError(f"alibi: queries and keys have shape {shapes}, expected (T,) and (S,)")
    m = slopes(check_whole("alibi", "n_heads", n_heads, 1, MOST_HEADS)).astype(check_dtype("alibi", dtype))
    distance = np.abs(places[0][:, None] - places[1]).astype(m.dtype)
    return -m[None, :, None, None] * distance  # (1)
