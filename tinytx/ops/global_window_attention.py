r"""Attention within a window, and to and from a few global places (Beltagy, Peters and Cohan 2020, arXiv:2004.05150).

Derivation
----------
A few places are *global*: g_t is 1 there and elsewhere 0, and p_u is the place of the global query number u. Query t, which is
not global, sees its window, places near its own, and all global keys, in one softmax. So that no key counts twice, the window is
without the global ones: N_ts is 1 where it has s, and elsewhere 0. A global query sees all keys; it has a query q', keys k' and
values v' of its own. With c the scale of the scores, ``attention.py`` gives outputs and log-sum-exps over two sets of keys, those
of the window and the global ones; the sums are

    A_ts = c sum_i q_ti k_si,
    x_t = sum_s N_ts e^(A_ts)                                            (1)
    B_tu = c sum_i q_ti k_{p_u, i},
    z_t = sum_u e^(B_tu)                                                 (2)

and ``merge.py`` makes of them one softmax over both. Global rows are put in the place of what it says there:

    Z_t = x_t + z_t,
    h_tj = (sum_s N_ts e^(A_ts) v_sj + sum_u e^(B_tu) v_{p_u, j}) / Z_t
         = sum_s (N_ts + g_s) e^(A_ts) v_sj / Z_t                        (3)
    A'_us = c sum_i q'_ui k'_si,
    P'_us = e^(A'_us) / sum_r e^(A'_ur),
    Y'_uj = sum_s P'_us v'_sj,
    y_tj = [g_t = 0] h_tj + sum_u [p_u = t] Y'_uj                        (4)

Global keys and queries are few, and are gathered: with G of them for each text, (2) has T G scores and (4) has G T. (1) has T w for
a window of w places, because tiles outside of it are skipped. No array has T T numbers.

Of a global row only Y' is read. So its dy goes to q', k' and v', by (4) to (8) of ``attention.py``,

    dA'_us = P'_us (sum_j dy_{p_u, j} v'_sj - sum_j dy_{p_u, j} Y'_uj),
    dq'_ui = c sum_s dA'_us k'_si,   dk'_si = c sum_u dA'_us q'_ui,
    dv'_sj = sum_u P'_us dy_{p_u, j}                                     (5)

and to (3) there goes 0 in its place. D_t is the sum that both sets share, by (4) and (5) of ``merge.py``:

    dh_tj = [g_t = 0] dy_tj,   D_t = sum_j dh_tj h_tj,
    P_ts = (N_ts + g_s) e^(A_ts) / Z_t,
    E_ts = P_ts (sum_j dh_tj v_sj - D_t),
    dq_ti = c sum_s E_ts k_si                                            (6)

By (6), q_t of a global place has gradient 0. Its k_t and v_t have not, because local queries see them by (2). As no window has
a global key, each place has its gradient from one of the two sets:

    dk_si = c sum_t E_ts q_ti,   dv_sj = sum_t P_ts dh_tj                (7)

Dilation d takes every d-th place for the window: t - d, t - 2 d, .. and t + d, t + 2 d, ... All of these have the remainder of
t by d. With the places of one remainder behind each other, the window is a band beside the diagonal again, as in
``sparse_attention.py``. Heads may have dilations of their own.

Dropout of the weights leaves Z as it is, so that (3) drops each weight by itself; each set of keys has its own mask.

The same as one softmax under a mask: ``global_window_attention`` in ``plain.py``.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinytx.arguments import ROWS, check_whole
from tinytx.ops.attention import attention, attention_backward
from tinytx.ops.attention_patterns import FULL, Band, Documents, Pattern
from tinytx.ops.attention_saved import checked
from tinytx.ops.attention_weights import attention_weights
from tinytx.ops.merge import merge, merge_backward
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape


class Window(NamedTuple):
    """Heads of one dilation.

    Attributes
    ----------
    pattern : Pattern
        Of places in the order in which they are picked.
    at : tuple
        Index of an array (B, H, T, ...): these heads, with places in this order.
    order : integers (T,), or slice
        The places alone.
    """

    pattern: Pattern
    at: tuple
    order: np.ndarray | slice


class Saved(NamedTuple):
    """What the parts saved. Entry i of ``at`` stands at row ``at[0][i]``, number ``at[1][i]``, place ``at[2][i]``."""

    windows: tuple
    of_windows: list
    of_globals: tuple | None
    of_rows: tuple | None
    merged: tuple | None
    at: tuple
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray


@lru_cache(16)
def _windows(dilations, n, left, right):
    """Return the `Window` of each dilation, for n places; ``dilations`` has one for each head."""
    if set(dilations) == {1}:
        return (Window(Band(left, right), (slice(None),) * 3, slice(None)),)
    places, windows = np.arange(n), []
    for dilation in sorted(set(dilations)):
        order, pattern = places, Band(left, right)
        if dilation > 1:
            order = np.argsort(places % dilation, kind="stable")
            pattern = Documents((places % dilation)[order][None]) & pattern
        heads = np.flatnonzero(np.equal(dilations, dilation))
        windows.append(Window(pattern, (slice(None), heads[:, None], order), order))
    return tuple(windows)


def global_places(is_global, n=None):
    """Return where the global places of each text are.

    Parameters
    ----------
    is_global : booleans (B, T)
    n : int, optional
        G, at least as many as there are in any text; the largest number of them if not given.

    Returns
    -------
    places : integers (B, G)
        In ascending order; a text with fewer has others at the end.
    real : booleans (B, G)
        False where a text has fewer.

    Examples
    --------
    >>> places, real = global_places(np.array([[False, True, True], [True, False, False]]))
    >>> places.tolist(), real.tolist()
    ([[1, 2], [0, 1]], [[True, True], [True, False]])
    """
    counts = is_global.sum(axis=1)
    n = int(counts.max(initial=0)) if n is None else n
    return np.argsort(~is_global, axis=1, kind="stable")[:, :n], np.arange(n) < counts[:, None]


def global_window_attention(
    q, k, v, q_global, k_global, v_global, is_global, *, left, right, dilation=1, mask=None, scale=None, dropout=0.0, key=None,
    first_row=0,
):  # fmt: skip
    """Return attention to a window and to global keys, and from global places to all keys.

    Parameters
    ----------
    q, k : arrays (B, H, T, K), v : array (B, H, T, W), float32 or float64
        Of all places: of a global one k and v are read, q is not.
    q_global : array (B, H, G, K), the dtype of q
        Of the global places of each text, in the order of `global_places`; G is at least as many as a text has, and at most T.
    k_global : array (B, H, T, K), v_global : array (B, H, T, W), the dtype of q
        Of all places: global queries see them.
    is_global : booleans (B, T)
    left, right : int
        How many places before and after its own a local query sees.
    dilation : int, or sequence of H int
        The distance from one place of the window to the next, of all heads or of each.
    mask : booleans (1 or B, 1, 1, T), optional
        True at words, False at padding, which nobody sees.
    scale, dropout, key, first_row
        As for `tinytx.ops.attention`.

    Returns
    -------
    y : array (B, H, T, W)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, or a number is out of its range.

    Examples
    --------
    Five places of equal scores, and a window of one place on each side: a local query takes the mean of what it sees. Place 4 is
    global. So all see it, and it sees all:

    >>> x, one = np.zeros((1, 1, 5, 1)), np.ones((1, 1, 1, 1))
    >>> v, is_global = np.arange(5.0).reshape(x.shape), np.arange(5)[None] == 4
    >>> y, _ = global_window_attention(x, x, v, one, x, v, is_global, left=1, right=1)
    >>> y.round(2).ravel().tolist()  # (0 + 1 + 4) / 3, (0 + 1 + 2 + 4) / 4, ..., (2 + 3 + 4) / 3, and the mean of all
    [1.67, 1.75, 2.5, 3.0, 2.0]
    """
    place = "global_window_attention"
    whole = checked(place, q, k, v, None, mask, FULL, scale, (dropout, key, first_row), True)
    (b, h, t, width), (dropout, key, first_row) = q.shape, whole.dropout
    check_shape(place, "k", k, q.shape, "q of shape", q.shape)
    check_float(place, q=q, q_global=q_global, k_global=k_global, v_global=v_global)
    check_axes(place, "q_global", q_global, "(B, H, G, K)")
    n = min(t, q_global.shape[2])
    check_shape(place, "q_global", q_global, (b, h, n, width), f"q of shape {q.shape} and at most T global places")
    check_shape(place, "k_global", k_global, k.shape, "k of shape", k.shape)
    check_shape(place, "v_global", v_global, v.shape, "v of shape", v.shape)
    is_global = _checked_global(place, is_global, (b, t), n)
    left, right = (check_whole(place, name, bound, 0, ROWS[1]) for name, bound in (("left", left), ("right", right)))
    windows = _windows(_checked_dilations(place, dilation, h), t, left, right)
    mask = np.ones((1, 1, 1, t), bool) if mask is None else whole.mask
    if mask.ndim != 4 or mask.shape[1:] != (1, 1, t):
        raise ValueError(f"{place}: mask has shape {mask.shape}, expected {(b, 1, 1, t)}: whether each place is a word")

    def attend(number, *qkv, **options):
        mask_key = None if key is None else (key + number) % 2**64
        return attention(*qkv, scale=whole.scale, dropout=dropout, key=mask_key, first_row=first_row, **options)

    y, lse, of_windows = np.empty(v.shape, q.dtype), np.empty(q.shape[:3], q.dtype), []
    sees = mask & ~is_global[:, None, None]
    for number, window in enumerate(windows):
        picked = (x[window.at] for x in (q, k, v))
        (y[window.at], lse[window.at]), saved = attend(
            number, *picked, mask=sees[..., window.order], pattern=window.pattern, log_sum_exp=True
        )  # (1)
        of_windows.append(saved)
    places, real = global_places(is_global, n)
    rows, numbers = np.nonzero(real)
    at = rows, numbers, places[rows, numbers]
    if not n:
        return y, Saved(windows, of_windows, None, None, None, at, q, k, v)
    where = places[:, None, :, None]
    (y_globals, lse_globals), of_globals = attend(
        len(windows), q, *(np.take_along_axis(x, where, axis=2) for x in (k, v)), log_sum_exp=True,
        mask=(real & np.take_along_axis(np.broadcast_to(mask[:, 0, 0], (b, t)), places, axis=1))[:, None, None],
    )  # (2)
    (y, _), merged = merge(np.stack([y, y_globals]), np.stack([lse, lse_globals]))  # (3)
    y_rows, of_rows = attend(len(windows) + 1, q_global, k_global, v_global, mask=mask)
    y = y.copy()  # what is merged is kept
    y[rows, :, at[2]] = y_rows[rows, :, numbers]  # (4)
    return y, Saved(windows, of_windows, of_globals, of_rows, merged, at, q, k, v)


def global_window_attention_backward(dy, saved):
    """Return (dq, dk, dv, dq_global, dk_global, dv_global); the last three are None where there was no place for global queries.

    Parameters
    ----------
    dy : array (B, H, T, W)
    saved : Saved
    """
    q, k, v, (rows, numbers, places) = saved.q, saved.k, saved.v, saved.at
    check_gradient("global_window_attention_backward", dy, v.shape, q.dtype, "y of shape", v.shape)
    dy_windows, dlse, of_globals = dy, np.zeros(dy.shape[:3], dy.dtype), (None, None, None)
    if saved.of_rows is not None:
        dy_rows = np.zeros(saved.of_rows.y.shape, dy.dtype)
        dy_rows[rows, :, numbers] = dy[rows, :, places]
        of_globals = attention_backward(dy_rows, saved.of_rows)  # (5)
        dy = np.array(dy, order="C")
        dy[rows, :, places] = 0
        (dy_windows, dy_globals), (dlse, dlse_globals) = merge_backward((dy, dlse), saved.merged)  # (6)
    dq, dk, dv = map(np.zeros_like, (q, k, v))
    for window, of_window in zip(saved.windows, saved.of_windows, strict=True):
        parts = attention_backward((dy_windows[window.at], dlse[window.at]), of_window)
        for total, part in zip((dq, dk, dv), parts, strict=True):
            total[window.at] = part
    if saved.of_rows is not None:
        dq_part, *parts = attention_backward((dy_globals, dlse_globals), saved.of_globals)
        dq += dq_part
        for total, part in zip((dk, dv), parts, strict=True):
            total[rows, :, places] = part[rows, :, numbers]  # (7): (1) has left 0 there
    return dq, dk, dv, *of_globals


def global_window_weights(saved):
    """Return the weights (B, H, T, T) of all queries, after dropout, for pictures: made again from what backward keeps."""
    rows, numbers, places = saved.at
    weights = np.zeros((*saved.q.shape[:3], saved.k.shape[2]), saved.q.dtype)
    for window, of_window in zip(saved.windows, saved.of_windows, strict=True):
        order = np.arange(weights.shape[2])[window.order]
        heads = np.arange(weights.shape[1])[window.at[1]].reshape(-1)
        weights[:, heads[:, None, None], order[:, None], order] = attention_weights(of_window)
    if saved.of_rows is not None:
        of_window, of_globals = saved.merged.shares[..., None]
        weights *= of_window
        gathered = of_globals * attention_weights(saved.of_globals)
        weights[rows, :, :, places] = gathered[rows, :, :, numbers]
        weights[rows, :, places] = attention_weights(saved.of_rows)[rows, :, numbers]
    return weights


def _checked_global(place, is_global, shape, n):
    """Return ``is_global`` as booleans of a shape, of which at most n in a row are True."""
    try:
        is_global = np.asarray(is_global)
    except ValueError as error:  # rows of different lengths
        raise TypeError(f"{place}: is_global is no array of booleans: {error}") from None
    if is_global.dtype != bool:
        raise TypeError(f"{place}: is_global is {is_global.dtype}, expected bool: True at global places")
    check_shape(place, "is_global", is_global, shape, "the texts and places of q")
    most = int(is_global.sum(axis=1).max(initial=0))
    if most > n:
        raise ValueError(f"{place}: is_global has {most} places in a text, expected at most {n}, as q_global has")
    return is_global


def _checked_dilations(place, dilation, n_heads):
    """Return a dilation for each head."""
    if isinstance(dilation, list | tuple):
        if len(dilation) != n_heads:
            raise ValueError(f"{place}: dilation has {len(dilation)} numbers, expected one for each of {n_heads} heads")
    else:
        dilation = (dilation,) * n_heads
    return tuple(check_whole(place, "dilation", each, 1, ROWS[1]) for each in dilation)
