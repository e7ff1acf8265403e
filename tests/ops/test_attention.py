"""Attention: tiles that change nothing, masks that leak nothing, memory that grows with T and not with T squared."""

import math
import tracemalloc

import numpy as np
import pytest
from cases import Backwards, Drawn
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_same

from tinytx import workers
from tinytx.ops import attention, attention_backward, attention_saved, attention_tiles, attention_weights, dropout
from tinytx.ops.attention_patterns import CAUSAL, FULL, Documents, Prefix

COMPILED = pytest.mark.compiled
MASKS = ["none", "causal", "padding", "random", "random, causal"]


def qkv(b, h, t, s, k, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(b, h, n, k)).astype(dtype) for n in (t, s, s)]


def options_of(kind, b, h, t, s, rng):
    """Return attention's options for a kind of mask, and the whole mask (B, H, T, S) that they amount to."""
    options, whole = {"pattern": CAUSAL if "causal" in kind else FULL}, np.ones((b, h, t, s), bool)
    if kind == "padding":
        options["mask"] = np.arange(s) < rng.integers(0, s + 1, (b, 1, 1, 1))
        options["mask"][0] = False  # a whole sequence of padding
    if "random" in kind:
        options["mask"] = rng.random((b, h, t, s)) < 0.6
        options["mask"][-1, -1, t // 2] = False  # a query that sees nothing
    if "mask" in options:
        whole = whole & options["mask"]
    return options, whole & np.tri(t, s, s - t, dtype=bool) if options["pattern"] is CAUSAL else whole


def by_the_book(q, k, v, allowed):
    """Return the weights and the output of equations (1) to (3), whole."""
    scores = np.where(allowed, q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]), -np.inf)
    e = np.exp(scores - np.where(allowed.any(-1), scores.max(-1, initial=-1e300), 0)[..., None])
    total = e.sum(-1, keepdims=True)
    p = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    return p, p @ v


def results(q, k, v, dy, **options):
    y, saved = attention(q, k, v, **options)
    return dict(zip(("y", "dq", "dk", "dv"), (y, *attention_backward(dy, saved)), strict=True))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("t", "s"), [(5, 7), (7, 5), (6, 6), (70, 3), (3, 70), (1, 6), (6, 1)])
def test_is_what_the_equations_say(kind, t, s):
    """Catches a causal mask aligned at the top left where S != T, or off by one, and weights that are transposed."""
    b, h, k = 2, 3, 4
    arrays = qkv(b, h, t, s, k)
    options, allowed = options_of(kind, b, h, t, s, np.random.default_rng(1))
    p, expected = by_the_book(*arrays, allowed)
    y, saved = attention(*arrays, **options)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-14)
    weights = attention_weights(saved)
    np.testing.assert_allclose(weights, p, rtol=0, atol=1e-14)
    np.testing.assert_allclose(weights.sum(-1), allowed.any(-1), rtol=0, atol=1e-14)
    assert not weights[~allowed].any()


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("t", "s"), [(9, 11), pytest.param(11, 9, marks=COMPILED), pytest.param(13, 2, marks=COMPILED)])
@pytest.mark.parametrize(("block", "keys", "few"), [(1, 1, 0), (2, 3, 0), (4, 512, 32), (5, 4, 0), (64, 2, 0), (3, 5, 32)])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_does_not_depend_on_its_tiles(kind, t, s, block, keys, few, p, monkeypatch):
    """Catches a first row, a mask, a key's length or a dropout mask counted from the tile, and keys that are not copied."""
    b, h, k = 3, 2, 4
    rng = np.random.default_rng(2)
    q, key, v = qkv(b, h, t, s, k)
    options, _ = options_of(kind, b, h, t, s, rng)
    dy, options = rng.normal(size=q.shape), options | {"dropout": p, "key": 12345, "first_row": 6}
    expected = results(q, key, v, dy, **options)
    monkeypatch.setattr(attention_tiles, "BLOCK", block)
    monkeypatch.setattr(attention_tiles, "KEYS", keys)
    monkeypatch.setattr(attention_saved, "FEW", few)
    assert_same(results(q, key, v, dy, **options), expected, f"BLOCK {block}, KEYS {keys}, FEW {few}", 1e-13)
    weights = attention_weights(attention(q, key, v, **options)[1])
    monkeypatch.undo()
    assert_same({"p": weights}, {"p": attention_weights(attention(q, key, v, **options)[1])}, "weights", 1e-13)


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_queries_of_many_keys(dtype):
    """Catches keys that are not copied: as columns, 64 at a time, for each row of the batch and each group of heads."""
    arrays = qkv(2, 2, 20, 150, 5, dtype)
    expected = by_the_book(*(x.astype(np.float64) for x in arrays), np.tri(20, 150, 130, dtype=bool))[1]
    y, saved = attention(*arrays, pattern=CAUSAL)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6 if dtype is np.float32 else 1e-14)
    dv = attention_backward(np.ones_like(y), saved)[2]
    np.testing.assert_allclose(dv[..., 0], attention_weights(saved).sum(axis=2), rtol=0, atol=1e-5 if dtype is np.float32 else 1e-13)


@pytest.mark.parametrize("parts", [2, 3, 4, 100])
@pytest.mark.parametrize(("b", "h"), [(1, 5), (3, 2)])
def test_heads_are_shared_out(b, h, parts, monkeypatch):
    """Catches threads that find too few groups, or one over; and heads that are in two groups or in none."""
    monkeypatch.setattr(attention_saved, "LARGE", 1)
    rng, pool = np.random.default_rng(2), Backwards(parts)
    q, k, v = qkv(b, h, 14, 15, 4)
    dy = rng.normal(size=q.shape)
    with workers.use(pool):
        y, saved = attention(q, k, v, pattern=CAUSAL)
        dq, dk, dv = attention_backward(dy, saved)
    assert_same(dict(y=y, dq=dq, dk=dk, dv=dv), results(q, k, v, dy, pattern=CAUSAL), "in parts", 1e-13)
    assert pool.calls == [min(b * h, 4 * parts)] * 2


@pytest.mark.parametrize("large", [2, 3])
def test_small_heads_stay_in_one_thread(large, monkeypatch):
    """Catches threads woken for tiles that take less time than waking them: 3 x 8 x 16 x 16 multiplications are few."""
    monkeypatch.setattr(attention_saved, "LARGE", large * 3 * 8 * 16 * 16 // 2)
    pool = Backwards(2)
    with workers.use(pool):
        attention(*qkv(1, 3, 16, 16, 8))
    assert pool.calls == ([3] if large == 2 else [])


@pytest.mark.parametrize("sizes", [(0, 2, 3, 3), (2, 0, 3, 3), (2, 2, 0, 3), (2, 2, 3, 0)])
@pytest.mark.parametrize("parts", [1, 3])
def test_nothing_to_attend_to(sizes, parts):
    """Catches a division by the number of heads, and outputs left as memory was where there is no key."""
    q, k, v = qkv(*sizes, 4)
    with workers.use(Backwards(parts)):
        y, saved = attention(q, k, v, pattern=CAUSAL)
        gradients = attention_backward(np.ones_like(y), saved)
    assert y.shape == q.shape and not y.any()
    assert [g.shape for g in gradients] == [q.shape, k.shape, v.shape] and not any(g.any() for g in gradients)


def test_heads_that_fit_into_a_tile_are_not_shared_out():
    """Catches threads woken for less work than waking them takes."""
    pool = Backwards(2)
    with workers.use(pool):
        attention(*qkv(1, 4, 16, 16, 8))
    assert not pool.calls


@pytest.mark.parametrize("slope", [-300.0, 300.0])
def test_largest_score_may_come_in_any_tile(slope, monkeypatch):
    """Catches sums of earlier tiles that do not shrink, or shrink to NaN: scores rise or fall by 300 from key to key."""
    q, key, v = qkv(1, 1, 3, 8, 4)
    q[..., 0], key[..., 0] = 2.0, slope * np.arange(8)
    expected = by_the_book(q, key, v, np.ones((1, 1, 3, 8), bool))[1]
    monkeypatch.setattr(attention_tiles, "KEYS", 2)
    np.testing.assert_allclose(attention(q, key, v)[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_score_that_is_no_number_is_not_lost(bad, at, monkeypatch):
    """Catches a running maximum that a NaN of an earlier or later tile does not reach: output and gradient are NaN."""
    q, key, v = qkv(1, 2, 3, 6, 4)
    q[...], key[..., at, 0] = np.abs(q), bad
    monkeypatch.setattr(attention_tiles, "KEYS", 2)
    found = results(q, key, v, np.ones_like(q))
    assert np.isnan(found["y"]).all() and np.isnan(found["dq"]).all()


@pytest.mark.parametrize("pattern", [FULL, CAUSAL])
@pytest.mark.parametrize(("t", "s"), [(130, 3), (200, 0), (3, 0), (0, 3)])
def test_queries_that_see_nothing_in_whole_tiles(t, s, pattern):
    """Catches an empty tile: the first of 130 queries see none of 3 keys, and no query sees any of 0 keys."""
    q, k, v = qkv(2, 2, t, s, 4)
    y, saved = attention(q, k, v, pattern=pattern)
    dq, dk, dv = attention_backward(np.ones_like(y), saved)
    blind = t if s == 0 else max(0, t - s) if pattern is CAUSAL else 0
    assert not y[:, :, :blind].any() and not dq[:, :, :blind].any()
    assert dk.shape == k.shape and dv.shape == v.shape and y.shape == q.shape


@given(data=st.data())
@pytest.mark.parametrize("keys", [2, attention_tiles.KEYS])
@pytest.mark.parametrize("hidden", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", MASKS[1:])
def test_masked_positions_leak_nothing(kind, hidden, keys, data):
    """Catches 0 * NaN in every product: no number in keys that no query sees, or in queries that see no key, counts."""
    make = Drawn(data.draw)
    b, h, t, s, k = make.sizes(5)
    q, key, v, dy = (make.array(b, h, n, k) for n in (t, s, s, t))
    options, allowed = options_of(kind, b, h, t, s, np.random.default_rng(make.integers(0, 99)))
    expected = results(q, key, v, dy, **options)
    unseen, blind = ~allowed.any(2), ~allowed.any(3)
    for array in (expected["dk"][unseen], expected["dv"][unseen], expected["y"][blind], expected["dq"][blind]):
        assert not array.any()
    key[unseen] = v[unseen] = q[blind] = dy[blind] = hidden
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_tiles, "KEYS", keys)
        actual = results(q, key, v, dy, **options)
    assert_same(actual, expected, "hidden values", 1e-13)
    for name, rows in (("dk", unseen), ("dv", unseen), ("y", blind), ("dq", blind)):
        assert not actual[name][rows].any(), f"{name} is not 0 at masked positions"


@pytest.mark.parametrize("array", ["key", "v"])
def test_a_future_nan_stays_in_the_future(array):
    """Catches causal leaks: a NaN at position 4 must reach the queries from 4 on, and no gradient of those before."""
    b, h, n, k = 1, 2, 7, 3
    q, key, v = qkv(b, h, n, n, k)
    dy = np.ones_like(q)
    dy[:, :, 4:] = 0
    expected = results(q, key, v, dy, pattern=CAUSAL)
    {"key": key, "v": v}[array][:, :, 4] = np.nan
    y, saved = attention(q, key, v, pattern=CAUSAL)
    np.testing.assert_allclose(y[:, :, :4], expected["y"][:, :, :4], rtol=0, atol=1e-15)
    assert np.isnan(y[:, :, 4:]).all()
    np.testing.assert_allclose(attention_backward(dy, saved)[0][:, :, :4], expected["dq"][:, :, :4], rtol=0, atol=1e-15)


@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_nan_that_is_not_masked_is_not_hidden(name, nan):
    """Catches a diverged model that goes on with zeros: a row of NaN scores must not pass as a row masked whole."""
    arrays = dict(zip("qkv", qkv(1, 1, 3, 4, 2), strict=True))
    arrays[name][:] = nan
    y, saved = attention(**arrays)
    assert np.isnan(y).all()
    assert np.isnan(attention_backward(np.ones_like(y), saved)[1]).any()


@pytest.mark.parametrize("size", [1e4, 1e9, 1e12, 1e17])
def test_large_scores_are_finite(size):
    """Catches an exponent that is rounded in one place and not in another, so that the largest is not e^0."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 2, 20, 3)).astype(np.float32) for _ in range(3))
    q *= np.float32(math.sqrt(size))
    k *= np.float32(math.sqrt(size))
    y, saved = attention(q, k, v, pattern=CAUSAL)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(attention_weights(saved).sum(-1), 1, rtol=1e-5)
    assert np.abs(y).max() <= np.abs(v).max() * 1.0001
    assert all(np.isfinite(gradient).all() for gradient in attention_backward(np.ones_like(y), saved))


@pytest.mark.parametrize("layout", [(0, 1, 2, 3), (0, 2, 1, 3), (1, 0, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_layout_is_kept_and_does_not_matter(layout):
    """Catches a product whose result is laid out as its arguments are, and then flattened into a copy."""

    def laid_out(array):
        return np.ascontiguousarray(array.transpose(layout)).transpose(np.argsort(layout))

    q, k, v = qkv(2, 3, 5, 4, 6)
    dy = np.random.default_rng(1).normal(size=q.shape)
    expected = results(q, k, v, dy, pattern=CAUSAL)
    actual = results(*map(laid_out, (q, k, v, dy)), pattern=CAUSAL)
    assert_same(actual, expected, f"layout {layout}", 1e-13)
    assert actual["y"].strides == laid_out(q).strides and actual["dk"].strides == laid_out(k).strides


@pytest.mark.compiled
def test_memory_is_linear_in_the_length():
    """Catches a (T, S) array, of scores or of a mask, that exists whole."""

    def peak(n, **options):
        q, k, v = qkv(1, 2, n, n, 8, np.float32)
        tracemalloc.start()
        y, saved = attention(q, k, v, **options)
        attention_backward(y, saved)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    for options in ({"pattern": CAUSAL}, {"dropout": 0.1, "key": 1}):
        peak(64, **options)  # compile
        short, long = peak(1536, **options), peak(3072, **options)  # tiles are as large as they get
        assert long < 2.2 * short
        assert long < 0.8 * 3072 * 3072  # of which one byte for each pair, in one head, would be all


# ---------------------------------------------------------------------------------------- dropout of the weights


def test_dropped_weights_are_those_of_the_dropout_operation():
    """Catches dropout before the softmax, or without 1/(1-p); (B, H, T) counts the rows of the mask."""
    b, h, t, s, k = 2, 3, 5, 7, 4
    arrays = qkv(b, h, t, s, k)
    options = {"dropout": 0.4, "key": 99, "first_row": 3}
    y, saved = attention(*arrays, **options)
    p = attention_weights(attention(*arrays)[1])
    expected, _ = dropout(p, 0.4, 99, first_row=3 * h * t)
    np.testing.assert_allclose(attention_weights(saved), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(y, expected @ arrays[2], rtol=0, atol=1e-14)


def test_gradient_of_values_comes_from_the_dropped_weights():
    """Catches dV from undropped weights, which nobody sees without dropout."""
    arrays = qkv(2, 3, 5, 7, 4)
    y, saved = attention(*arrays, dropout=0.4, key=99)
    dy = np.random.default_rng(3).normal(size=y.shape)
    dv = attention_backward(dy, saved)[2]
    np.testing.assert_allclose(dv, attention_weights(saved).swapaxes(2, 3) @ dy, rtol=0, atol=1e-14)


def test_dropout_of_a_shard_is_that_of_the_whole_batch():
    """Catches a mask that depends on how many threads shared the batch."""
    arrays = qkv(5, 2, 6, 6, 4)
    dy = np.random.default_rng(3).normal(size=arrays[0].shape)
    options = {"dropout": 0.3, "key": 7, "pattern": CAUSAL}
    whole = results(*arrays, dy, **options)
    part = results(*(array[2:4] for array in (*arrays, dy)), first_row=2, **options)
    assert_same(part, {name: array[2:4] for name, array in whole.items()}, "shard", 1e-13)


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": np.zeros((2, 3, 5, 8))}, r"q \(2, 3, 5, 8\) and k \(2, 3, 7, 4\) do not fit"),
        ({"q": np.zeros((2, 4, 5, 4))}, "k .* has 3 heads, which do not divide the 4 of q"),
        ({"q": np.zeros((3, 5, 4))}, "do not fit"),
        ({"v": np.zeros((2, 3, 6, 4))}, r"v has shape \(2, 3, 6, 4\), expected \(2, 3, 7, 4\)"),
        ({"mask": np.zeros((2, 3, 5, 7))}, "mask is float64, expected bool"),
        ({"mask": np.ones((9, 8), bool)}, r"mask has shape \(9, 8\), expected one that broadcasts to \(2, 3, 5, 7\)"),
        ({"mask": np.ones((1, 1, 1, 1, 1), bool)}, r"mask has shape \(1, 1, 1, 1, 1\), expected one that broadcasts"),
        ({"mask": np.zeros((5, 6), bool)}, r"mask has shape \(5, 6\), expected one that broadcasts to \(2, 3, 5, 7\)"),
        ({"mask": np.zeros((2, 1, 2, 7), bool)}, r"mask has shape \(2, 1, 2, 7\), expected one that broadcasts"),
        ({"mask": np.zeros((4, 2, 3, 5, 7), bool)}, r"mask has shape \(4, 2, 3, 5, 7\), expected one that broadcasts"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"bias": np.zeros((5, 7))}, r"bias has shape \(5, 7\), expected \(B, H, T, S\)"),
        ({"bias": np.zeros((2, 2, 5, 7))}, r"bias has shape \(2, 2, 5, 7\), expected one that broadcasts"),
        ({"pattern": Documents(np.zeros((2, 5), int))}, r"ids have shape \(2, 5\), expected \(2, 7\) or \(1, 7\)"),
        ({"pattern": Prefix([1, 2, 3])}, "length has 3 numbers, expected one for each of 2 rows"),
    ],
)
def test_refuses_what_does_not_fit(change, message):
    arrays = dict(zip("qkv", qkv(2, 3, 5, 7, 4), strict=True))
    with pytest.raises((TypeError, ValueError), match=message):
        attention(**arrays | change)


def test_refuses_mixed_dtypes():
    q, k, v = qkv(2, 3, 5, 7, 4)
    with pytest.raises(TypeError, match="q is float64, k is float32"):
        attention(q, k.astype(np.float32), v)
