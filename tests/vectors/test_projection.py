"""Maps against structure that is known: clusters come out apart, and t-SNE keeps what principal components lose."""

import numpy as np
import pytest

from tinytx import workers
from tinytx.ops import affinities, tsne, tsne_backward
from tinytx.progress import Lines
from tinytx.vectors import projection
from tinytx.vectors.neighbours import neighbours, neighbours_kept
from tinytx.vectors.projection import SPREAD, _hold, _step, pca, tsne_map


def clusters(n=30, k=8, d=20, seed=0, apart=8.0, dtype=np.float64):
    """Return (points, cluster of each): k Gaussians of n points, their centres many widths apart."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(k), n)
    centres = apart * rng.normal(size=(k, d)) / np.sqrt(d) * 2
    return (centres[ids] + rng.normal(size=(n * k, d))).astype(dtype), ids


def trustworthiness(x, y, n):
    """Venna and Kaski 2001: 1 less a penalty for those near on the map and far, by rank, among the points."""
    size = len(x)
    ranks = np.argsort(np.argsort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1), axis=1)
    shown = neighbours(y, n)
    penalty = np.maximum(np.take_along_axis(ranks, shown, axis=1) - n, 0).sum()
    return 1 - penalty * 2 / (size * n * (2 * size - 3 * n - 1))


# ---------------------------------------------------------------------------------------- principal components


@pytest.mark.parametrize("shape", [(50, 6), (4, 9), (2, 2)])
def test_pca_is_what_the_covariance_says(shape):
    x = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1) + 5
    y, share = pca(x)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    np.testing.assert_allclose(share, values[::-1][:2] / values.sum(), atol=1e-12)
    for k in range(2):
        expected = (x - x.mean(0)) @ vectors[:, -1 - k]
        assert min(np.abs(y[:, k] - expected).max(), np.abs(y[:, k] + expected).max()) < 1e-9
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)


def test_pca_of_all_components_turns_the_points_and_no_more():
    x = np.random.default_rng(0).normal(size=(20, 5))
    y, share = pca(x, 5)
    np.testing.assert_allclose(np.linalg.norm(y[:, None] - y, axis=-1), np.linalg.norm(x[:, None] - x, axis=-1))
    assert share.sum() == pytest.approx(1) and (np.diff(share) <= 0).all()


def test_the_sign_of_a_component_is_no_chance():
    """The largest entry of each direction is positive: an axis that shows up as itself, not mirrored."""
    x = np.zeros((5, 3))
    x[:, 1] = [-2, -1, 0, 1, 2]
    np.testing.assert_allclose(pca(x)[0][:, 0], x[:, 1], atol=1e-15)
    np.testing.assert_allclose(pca(-x)[0][:, 0], -x[:, 1], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pca_of_points_on_one_spot(dtype):
    y, share = pca(np.full((5, 3), 0.1, dtype))
    assert y.dtype == dtype and np.abs(y).max() < 1e-7 and np.isfinite(share).all()


@pytest.mark.parametrize(
    "shape, n, match",
    [
        ((5, 1), 2, "expected .N, D. with both at least n = 2"),
        ((1, 5), 2, "expected .N, D. with both at least n = 2"),
        ((0, 5), 1, "expected .N, D. with both at least n = 1"),
        ((5, 5), 0, "n is 0, expected a whole number of at least 1"),
        ((5,), 1, r"x has shape \(5,\), expected \(N, D\)"),
    ],
)
def test_pca_of_too_few(shape, n, match):
    with pytest.raises(ValueError, match=match):
        pca(np.zeros(shape), n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pca_of_what_is_not_finite(dtype):
    """Catches "SVD did not converge"."""
    x = np.ones((4, 3), dtype)
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match="pca: row 1 of x has a NaN or an infinity"):
        pca(x)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_pca_of_very_large_and_very_small_numbers(scale):
    """Catches squares that overflow or vanish: shares of NaN."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    (y, share), (scaled, scaled_share) = pca(x), pca(scale * x)
    np.testing.assert_allclose(scaled / scale, y, atol=1e-12)
    np.testing.assert_allclose(scaled_share, share, atol=1e-12)
    assert (pca(np.full((3, 2), scale))[1] == 0).all()


# ---------------------------------------------------------------------------------------- t-SNE


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clusters_come_out_apart(dtype):
    """Each point's fifteen nearest on the map are of its own cluster: they are in no two principal components."""
    x, ids = clusters(dtype=dtype)
    y, loss = tsne_map(x, perplexity=20, iterations=500)
    assert y.dtype == dtype and loss == pytest.approx(tsne(y, affinities(x, 20))[0])
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-4)
    pure = {
        name: (ids[neighbours(shown, 15)] == ids[:, None]).mean() for name, shown in (("map", y), ("pca", pca(x)[0]))
    }
    assert pure["map"] > 0.99 > 0.95 > pure["pca"]
    centres = np.array([y[ids == k].mean(0) for k in range(8)])
    width = max(np.linalg.norm(y[ids == k] - centres[k], axis=1).max() for k in range(8))
    gaps = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(8)
    assert gaps.min() > width


def test_neighbourhoods_are_kept_better_than_by_principal_components():
    """On a sheet rolled up in three dimensions, beside seven of noise."""
    rng = np.random.default_rng(0)
    turn, height = rng.uniform(4, 14, 400), rng.uniform(0, 20, 400)
    x = np.c_[turn * np.cos(turn), height, turn * np.sin(turn), 0.1 * rng.normal(size=(400, 7))]
    y, _ = tsne_map(x, perplexity=20, iterations=500)
    flat, _ = pca(x)
    assert neighbours_kept(x, y) > 0.75 and neighbours_kept(x, flat) < 0.5
    assert trustworthiness(x, y, 10) > 0.99 and trustworthiness(x, flat, 10) < 0.95


def test_the_map_depends_on_the_points_and_the_seed_alone():
    x, _ = clusters(10, 3)
    y, loss = tsne_map(x, perplexity=5, iterations=60)
    for pool in (workers.Pool(1), workers.Pool(2)):
        with workers.use(pool):
            same = tsne_map(x, perplexity=5, iterations=60)
        np.testing.assert_array_equal(same[0], y)
        assert same[1] == loss
    assert np.abs(tsne_map(x, perplexity=5, iterations=60, seed=1)[0] - y).max() > 0


@pytest.mark.parametrize("held", [True, False])
def test_points_that_do_not_cluster_do_not_shrink_to_nothing(held, monkeypatch):
    """Catches early exaggeration whose map shrinks and shrinks, down to numbers whose squares are subnormal."""
    spreads = []

    def watched(dloss, saved, **options):
        spreads.append(saved.y.std())
        return tsne_backward(dloss, saved, **options)

    monkeypatch.setattr(projection, "tsne_backward", watched)
    if not held:
        monkeypatch.setattr(projection, "_hold", lambda y, velocity: None)
    x = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
    y, _ = tsne_map(x, iterations=400, learning_rate=6)
    assert (min(spreads) > SPREAD / 10) == held
    assert y.std() > 1


def test_hold_keeps_the_spread_and_the_shape():
    y, velocity = np.array([[1e-9, 0], [-1e-9, 3e-9]]), np.array([[1e-10, 0], [0, 1e-10]])
    shape, course = y / y[0, 0], velocity / y[0, 0]
    _hold(y, velocity)
    assert np.sqrt(np.mean(y**2)) == pytest.approx(SPREAD)
    np.testing.assert_allclose(y / y[0, 0], shape)
    np.testing.assert_allclose(velocity / y[0, 0], course)
    large = np.ones((3, 2))
    _hold(large, large)
    assert (large == 1).all()


def test_a_step_is_van_der_maatens():
    """His loop, written out: gains by signs, momentum, centring."""
    rng = np.random.default_rng(0)
    y, velocity, gains = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), rng.uniform(0.01, 2, (5, 2))
    dy, old_velocity = rng.normal(size=(5, 2)), velocity.copy()
    expected_gains = np.empty((5, 2))
    for i in np.ndindex(5, 2):
        expected_gains[i] = max(gains[i] + 0.2 if (dy[i] > 0) != (velocity[i] > 0) else gains[i] * 0.8, 0.01)
    moved = _step(y, velocity, gains, dy, 3.0, 0.5)
    np.testing.assert_allclose(gains, expected_gains)
    np.testing.assert_allclose(velocity, 0.5 * old_velocity - 3 * expected_gains * dy)
    np.testing.assert_allclose(moved, y + velocity - (y + velocity).mean(0))


def test_a_step_in_numbers_whose_product_is_zero():
    """Catches gains decided by dy * velocity, which is 0 in float32 where both are 1e-23."""
    dy, velocity, gains = (np.full((2, 2), value, np.float32) for value in (1e-23, -1e-23, 1))
    _step(np.zeros((2, 2), np.float32), velocity, gains, dy, 1.0, 0.5)
    np.testing.assert_allclose(gains, 1.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_on_one_spot_and_far_out_are_finite(dtype):
    x = clusters(10, 3, dtype=dtype)[0]
    x[3:9], x[12] = x[3], 1e6
    y, loss = tsne_map(x, perplexity=5, iterations=100)
    assert np.isfinite(y).all() and np.isfinite(loss)
    y, loss = tsne_map(np.zeros((9, 3), dtype), perplexity=3, iterations=50)
    assert np.isfinite(y).all() and np.isfinite(loss)


def test_progress_is_told_after_each_iteration(capsys):
    texts, (x, _) = [], clusters(10, 3)
    tsne_map(x, perplexity=5, iterations=203, update=texts.append)
    assert len(texts) == 203
    assert texts[98] == "" and texts[99].startswith("loss ") and texts[100] == texts[99] != texts[202]
    lines = Lines(3, 0, "iteration", True)
    tsne_map(x, perplexity=5, iterations=3, update=lines.update)
    assert capsys.readouterr().err.startswith("iteration 3/3, 0 s left, loss ")


def test_wrong_arguments():
    x, _ = clusters(10, 3)
    with pytest.raises(ValueError, match="tsne_map: iterations is 0, expected a whole number of at least 1"):
        tsne_map(x, iterations=0)
    with pytest.raises(ValueError, match=r"exaggeration is 0\.5"):
        tsne_map(x, exaggeration=0.5)
    with pytest.raises(TypeError, match="iterations is 10.0"):
        tsne_map(x, iterations=10.0)
    for rate in (0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"learning_rate is {rate}, expected a finite number above 0"):
            tsne_map(x, learning_rate=rate)
    with pytest.raises(ValueError, match="perplexity is 30, and 20 points can have 1 to 18"):
        tsne_map(x[:20])
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="too large a learning rate"):
        tsne_map(x, perplexity=5, learning_rate=1e300, iterations=20)
