"""Strategies for hypothesis: arrays, masks and configurations to test a layer with.

Arrays are drawn entry by entry and not from a seed, so that a failing example shrinks to a small array of simple
numbers. Set ``deadline=None``, because the first call of a kernel compiles it::

    @settings(deadline=None)
    @given(st.data())
    def test_attention(data):
        sizes = data.draw(distinct_sizes("B", "T"))
        config = data.draw(attention_configs(avoid=sizes.values()))
        x = data.draw(tensors((sizes["B"], sizes["T"], config["d_model"])))
        check_layer(MultiHeadAttention(**config, rng=np.random.default_rng(0)), x)

A failure shrinks entry by entry, and each attempt runs the whole check. So use quick checks while hypothesis searches,
``check_layer(..., checks=[check_determinism, check_linear_in_dy])`` or ``gradcheck(..., mode="directional",
directions=1)``, and all checks on the example that it found. Or switch shrinking off::

    @settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])

A shape is a tuple, or a strategy for one: with ``hypothesis.extra.numpy.array_shapes()`` sizes shrink too.
"""

import math

import numpy as np

from tinytx.extras import require
from tinytx.layers import DotProduct
from tinytx.ops.attention_patterns import CAUSAL, FULL

st = require("hypothesis.strategies", "test", "tinytx.testing.strategies")
hnp = require("hypothesis.extra.numpy", "test", "tinytx.testing.strategies")

KINDS = ("causal", "padding", "prefix", "random", "fully_masked_row")
SIGNS_AND_SIZES = (1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 0.75, -0.75, 1.25, -1.25)


def _shapes(shape):
    return shape if isinstance(shape, st.SearchStrategy) else st.just(tuple(shape))


def _array(draw, shape, elements, dtype, unique=False):
    """Draw each entry separately: by default hypothesis fills most of an array with one value."""
    return draw(hnp.arrays(dtype, shape, elements=elements, fill=st.nothing(), unique=unique))


@st.composite
def tensors(draw, shape, *, dtype=np.float64, magnitude=2.0, away_from=(), margin=0.1):
    """Draw well-conditioned floats: of moderate size, all different, none near a kink.

    Parameters
    ----------
    shape : tuple of int, or strategy
    dtype : float32 or float64
        All values are the same in both.
    magnitude : float
        The largest absolute value.
    away_from : sequence of float
        Where the function has kinks: ``(0.0,)`` for ReLU.
    margin : float
        How far from a kink values stay.

    Returns
    -------
    strategy for arrays
        All entries are different, so no row is constant (its layer norm would be all noise) and no maximum is tied.
        Entries shrink towards 0 and towards few binary digits.

    Raises
    ------
    ValueError
        If kinks and margin leave too few values.
    """
    shape = draw(_shapes(shape))
    size = math.prod(shape)
    step = 2.0 ** -max(3, math.ceil(math.log2(max(1, 2 * size / magnitude))))  # 4 values for every entry
    ticks = np.arange(math.floor(magnitude / step) + 1) * step
    grid = np.unique(np.concatenate([ticks, -ticks]))
    grid = grid[np.all([np.abs(grid - kink) >= margin for kink in away_from], axis=0)] if len(away_from) else grid
    if len(grid) < size:
        raise ValueError(
            f"tensors: {len(grid)} values up to {magnitude} are {margin} away from {tuple(away_from)}, too few for "
            f"shape {shape}: a smaller margin or a larger magnitude helps"
        )
    simple = sorted(grid.tolist(), key=lambda value: (_digits(value), abs(value), value < 0))
    return _array(draw, shape, st.sampled_from(simple), dtype, unique=True)


def _digits(value):
    """Return the number of binary digits of a value after the point."""
    return (float(value).as_integer_ratio()[1]).bit_length() - 1


@st.composite
def token_ids(draw, shape, vocab_size):
    """Draw int64 ids from 0 to ``vocab_size - 1``, shrinking to 0; ``shape`` as for `tensors`."""
    return _array(draw, draw(_shapes(shape)), st.integers(0, vocab_size - 1), np.int64)


@st.composite
def cotangents(draw, shape, *, dtype=np.float64):
    """Draw a dy without small entries, from 0.5 to 1.5 with both signs, shrinking to 1; ``shape`` as for `tensors`."""
    return _array(draw, draw(_shapes(shape)), st.sampled_from(SIGNS_AND_SIZES), dtype)


@st.composite
def masks(draw, b, t, s=None, *, kind=None):
    """Draw a mask for attention, True where it is allowed.

    Parameters
    ----------
    b, t, s : int
        Rows of the batch, target and source positions; s is t if not given.
    kind : str, optional
        "causal" (1, 1, T, S): each query sees the keys up to its own, the last query all.
        "padding" (B, 1, 1, S): of each row the first keys, at least one.
        "prefix" (B, 1, T, S): as causal, but a prefix of at least one key is seen by all.
        "random" (B, 1, T, S): any, but each query sees some key.
        "fully_masked_row" (B, 1, T, S): any, and at least one query sees none.
        Not given, one of these.

    Returns
    -------
    strategy for boolean arrays that broadcast to (B, H, T, S)
        They shrink towards True, so that the entries that remain masked are those that matter.
    """
    kind = draw(st.sampled_from(KINDS)) if kind is None else kind
    s = t if s is None else s
    if kind not in KINDS:
        raise ValueError(f"masks: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    key, last = np.arange(s), np.arange(t)[:, None] + s - t
    causal = (key <= last)[None, None]
    if kind == "causal":
        return causal
    if kind in ("padding", "prefix"):
        hidden = _array(draw, (b, 1, 1, 1), st.integers(0, s - 1), np.int64)
        return key < s - hidden if kind == "padding" else causal | (key <= hidden)
    mask = ~_array(draw, (b, 1, t, s), st.booleans(), bool)
    mask[..., 0] |= ~mask.any(axis=-1)
    if kind == "fully_masked_row":
        mask[draw(st.integers(0, b - 1)), :, draw(st.integers(0, t - 1))] = False
    return mask


def distinct_sizes(*letters, low=2, high=None, avoid=()):
    """Draw sizes that are all different, so that no axis can be mistaken for another.

    Parameters
    ----------
    *letters : str
        Names of the sizes: ``distinct_sizes("B", "T", "D")``.
    low, high : int
        The smallest and the largest; by default there are three more sizes than letters.
    avoid : iterable of int
        Sizes that are taken.

    Returns
    -------
    strategy for dict of str to int
    """
    taken = set(avoid)
    high = low + len(letters) + len(taken) + 2 if high is None else high
    free = [size for size in range(low, high + 1) if size not in taken]
    if len(free) < len(letters):
        facts = f"{len(letters)} sizes from {low} to {high} without {sorted(taken)}"
        raise ValueError(f"distinct_sizes: there are not {facts}: raise high")
    sizes = st.lists(st.sampled_from(free), min_size=len(letters), max_size=len(letters), unique=True)
    return sizes.map(lambda drawn: dict(zip(letters, drawn)))


@st.composite
def attention_configs(draw, *, avoid=()):
    """Draw arguments of `tinytx.layers.MultiHeadAttention`, but for rng: heads H, their width K and D = H K differ.

    Parameters
    ----------
    avoid : iterable of int
        Sizes that are taken: B, T, S.
    """
    taken = set(avoid)
    widths = [(h, k) for h in range(2, 8) for k in range(2, 8) if len({h, k, h * k} - taken) == 3]
    heads, width = draw(st.sampled_from(sorted(widths, key=lambda pair: (pair[0] * pair[1], pair))))
    core = DotProduct(pattern=draw(st.sampled_from([FULL, CAUSAL])))
    return {"d_model": heads * width, "n_heads": heads, "core": core, "bias": draw(st.booleans())}
