"""Affinities: every point has as many neighbours as it was asked to have, and none has a NaN."""

import math

import numpy as np
import pytest

from tinytx import workers
from tinytx.ops import affinities, tsne
from tinytx.ops.affinities import _conditional, scaled, squared_distances


def conditional(x, perplexity):
    """Return p_j|i (N, N) and the squared distances that it was made of."""
    d = np.empty((len(x), len(x)))
    squared_distances(d, scaled(x), 0, len(x))
    p = d.copy()
    _conditional(p, math.log(perplexity), 0, len(x))
    return p, d


def entropies(p):
    return -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(1)


def points(n=120, d=7, seed=0):
    """Return a crowd and a desert: clusters whose widths differ a thousandfold."""
    rng = np.random.default_rng(seed)
    widths = 10.0 ** rng.integers(-2, 2, (n, 1))
    return rng.normal(size=(n, d)) * widths + 50 * rng.integers(0, 3, (n, 1))


@pytest.mark.compiled
@pytest.mark.parametrize("perplexity", [1.01, 2, 5, 30, 117.9])
def test_every_point_has_the_perplexity(perplexity):
    p, _ = conditional(points(), perplexity)
    np.testing.assert_allclose(entropies(p), math.log(perplexity), atol=1e-9)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-13)


def test_a_row_is_a_gaussian_of_the_distances():
    """ln p_j|i is a line in d_ij with one falling slope for each i."""
    p, d = conditional(points(12), 4)
    for i in range(12):
        others = (np.arange(12) != i) & (p[i] > 1e-200)
        slope, start = np.polyfit(d[i, others], np.log(p[i, others]), 1)
        assert slope < 0
        np.testing.assert_allclose(np.log(p[i, others]), start + slope * d[i, others], atol=1e-8)


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_symmetric_add_up_to_one_and_leave_nobody_out(dtype):
    """Catches p that is not made mutual: an outlier would have nothing that holds it."""
    x = points().astype(dtype)
    x[5] = 1e4
    p = affinities(x, 10)
    assert p.dtype == dtype and (p >= 0).all()
    np.testing.assert_array_equal(p, p.T)
    assert not p.diagonal().any()
    assert p.sum(dtype=float) == pytest.approx(1, rel=1e-6)
    assert (p.sum(1) >= (1 - 1e-5) / (2 * len(x))).all()
    tsne(np.random.default_rng(0).normal(size=(len(x), 2)).astype(dtype), p)  # it takes them


@pytest.mark.compiled
@pytest.mark.parametrize("perplexity", [3, 20.5])
def test_they_are_what_each_point_sees_and_is_seen_by(perplexity):
    """Equation (4), and the perplexity's logarithm is natural."""
    p, _ = conditional(points(), perplexity)
    np.testing.assert_allclose(affinities(points(), perplexity), (p + p.T) / (2 * len(p)), rtol=1e-12)


@pytest.mark.compiled
def test_p_that_is_not_made_mutual_is_refused():
    """The test of the test: what affinities would be without their last line."""
    p, _ = conditional(points(), 10)
    with pytest.raises(ValueError, match="not symmetric"):
        tsne(np.zeros((len(p), 2)), p / len(p))


HARD = {
    "all on one spot": np.zeros((9, 3)),
    "more on one spot than neighbours": np.r_[np.zeros((8, 3)), np.eye(3)],
    "pairs on one spot": np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 2, axis=0),
    "nearly on one spot": 1 + 1e-15 * np.random.default_rng(0).normal(size=(9, 3)),
    "an outlier": np.r_[np.random.default_rng(0).normal(size=(9, 3)), [[1e12, 0, 0]]],
    "an outlier beyond squares": np.r_[np.random.default_rng(0).normal(size=(9, 3)), [[1e200, -1e307, 0]]],
    "tiny": 1e-300 * np.random.default_rng(0).normal(size=(9, 3)),
    "subnormal": 5e-324 * np.arange(27.0).reshape(9, 3),
    "a regular simplex": np.eye(9),
    "the largest of numbers": np.finfo(float).max * np.array([[1.0], [-1.0], [1.0], [-1.0], [0.5], [0.0], [0.0]]),
}


@pytest.mark.parametrize("perplexity", [1, 2, 4.5])
@pytest.mark.parametrize("name", HARD)
def test_no_nan(name, perplexity):
    p = affinities(HARD[name], perplexity)
    assert np.isfinite(p).all() and (p >= 0).all()
    assert p.sum() == pytest.approx(1)


def test_points_on_one_spot_share_alike():
    """More of them than the perplexity: the limit of a narrow Gaussian."""
    p, _ = conditional(HARD["more on one spot than neighbours"], 3)
    np.testing.assert_allclose(p[:8, :8], (1 - np.eye(8)) / 7)
    assert not p[:8, 8:].any()


def test_an_outlier_does_not_blur_the_others():
    """Catches |x|^2 + |y|^2 - 2xy, of which an outlier at 1e7 leaves nothing."""
    x = np.random.default_rng(0).normal(size=(30, 4))
    p, _ = conditional(x, 5)
    q, _ = conditional(np.r_[x, [[1e7, 0, 0, 0]]], 5)
    np.testing.assert_allclose(q[:30, :30], p, atol=1e-6)


@pytest.mark.compiled
def test_scale_and_place_do_not_matter():
    x = points()
    np.testing.assert_allclose(affinities(1e-3 * x + 7, 12), affinities(x, 12), rtol=1e-6, atol=1e-12)


@pytest.mark.compiled
def test_threads_change_no_bit():
    x = points(300)
    with workers.use(workers.Pool(2)):
        p = affinities(x, 12)
    np.testing.assert_array_equal(p, affinities(x, 12))


def test_wrong_arguments():
    x = points(20)
    for perplexity in (0.9, 19, 30, math.nan):
        with pytest.raises(ValueError, match=rf"perplexity is {perplexity}, and 20 points can have 1 to 18 neighbours"):
            affinities(x, perplexity)
    for wrong in (x[0], x[:2]):
        with pytest.raises(ValueError, match=r"expected \(N, D\) with N of 3 or more"):
            affinities(wrong, 1)
    with pytest.raises(TypeError, match="x is int64"):
        affinities(np.arange(12).reshape(4, 3), 1)
    x[7, 1] = np.inf
    with pytest.raises(ValueError, match="row 7 of x has a NaN or an infinity"):
        affinities(x, 5)
