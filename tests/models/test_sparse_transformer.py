"""Sparse Transformer: the patterns reach everything in two steps, skip what they do not see, and are a mask's result."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import DotProduct, Sparse
from tinytx.models import GPT, GPTConfig, SparseTransformer, SparseTransformerConfig
from tinytx.ops.attention_patterns import CAUSAL, Band, Blocks, Ends, Strided
from tinytx.ops.attention_tiles import KEY, KEY_STOP, QUERY, QUERY_STOP, lists_of_tiles
from tinytx.ops.sparse_attention import key_sets

SIZES = {"max_len": 12, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7}


def pattern_of(kind, stride, n_ends=1):
    return CAUSAL & (Band(stride - 1, 0) | Strided(stride) if kind == "strided" else Blocks(stride) | Ends(stride, n_ends))


@pytest.mark.parametrize(("kind", "n_ends"), [("strided", 1), ("fixed", 1), ("fixed", 3), ("fixed", 17)])
@pytest.mark.parametrize("n", [300, 16])
def test_the_sets_are_one_softmax_under_the_mask(kind, n_ends, n):
    """Many tiles of each set, groups of heads, and a sequence that ends inside a block; gradients too."""
    rng = np.random.default_rng(0)
    q, dy = rng.normal(size=(2, 4, n, 5)), rng.normal(size=(2, 4, n, 3))
    k, v = rng.normal(size=(2, 2, n, 5)), rng.normal(size=(2, 2, n, 3))
    y, saved = ops.sparse_attention(q, k, v, kind=kind, stride=17, n_ends=n_ends, scale=0.7)
    expected, saved_whole = ops.attention(q, k, v, pattern=pattern_of(kind, 17, n_ends), scale=0.7)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)
    pairs = zip(ops.sparse_attention_backward(dy, saved), ops.attention_backward(dy, saved_whole), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "n_ends"), [("strided", 1), ("fixed", 2)])
def test_two_steps_reach_every_earlier_place(kind, n_ends):
    n = 50
    seen = pattern_of(kind, 7, n_ends).allowed(slice(0, 1), slice(0, n), slice(0, n)).reshape(n, n)
    assert not np.array_equal(seen, np.tri(n, dtype=bool))
    np.testing.assert_array_equal((seen.astype(int) @ seen) > 0, np.tri(n, dtype=bool))


def scores(pattern, n_queries, n_keys):
    """The elements of all tiles that attention computes."""
    tiles = np.concatenate(lists_of_tiles((1, 1, 1, n_queries), n_keys, pattern))
    return ((tiles[:, QUERY_STOP] - tiles[:, QUERY]) * (tiles[:, KEY_STOP] - tiles[:, KEY])).sum()


@pytest.mark.parametrize("kind", ["strided", "fixed"])
def test_tiles_are_skipped(kind):
    """At 8,192 words a sparse pattern computes less than a fifth of what the causal one does, and at 16,384 at most 2.9 times as much."""
    counts = []
    for n, stride in ((8192, 91), (16384, 128)):
        sets = key_sets(kind, n, stride)
        counts.append(sum(scores(s.pattern, n, n if s.keys is None else len(s.keys)) for s in sets))
    assert counts[0] < scores(CAUSAL, 8192, 8192) / 5
    assert counts[1] < 2.9 * counts[0]


@pytest.mark.parametrize("settings", [{"kind": "strided", "stride": 12}, {"kind": "fixed", "stride": 12}, {"kind": "fixed", "stride": 4, "n_ends": 4}])
def test_where_a_word_sees_all_it_is_gpt(settings):
    """Outputs and gradients, with random parameters."""
    sparse = SparseTransformer(SparseTransformerConfig(11, **SIZES, **settings), rng=np.random.default_rng(0), dtype=np.float64)
    gpt = GPT(GPTConfig(11, **SIZES), rng=np.random.default_rng(0), dtype=np.float64)
    rng, ids = np.random.default_rng(1), np.random.default_rng(2).integers(0, 11, (2, 12))
    for ours, theirs in zip(sparse.parameters(), gpt.parameters(), strict=True):
        ours.data[...] = theirs.data[...] = rng.normal(size=ours.data.shape)
    tapes = Tape(), Tape()
    ys = [body(ids, tape) for body, tape in zip((sparse, gpt), tapes, strict=True)]
    np.testing.assert_allclose(*ys, rtol=0, atol=1e-11)
    for body, tape in zip((sparse, gpt), tapes, strict=True):
        body.backward(np.cos(np.arange(ys[0].size)).reshape(ys[0].shape), tape)
    for (path, ours), theirs in zip(sparse.named_parameters(), gpt.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=0, atol=1e-11 * max(1, np.abs(theirs.grad).max()), err_msg=path)


@pytest.mark.parametrize(("kind", "seen"), [("strided", {2, 5, 8, 9, 10, 11}), ("fixed", {1, 2, 4, 5, 7, 8, 9, 10, 11})])
def test_a_word_depends_on_what_its_pattern_shows(kind, seen):
    """One block, the last of twelve words; catches a stride or a number of ends that gets lost."""
    config = SparseTransformerConfig(11, **SIZES | {"n_layers": 1}, kind=kind, stride=3, n_ends=2 if kind == "fixed" else 1)
    body = SparseTransformer(config, rng=np.random.default_rng(0), dtype=np.float64)
    ids = np.arange(12)[None] % 10
    before, moved = body(ids)[0, -1], set()
    for place in range(12):
        other = ids.copy()
        other[0, place] = 10
        if not np.array_equal(body(other)[0, -1], before):
            moved.add(place)
    assert moved == seen


def test_more_ends_than_places_are_refused():
    with pytest.raises(ValueError, match="SparseTransformerConfig: n_ends is 9, expected at most stride, 8"):
        SparseTransformerConfig(11, kind="fixed", n_ends=9)


@pytest.mark.parametrize("kind", ["strided", "fixed"])
def test_the_core_has_its_scale(kind):
    core, x = Sparse(kind, 3, scale=0.3), np.random.default_rng(0).normal(size=(2, 1, 7, 4))
    np.testing.assert_allclose(core(x, x, x), DotProduct(pattern=pattern_of(kind, 3), scale=0.3)(x, x, x), rtol=0, atol=1e-14)


def test_weights_are_dropped_in_training():
    config = SparseTransformerConfig(11, **SIZES, stride=3, attention_dropout=0.5)
    body, ids = SparseTransformer(config, rng=np.random.default_rng(0)), np.arange(10)[None]
    assert not np.array_equal(body(ids, Tape(seed=1)), body(ids, Tape()))
