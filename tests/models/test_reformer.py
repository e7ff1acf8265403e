"""Reformer: attention that meets everybody in one chunk, choices that a second forward keeps, and what decoding reads."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import HashedSelfAttention, MultiHeadAttention
from tinytx.models import Reformer, ReformerConfig
from tinytx.ops.attention_patterns import CAUSAL, Blocks
from tinytx.state import State

SIZES = {"max_len": 24, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7, "chunk": 4, "n_buckets": 4, "n_rounds": 2}
IDS = np.random.default_rng(0).integers(0, 11, (2, 10))


def reformer(**options):
    body = Reformer(ReformerConfig(11, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for i, parameter in enumerate(body.parameters()):
        parameter.data[...] = np.random.default_rng(i).normal(size=parameter.data.shape)
    return body


def test_one_chunk_is_full_attention():
    """All places meet in each round: the softmax over all earlier keys, and the first place sees itself."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, 8, 4)) for _ in range(3))
    y, _ = ops.lsh_attention(q, k, v, rng.integers(0, 4, (2, 3, 5, 8)), chunk=8)
    expected, _ = ops.attention(q, k, v, mask=np.tri(8, k=-1, dtype=bool))
    expected[:, :, 0] = v[:, :, 0]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("causal", [True, False])
def test_weights_are_those_of_the_output(causal):
    layer = HashedSelfAttention(6, 2, n_buckets=4, n_rounds=3, chunk=2, causal=causal, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(2, 8, 6))
    weights = layer.attention_weights(x)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-14)
    v = layer.value(x).reshape(2, 8, 2, 3).swapaxes(1, 2)
    np.testing.assert_allclose(layer.output((weights @ v).swapaxes(1, 2).reshape(2, 8, 6)), layer(x), rtol=0, atol=1e-14)


def test_close_vectors_share_their_bucket():
    """Catches a bucket of the largest product without its sign, and heads or rounds that are exchanged."""
    rng = np.random.default_rng(0)
    x, rotations = rng.normal(size=(1, 2, 50, 8)), rng.normal(size=(2, 8, 3, 4))
    buckets = ops.lsh_buckets(x, rotations)
    np.testing.assert_array_equal(ops.lsh_buckets(x * 3, rotations), buckets)
    opposite = ops.lsh_buckets(-x, rotations)
    np.testing.assert_array_equal(opposite, (buckets + 4) % 8)
    for h, t, r in np.ndindex(2, 50, 3):
        products = x[0, h, t] @ rotations[h, :, r]
        assert buckets[0, h, r, t] == np.argmax([*products, *-products])


def test_more_rounds_find_more_of_the_attention():
    """Of 256 vectors in clusters: the share of the full softmax that falls on those who meet."""
    rng, shares = np.random.default_rng(0), []
    x = np.repeat(rng.normal(size=(1, 1, 32, 16)), 8, axis=2) + 0.5 * rng.normal(size=(1, 1, 256, 16))
    k = x / np.linalg.norm(x, axis=-1, keepdims=True)
    a = np.where(np.eye(256), -np.inf, x @ k.swapaxes(2, 3))
    whole = np.exp(a - a.max(axis=3, keepdims=True))
    whole /= whole.sum(axis=3, keepdims=True)
    for rounds in (1, 2, 4, 8):
        buckets = ops.lsh_buckets(x, rng.normal(size=(1, 16, rounds, 8)))
        shares.append(whole[ops.lsh_weights(x, k, buckets, chunk=16, causal=False) > 0].sum() / 256)
    assert all(np.diff(shares) > 0.03) and shares[-1] > 0.8


def test_a_second_forward_keeps_the_buckets(monkeypatch):
    """Backward computes inputs back, with errors in the last digit: a bucket made anew could be another."""
    calls, make = [], ops.lsh_buckets
    monkeypatch.setattr("tinytx.layers.attention.hashed.ops.lsh_buckets", lambda *arrays: calls.append(0) or make(*arrays))
    body, tape = reformer(), Tape(seed=1)
    y = body(IDS, tape)
    body.backward(y, tape)
    tape.check_empty()
    assert len(calls) == SIZES["n_layers"]


def test_each_head_and_round_has_its_rotation():
    layer = HashedSelfAttention(6, 2, n_buckets=4, n_rounds=3, rng=np.random.default_rng(0))
    assert layer.rotations(None, 5, np.float32).shape == (2, 5, 3, 2)


def test_each_step_has_its_rotations():
    """And each layer, with a seed; without one all calls have the same."""
    drawn = {}
    layer = HashedSelfAttention(6, 2, n_buckets=4, n_rounds=2, chunk=2, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(2, 8, 6)).astype(np.float32)
    for name, tape in {"no tape": None, "no seed": Tape(), "1": Tape(seed=1), "1 again": Tape(seed=1), "2": Tape(seed=1, step=2)}.items():
        drawn[name] = layer(x, tape).tobytes()
    assert drawn["no tape"] == drawn["no seed"] and drawn["1"] == drawn["1 again"]
    assert len(set(drawn.values())) == 3


def test_no_value_of_a_later_word_reaches_an_earlier_one():
    """The gradient of a word's output by later embeddings is exactly 0, with the buckets as they are."""
    layer = HashedSelfAttention(6, 2, n_buckets=4, n_rounds=2, chunk=2, rng=np.random.default_rng(0), dtype=np.float64)
    x, tape = np.random.default_rng(1).normal(size=(1, 8, 6)), Tape()
    y = layer(x, tape)
    dy = np.zeros_like(y)
    dy[0, 3] = 1
    dx = layer.backward(dy, tape)
    assert not dx[0, 4:].any() and dx[0, :4].any()


def test_a_shard_drops_the_weights_of_its_own_rows():
    layer = HashedSelfAttention(6, 2, n_buckets=4, n_rounds=2, chunk=2, dropout=0.5, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(3, 8, 6))
    np.testing.assert_array_equal(layer(x[1:], Tape(seed=1, first_row=1)), layer(x, Tape(seed=1))[1:])


def test_settings_reach_the_attention():
    attention = reformer(attention_dropout=0.3, n_rounds=3).stack.fs[1].layers[1]
    assert (attention.p, attention.n_rounds, attention.n_buckets, attention.chunk) == (0.3, 3, 4, 4)


def test_some_blocks_are_local():
    """Kinds repeat over the blocks; each has its own chunks and dropout, and sees its chunk and the one before."""
    settings = {"kinds": "hashed,local", "n_layers": 4, "local_chunk": 3, "d_key": 5, "attention_dropout": 0.3, "local_dropout": 0.1}
    attentions = [part.layers[1] for part in reformer(**settings).stack.fs]
    assert [type(attention) for attention in attentions] == [HashedSelfAttention, MultiHeadAttention] * 2
    cores = [attention.core for attention in attentions[1::2]]
    assert {(core.pattern, core.p) for core in cores} == {(CAUSAL & Blocks(3, 1), 0.1)} and attentions[0].p == 0.3
    assert reformer(kinds="local", attention_dropout=0.3).stack.fs[0].layers[1].core.p == 0.3
    assert reformer(kinds="local").stack.fs[0].layers[1].core.pattern == CAUSAL & Blocks(SIZES["chunk"], 1)
    assert reformer(kinds="local", max_len=10)(IDS).shape == (2, 10, 12)  # and need no whole chunks


def test_a_text_is_filled_up_to_whole_chunks():
    """Ten words in chunks of four; words that fill up move nothing but through the sort, and have no gradient."""
    body = reformer()
    assert body(IDS).shape == (2, 10, 12)
    assert body(IDS[:, :3]).shape == (2, 3, 12)  # shorter than a chunk: not filled up
    with pytest.raises(ValueError, match="Reformer: ids are 25 positions, expected at most max_len = 24"):
        body(np.zeros((1, 25), int))


def test_a_state_holds_the_tokens():
    body, state = reformer(), State()
    body(IDS[:, :6], state=state)
    np.testing.assert_array_equal(body(IDS[:, 6:], state=state), body(IDS)[:, 6:])
    with pytest.raises(ValueError, match="Reformer: a state holds tokens, which have no gradient"):
        body(IDS, Tape(), state=State())


def test_settings_are_checked():
    with pytest.raises(ValueError, match="kinds is 'hashed,dense', expected hashed or local, or a list of them"):
        ReformerConfig(11, kinds="hashed,dense")
    with pytest.raises(ValueError, match="max_len is 250, expected a multiple of chunk = 32, or no more than it"):
        ReformerConfig(11, max_len=250)
    with pytest.raises(ValueError, match="n_buckets is 5, expected an even number"):
        ReformerConfig(11, n_buckets=5)
    with pytest.raises(ValueError, match="HashedSelfAttention: n_buckets is 5, expected an even number"):
        HashedSelfAttention(6, 2, n_buckets=5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="lsh_attention: chunk is 3, expected a divisor of the 8 places"):
        HashedSelfAttention(6, 2, n_buckets=4, chunk=3, rng=np.random.default_rng(0))(np.ones((1, 8, 6), np.float32))
