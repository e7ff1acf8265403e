"""Patterns: each is the mask that its words say, forward and backward, and a window never costs the whole of P."""

import tracemalloc

import numpy as np
import pytest
from properties import assert_same

from tinytx.ops import attention, attention_backward, attention_saved, attention_tiles, attention_weights
from tinytx.ops.attention_patterns import CAUSAL, FULL, Band, Blocks, Documents, Ends, Prefix, Strided
from tinytx.ops.attention_tiles import KEY, KEY_STOP, QUERY, QUERY_STOP, lists_of_tiles

B, H, K = 3, 2, 4
IDS = np.array([[0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3], [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5], [0, 1, 2, 2, 2, 2, 2, 2, 1, 1, 0]])

# name -> the pattern for S keys, and its rule in words for one query at place p, one key at place s, one row b
PATTERNS = {
    "full": (lambda n: FULL, lambda b, p, s: True),
    "causal": (lambda n: CAUSAL, lambda b, p, s: s <= p),
    "window": (lambda n: Band(2, 1), lambda b, p, s: p - 2 <= s <= p + 1),
    "itself": (lambda n: Band(0, 0), lambda b, p, s: s == p),
    "what comes": (lambda n: Band(0, None), lambda b, p, s: s >= p),
    "causal window": (lambda n: CAUSAL & Band(2, 5), lambda b, p, s: p - 2 <= s <= p),
    "two windows": (lambda n: Band(3, 0) | Band(1, 2), lambda b, p, s: p - 3 <= s <= p + 2),
    "strided": (lambda n: CAUSAL & (Band(1, 0) | Strided(3)), lambda b, p, s: s <= p and (p - s < 2 or (p - s) % 3 == 0)),
    "stride both ways": (lambda n: Strided(2), lambda b, p, s: (p - s) % 2 == 0),
    "what was": (lambda n: Band(None, -1), lambda b, p, s: s < p),
    "blocks": (lambda n: Blocks(3), lambda b, p, s: p // 3 == s // 3),
    "blocks before": (lambda n: Blocks(2, 2), lambda b, p, s: 0 <= p // 2 - s // 2 <= 2),
    "ends of blocks": (lambda n: Ends(4, 2), lambda b, p, s: s % 4 >= 2),
    "fixed": (lambda n: CAUSAL & (Blocks(3) | Ends(3, 1)), lambda b, p, s: s <= p and (p // 3 == s // 3 or s % 3 == 2)),
    "prefix": (lambda n: CAUSAL | Prefix(3), lambda b, p, s: s <= p or s < 3),
    "prefix and window": (lambda n: Prefix(2) | Band(1, 0), lambda b, p, s: s < 2 or p - 1 <= s <= p),
    "window in a prefix": (lambda n: Prefix(7) | Band(1, 0), lambda b, p, s: s < 7 or p - 1 <= s <= p),
    "prefix of each row": (lambda n: CAUSAL | Prefix([0, 2, 9]), lambda b, p, s: s <= p or s < (0, 2, 9)[b]),
    "blocks in a prefix": (lambda n: Blocks(2) & Prefix(3) | Band(0, 0), lambda b, p, s: s == p or s < 3 and p // 2 == s // 2),
    "documents": (lambda n: Documents(IDS[:, :n]), lambda b, p, s: IDS[b, p] == IDS[b, s]),
    "documents for all rows": (lambda n: Documents(IDS[:1, :n]), lambda b, p, s: IDS[0, p] == IDS[0, s]),
    "causal documents": (lambda n: CAUSAL & Documents(IDS[:, :n]), lambda b, p, s: s <= p and IDS[b, p] == IDS[b, s]),
    "documents or prefix": (lambda n: Documents(IDS[:, :n]) | Prefix(1), lambda b, p, s: s < 1 or IDS[b, p] == IDS[b, s]),
}


def explicit(rule, t, s):
    """Return the rule as a mask (B, 1, T, S): query t stands at place S - T + t."""
    return np.array([[[[bool(rule(b, i + s - t, j)) for j in range(s)] for i in range(t)]] for b in range(B)])


def results(arrays, dy, **options):
    (y, lse), saved = attention(*arrays, log_sum_exp=True, **options)
    gradients = attention_backward((dy, dy[..., 0]), saved)
    named = dict(zip(("dq", "dk", "dv", "dbias"), gradients, strict=False))
    return {"y": y, "log-sum-exp": np.where(lse == -np.inf, -9, lse), "weights": attention_weights(saved)} | named


@pytest.mark.parametrize(("block", "keys", "most"), [(64, 768, 1 << 20), (2, 3, 0), (1, 1, 1 << 20), (3, 5, 0)])
@pytest.mark.parametrize(("t", "s"), [(11, 11), (4, 11), (1, 9), (7, 5)])
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_its_mask(name, t, s, block, keys, most, monkeypatch):
    """Catches a tile left out that somebody sees, and a place counted from the first query: tiles below and above the window."""
    make, rule = PATTERNS[name]
    if "documents" in name and t > s:
        pytest.skip("a document holds its queries")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(B, H, n, K)) for n in (t, s, s)] + [rng.normal(size=(1, H, t, s))]
    dy = rng.normal(size=(B, H, t, K))
    mask = explicit(rule, t, s)
    expected = results(arrays, dy, mask=mask, dropout=0.3, key=5)
    monkeypatch.setattr(attention_tiles, "BLOCK", block)
    monkeypatch.setattr(attention_tiles, "KEYS", keys)
    monkeypatch.setattr(attention_saved, "MASK", most)
    pattern = make(s)
    assert_same(results(arrays, dy, pattern=pattern, dropout=0.3, key=5), expected, "pattern", 1e-12)
    np.testing.assert_array_equal(
        np.broadcast_to(pattern.allowed(slice(0, B), slice(s - t, s), slice(0, s)), (B, t, s)), mask[:, 0]
    )


@pytest.mark.parametrize("shape", [(B, 1, 1, 11), (1, H, 11, 1), (B, H, 11, 11)])
@pytest.mark.parametrize("most", [1 << 20, 0])
@pytest.mark.parametrize("name", ["window", "prefix of each row", "documents for all rows"])
def test_a_pattern_and_a_mask(name, most, shape, monkeypatch):
    """Catches one that is forgotten where there is the other, and a tile's part of a mask that it shares with others."""
    (make, rule), rng = PATTERNS[name], np.random.default_rng(0)
    arrays, own, dy = [rng.normal(size=(B, H, 11, K)) for _ in "qkv"], rng.random(shape) < 0.6, rng.normal(size=(B, H, 11, K))
    expected = results(arrays, dy, mask=own & explicit(rule, 11, 11))
    monkeypatch.setattr(attention_tiles, "BLOCK", 4)
    monkeypatch.setattr(attention_tiles, "KEYS", 5)
    monkeypatch.setattr(attention_saved, "MASK", most)
    assert_same(results(arrays, dy, mask=own, pattern=make(11)), expected, "pattern and mask", 1e-12)


@pytest.mark.parametrize("name", PATTERNS)
def test_spans_are_apart_and_hold_what_is_seen(name):
    make, rule = PATTERNS[name]
    pattern, mask = make(11), explicit(rule, 11, 11)[:, 0]
    for start in range(11):
        for stop in range(start + 1, 12):
            spans = pattern.spans(slice(0, B), start, stop, 11)
            ends = [end for span in spans for end in span]
            assert ends == sorted(ends) and all(first < last for first, last in spans)
            inside = [key for first, last in spans for key in range(first, last)]
            assert len(set(inside)) == len(inside)
            assert set(np.flatnonzero(mask[:, start:stop].any(axis=(0, 1)))) <= set(inside)


def elements(pattern, t, rows=1):
    """Return how many scores are computed for one head."""
    tiles = np.concatenate(lists_of_tiles((rows, 1, 1, t), t, pattern))
    return ((tiles[:, QUERY_STOP] - tiles[:, QUERY]) * (tiles[:, KEY_STOP] - tiles[:, KEY])).sum()


@pytest.mark.parametrize("keys", [3, 768])
@pytest.mark.parametrize("array", ["q", "k", "v", "dy"])
@pytest.mark.parametrize("name", ["causal", "causal window", "documents"])
def test_a_nan_reaches_those_that_see_it_and_no_others(name, array, keys, monkeypatch):
    """Catches 0 * NaN in each product: of queries and gradients that a key is not seen by, and of keys and values that a query does not see."""
    (make, rule), rng, n, at = PATTERNS[name], np.random.default_rng(0), 11, 4
    seen = explicit(rule, n, n)[:, 0]  # (B, T, S)
    arrays = {each: rng.normal(size=(B, H, n, K)) for each in ("q", "k", "v", "dy")}
    monkeypatch.setattr(attention_tiles, "KEYS", keys)

    def found():
        y, saved = attention(arrays["q"], arrays["k"], arrays["v"], pattern=make(n))
        return dict(zip(("y", "dq", "dk", "dv"), (y, *attention_backward(arrays["dy"], saved)), strict=True))

    expected = found()
    arrays[array][:, :, at] = np.nan
    one = np.broadcast_to(np.arange(n) == at, (B, n))
    if array in "kv":
        reached = {"y": seen[:, :, at], "dq": seen[:, :, at]}
    else:
        reached = {"dq": one, "dk": seen[:, at], "dv": seen[:, at]} | ({"y": one} if array == "q" else {})
    actual = found()
    for result, where in reached.items():
        where = np.broadcast_to(where[:, None, :, None], (B, H, n, K))
        np.testing.assert_array_equal(np.isnan(actual[result]), where, err_msg=result)
        np.testing.assert_allclose(actual[result][~where], expected[result][~where], rtol=1e-12, atol=1e-14, err_msg=result)


def test_a_window_costs_what_it_sees():
    """Catches tiles that are computed and then masked."""
    n = 4096
    assert elements(FULL, n) == n * n
    assert elements(CAUSAL, n) < 0.6 * n * n
    assert elements(CAUSAL & Band(255, 0), n) < 1.5 * 256 * n
    assert elements(Band(32, 32), n) < 2.5 * 65 * n
    assert elements(CAUSAL & Documents(np.arange(n)[None] // 128), n) < 3 * 128 * n  # blocks of queries in 2 documents
    assert elements(Prefix(64) | Band(63, 0), n) < 4 * 128 * n
    assert elements(CAUSAL | Prefix([0, n]), n, 2) < 1.6 * n * n  # each row has tiles of its own


@pytest.mark.compiled
def test_a_window_over_16k_words_never_has_all_scores():
    """Catches a (T, S) array of any kind, of one byte an element too."""
    n, rng = 16384, np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 1, n, 4)).astype(np.float32) for _ in range(3))
    for pattern in (CAUSAL & Band(63, 0), CAUSAL & Documents(np.arange(n)[None] // 100)):
        attention_backward(*attention(q[:, :, :64], k[:, :, :64], v[:, :, :64], pattern=CAUSAL))  # compile
        tracemalloc.start()
        y, saved = attention(q, k, v, pattern=pattern)
        attention_backward(y, saved)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert top < 60 * q.nbytes < n * n / 15


def test_numbers_and_places_are_checked():
    for wrong in (-1, 1.5, "2"):
        with pytest.raises((TypeError, ValueError), match="Band: left is"):
            Band(wrong, 0)
    with pytest.raises(ValueError, match="Strided: stride is 0"):
        Strided(0)
    with pytest.raises(ValueError, match="Blocks: size is 0"):
        Blocks(0)
    with pytest.raises(ValueError, match="Blocks: before is -1"):
        Blocks(3, -1)
    with pytest.raises(ValueError, match="Ends: n is 4, .* at least 1 and at most 3"):
        Ends(3, 4)
    with pytest.raises(ValueError, match="Band: right is -2"):
        Band(3, -2)
    with pytest.raises(ValueError, match="Prefix: length is -1, expected a number of keys"):
        Prefix(-1)
    with pytest.raises(ValueError, match=r"Documents: ids have shape \(3,\), expected \(B, S\)"):
        Documents([0, 0, 1])
    for whole in (Documents([[0, 0, 1]]), CAUSAL & Documents([[0, 0, 1]]), Documents([[0, 0, 1]]) | CAUSAL):
        with pytest.raises(ValueError, match="the last 4 of which are the queries'"):
            attention(*np.zeros((3, 1, 1, 4, 2))[:1], *np.zeros((2, 1, 1, 3, 2)), pattern=whole)
