"""The chunked loss beside the plain pair: value and gradient, whatever the chunks, with unequal numbers of targets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx import ops

N, D, V = 11, 4, 7


def plain(x, weight, targets, dloss=1.0, **options):
    """Return loss, dx and dweight of `linear` and `cross_entropy`, one after the other."""
    logits, linear_saved = ops.linear(x, weight)
    loss, saved = ops.cross_entropy(logits, targets, **options)
    dx, dweight, _ = ops.linear_backward(ops.cross_entropy_backward(dloss, saved), linear_saved)
    return loss, dx, dweight


def chunked(x, weight, targets, dloss=1.0, **options):
    loss, saved = ops.linear_cross_entropy(x, weight, targets, **options)
    return loss, *ops.linear_cross_entropy_backward(dloss, saved)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, V, N)
    targets[[1, 2, 3, 4, 8]] = -7  # chunks of 2 to 4 rows hold from none to all targets that count
    return rng.normal(size=(N, D)), rng.normal(size=(D, V)), targets


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 10, 11, 12, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("count", [None, 3, 50])
@pytest.mark.parametrize("transposed", [False, True])
def test_chunks_change_nothing(problem, rows, smoothing, count, transposed):
    """Catches a chunk's own mean, a last chunk that is forgotten or counted twice, and dW of one chunk alone."""
    x, weight, targets = problem
    weight = np.asfortranarray(weight) if transposed else weight
    options = {"ignore_index": -7, "label_smoothing": smoothing, "count": count}
    expected = plain(x, weight, targets, -1.5, **options)
    actual = chunked(x, weight, targets, -1.5, chunk=rows * V, **options)
    assert math.isclose(actual[0], expected[0], rel_tol=1e-14)
    for found, one in zip(actual[1:], expected[1:], strict=True):
        np.testing.assert_allclose(found, one, rtol=0, atol=1e-14)
    if transposed:
        assert actual[2].T.flags.c_contiguous


@given(chunk=st.integers(1, 100), seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(N,), (3, 5), (2, 1, 4), (1,)]))
def test_any_chunk_and_shape(chunk, seed, shape):
    rng = np.random.default_rng(seed)
    x, weight, targets = rng.normal(size=(*shape, D)), rng.normal(size=(D, V)), rng.integers(0, V, shape)
    targets[rng.random(shape) < 0.5] = -100
    targets.flat[0] = 2
    for found, one in zip(chunked(x, weight, targets, chunk=chunk), plain(x, weight, targets), strict=True):
        np.testing.assert_allclose(found, one, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 3, 11])
def test_float32_beside_float64(problem, rows):
    """Catches sums over chunks that lose digits where chunks differ much in size."""
    x, weight, targets = problem
    x = x * np.geomspace(1e-3, 1e3, N)[:, None]
    options = {"ignore_index": -7, "chunk": rows * V}
    single = chunked(x.astype(np.float32), weight.astype(np.float32), targets, **options)
    double = chunked(x, weight, targets, **options)
    assert math.isclose(single[0], double[0], rel_tol=1e-6)
    for found, one in zip(single[1:], double[1:], strict=True):
        assert found.dtype == np.float32
        assert np.abs(found - one).max() < 2e-5 * np.abs(one).max()


def test_shards_of_chunks_add_up(problem):
    """A shard with few targets beside one with many, each in chunks of its own."""
    x, weight, targets = problem
    expected = plain(x, weight, targets, ignore_index=-7)
    options = {"ignore_index": -7, "count": ops.count_targets(targets, -7)}
    parts = [
        chunked(x[rows], weight, targets[rows], chunk=chunk, **options)
        for rows, chunk in ((slice(0, 1), 1), (slice(1, 5), 2 * V), (slice(5, N), 4 * V))
    ]
    assert math.isclose(sum(part[0] for part in parts), expected[0], rel_tol=1e-14)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), expected[1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(sum(part[2] for part in parts), expected[2], rtol=0, atol=1e-14)


@pytest.mark.parametrize("chunk", [1, 2 * V, 1000])
def test_a_target_that_is_no_class_is_named_by_its_place_in_the_whole(problem, chunk):
    """Catches a position counted from the chunk."""
    x, weight, targets = problem
    targets[9] = V
    with pytest.raises(ValueError, match=rf"^linear_cross_entropy: target {V} at position \(9,\) is outside 0..{V - 1}"):
        ops.linear_cross_entropy(x, weight, targets, ignore_index=-7, chunk=chunk)
