r"""Rotary positions: each pair of a query's or key's numbers is turned by an angle that grows with its position
(Su et al. 2021, RoFormer, arXiv:2104.09864).

Derivation
----------
A vector of width K has pairs (a_i, b_i), i from 0 to n - 1. Row t of a sequence stands at position p_t, and there pair i is
turned by the angle p_t f_i, with a frequency f_i in radians for each position, and multiplied by ``scale``, which is 1 in
most models:

    p_t = start + t,   c_ti = scale cos(p_t f_i),   s_ti = scale sin(p_t f_i)
    y_ti = a_ti c_ti - b_ti s_ti                                         (1)
    z_ti = b_ti c_ti + a_ti s_ti                                         (2)

Positions and frequencies are constants, so y and z are linear in a and b, and the gradients read off the coefficients:

    da_ti = dy_ti c_ti + dz_ti s_ti                                      (3)
    db_ti = dz_ti c_ti - dy_ti s_ti                                      (4)

(3) and (4) are (1) and (2) with -s in the place of s: backward turns by the opposite angle. The matrix of a rotation
is orthogonal, so its transpose is its inverse.

Why turn at all? In attention a query at position p_t meets a key at position p_u. To turn both by the same angle changes no
scalar product, so that of their turned pairs is the one in which the key alone is turned, by (p_u - p_t) f_i:

    y_ti y_ui + z_ti z_ui = scale^2 (a_ti (a_ui cos((p_u - p_t) f_i) - b_ui sin((p_u - p_t) f_i))
                                    + b_ti (b_ui cos((p_u - p_t) f_i) + a_ui sin((p_u - p_t) f_i)))

(Here two rows of one array stand for query and key.) So a score depends on the distance of the two words and not on where they
stand. Keys are turned once, at their own position, before they are remembered.

Which numbers are a pair? In the paper and in Meta's files neighbours, (x_2i, x_2i+1). In Hugging Face's files the i-th
numbers of both halves, (x_i, x_{n+i}). A permutation of the columns of the query's and key's matrices takes one to the other; a
model trained with one does not work with the other. Numbers behind the 2n first ones are not turned.

The paper's frequencies h_i fall from 1 in equal ratios: the first pair turns once in 2 pi positions, the last in
2 pi 10000^(1 - 2/K), with a base of 10000:

    h_i = base^(-2i / K)                                                 (5)

For texts longer than those in training the frequencies are lowered. "linear" lowers all of them, which is the same as a
step of 1 / factor from each position to the next (Chen et al. 2023, arXiv:2306.15595); a factor of 1 leaves them as they are:

    f_i = h_i / factor                                                   (6)

"llama3" and "yarn" do this to slow pairs only, which never turned full circle in training, and leave the fast ones, which
tell neighbours apart. With a share m_i that goes from 0 for slow pairs to 1 for fast ones,

    f_i = ((1 - m_i) / factor + m_i) h_i                                 (7)

A pair turns L h_i / 2 pi times in a training text of length L. In Llama 3.1 (arXiv:2407.21783) m is a line in these turns, cut
off at 0 and 1:

    m_i = max(0, min(1, (L h_i / (2 pi) - low) / (high - low)))          (8)

In YaRN (Peng et al. 2023, arXiv:2309.00071) it is a line in the pair's number i. By (5) a pair turns r times where i = I(r),
and the borders are rounded outwards:

    I(r) = K ln(L / (2 pi r)) / (2 ln(base)),   first = max(0, floor(I(high))),   last = min(K - 1, ceil(I(low))),
    m_i = max(0, min(1, (last - i) / (last - first)))                    (9)

YaRN also has a ``scale`` of 0.1 ln(factor) + 1, since more keys share each softmax.

What is kept: c and s, (T, n) each.

With numbers
------------
One pair and a quarter turn for each position: (1, 0) at positions 0, 1, 2.

>>> x = np.array([[[[1.0, 0.0]]] * 3]).reshape(1, 3, 1, 2)
>>> y, saved = rotate(x, np.array([np.pi / 2]))
>>> y.round(4).reshape(3, 2).tolist()
[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
>>> (rotate_backward(np.ones_like(x), saved) + 0.0).round(4).reshape(3, 2).tolist()
[[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]

The same in plain NumPy: ``rotate`` in ``plain.py``.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinytx.arguments import INT64, check_flag, check_number, check_whole
from tinytx.kernel import kernel
from tinytx.recording import empty
from tinytx.shapes import check_axes, check_float, check_gradient, contiguous


class Saved(NamedTuple):
    cos: np.ndarray  # (T, n)
    sin: np.ndarray  # (T, n)
    neighbours: bool
    shape: tuple  # (B, T, H, K)


@kernel
def _turn(y, x, cos, sin, neighbours):
    b_size, t_size, h_size, k_size = x.shape
    n = cos.shape[1]
    for b in range(b_size):
        for t in range(t_size):
            for h in range(h_size):
                row, out = x[b, t, h], y[b, t, h]
                if neighbours:
                    for i in range(n):
                        out[2 * i] = row[2 * i] * cos[t, i] - row[2 * i + 1] * sin[t, i]  # (1)
                        out[2 * i + 1] = row[2 * i + 1] * cos[t, i] + row[2 * i] * sin[t, i]  # (2)
                else:
                    for i in range(n):
                        out[i] = row[i] * cos[t, i] - row[n + i] * sin[t, i]  # (1)
                        out[n + i] = row[n + i] * cos[t, i] + row[i] * sin[t, i]  # (2)
                for i in range(2 * n, k_size):
                    out[i] = row[i]


def cos_and_sin(frequencies, start, t, scale, dtype):
    """Return the cosines and sines (T, n), times ``scale``, of the angles of t positions from ``start`` on."""
    return _cos_and_sin(frequencies.astype(np.float64).tobytes(), start, t, scale, dtype)


@lru_cache(8)
def _cos_and_sin(frequencies, start, t, scale, dtype):
    """Return the cosines and sines (T, n) of all angles: once for the queries and keys of all blocks, which share them."""
    angles = np.arange(start, start + t)[:, None] * np.frombuffer(frequencies)  # float64
    return (scale * np.cos(angles)).astype(dtype), (scale * np.sin(angles)).astype(dtype)


def rotate(x, frequencies, start=0, *, neighbours=False, scale=1.0):
    """Return x with each pair of its last axis turned by an angle that grows with the position.

    Parameters
    ----------
    x : array (B, T, H, K), float32 or float64
    frequencies : array (n,), float32 or float64, 2 n <= K
        Radians for each position: `rotary_frequencies`. The last K - 2 n numbers of each vector are not turned.
    start : int
        The position of x's first element: above 0 if earlier positions are in a state.
    neighbours : bool
        Whether a pair is (x_2i, x_2i+1), as in the paper and Meta's files, or (x_i, x_{n+i}), as in Hugging Face's.
    scale : float
        Above 0: what the turned numbers are multiplied by.

    Returns
    -------
    y : array (B, T, H, K)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If x or frequencies have another dtype or other axes, or there are more pairs than x has.

    Notes
    -----
    Angles are computed in float64, also for x in float32: at position 100,000 float32 is off by a hundredth of a radian.
    """
    check_float("rotate", x=x)
    check_axes("rotate", "x", x, "(B, T, H, K)")
    check_float("rotate", frequencies=frequencies)
    check_axes("rotate", "frequencies", frequencies, "(n,)")
    if 2 * frequencies.size > x.shape[3]:
        facts = f"frequencies have shape {frequencies.shape}, a pair of numbers each, and x {x.shape}"
        raise ValueError(f"rotate: {facts}: expected at most half of {x.shape[3]}")
    start, neighbours = check_whole("rotate", "start", start, *INT64), check_flag("rotate", "neighbours", neighbours)
    scale = check_number("rotate", "scale", scale, "a number above 0", lambda s: 0 < s < np.inf)
    turns = cos_and_sin(frequencies, start, x.shape[1], scale, x.dtype)
    saved = Saved(*turns, neighbours, x.shape)
    y = empty(x.shape, x.dtype)
    _turn(y, contiguous(x), saved.cos, saved.sin, neighbours)
    return y, saved


def turn_call(y, x, cos, sin, neighbours):
    """Return the loop that writes (1) and (2) of x (B, T, H, K) into y, and its arguments, for a program: `tinytx.calls.bound`."""
    return _turn, y, x, cos, sin, neighbours


def rotate_backward(dy, saved):
    """Return dx.

    Parameters
    ----------
    dy : array (B, T, H, K)
    saved : Saved
    """
    cos, sin, neighbours, shape = saved
    check_gradient("rotate_backward", dy, shape, cos.dtype, "x of shape", shape)
    dx = empty(shape, cos.dtype)
    _turn(dx, contiguous(dy), cos, -sin, neighbours)  # (3), (4)
    return dx


def rotary_frequencies(width, base=10000.0, *, scaling=None):
    """Return the frequencies (5) of a vector's pairs, lowered if ``scaling`` is given.

    Parameters
    ----------
    width : int
        K, an even number: twice the number of pairs.
    base : float
        At least 1. Llama 3 has 500,000.
    scaling : tuple, optional
        ("linear", factor) as in (6), or ("llama3", factor, low, high, length) and ("yarn", factor, low, high, length) as
        in (7). Llama 3.1 has ("llama3", 8, 1, 4, 8192), long texts in Qwen2.5 ("yarn", 4, 1, 32, 32768).

    Returns
    -------
    array (width / 2,), float64

    Raises
    ------
    TypeError, ValueError
        If the width is odd, the base below 1, or the scaling none of these with factor >= 1 and 0 < low < high.
    """
    place = "rotary_frequencies"
    if check_whole(place, "width", width, 0, INT64[1]) % 2:
        raise ValueError(f"{place}: width is {width}, expected an even number: a pair has two numbers")
    base = check_number(place, "base", base, "a number of at least 1", lambda b: 1 <= b < np.inf)
    f = base ** (-np.arange(0, width, 2) / max(1, width))  # (5)
    if scaling is None:
        return f
    kind, factor, *others = _checked(place, scaling)
    share = 0.0 if kind == "linear" else SHARES[kind](f, base, *others)
    return ((1 - share) / factor + share) * f  # (6), (7)


def _llama3_share(f, base, low, high, length):
    """Return m of each pair by (8)."""
    return np.clip((length * f / (2 * np.pi) - low) / (high - low), 0, 1)


def _yarn_share(f, base, low, high, length):
    """Return m of each pair by (9)."""
    if base == 1:
        raise ValueError("rotary_frequencies: base is 1, expected more with a scaling of yarn: all pairs turn alike")

    def pair(turns):
        return len(f) * np.log(length / (2 * np.pi * turns)) / np.log(base)

    first, last = max(0, np.floor(pair(high))), min(2 * len(f) - 1, np.ceil(pair(low)))
    last = first + 0.001 if first == last else last  # as in the authors' program: a step in place of a line
    return np.clip((last - np.arange(len(f))) / (last - first), 0, 1)


SHARES = {"llama3": _llama3_share, "yarn": _yarn_share}
SCALINGS = ("linear", *SHARES)


def _checked(place, scaling):
    """Return (kind, numbers): of a scaling that is right."""
    kind = scaling[0] if isinstance(scaling, (tuple, list)) and scaling else None
    names = ("factor", "low", "high", "length")[: 1 if kind == "linear" else 4]
    if kind not in SCALINGS or len(scaling) != 1 + len(names):
        raise ValueError(f"{place}: scaling is {scaling!r:.60}, expected ('linear', factor), or 'llama3' or 'yarn' with "
                         "factor, low, high, length")  # fmt: skip
    numbers = [
        check_number(place, f"scaling's {name}", value, "a number above 0", lambda v: 0 < v < np.inf)
        for name, value in zip(names, scaling[1:], strict=True)
    ]
    if numbers[0] < 1 or numbers[1:] and numbers[1] >= numbers[2]:
        raise ValueError(f"{place}: scaling is {scaling!r:.60}, expected factor >= 1 and low < high")
    return kind, *numbers
