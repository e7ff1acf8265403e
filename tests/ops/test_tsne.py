"""t-SNE's loss: its definition in NumPy, and what no movement of the whole map may change."""

import math

import numpy as np
import pytest

from tinytx import ops, workers
from tinytx.ops.tsne import BLOCK, Saved


def problem(n, seed=0, scale=1.0):
    """Return (y, p), p symmetric, zero on its diagonal and somewhere else, adding up to 1."""
    rng = np.random.default_rng(seed)
    near = rng.exponential(size=(n, n)) ** 3
    near[near < 0.01] = 0
    near = (near + near.T) * (1 - np.eye(n))
    return scale * rng.normal(size=(n, 2)), near / near.sum()


def by_the_book(y, p):
    """Return the paper's C and its gradient, equations (2), (4) and (5) there, with nothing but NumPy."""
    difference = y[:, None] - y
    w = 1 / (1 + (difference**2).sum(-1))
    np.fill_diagonal(w, 0)
    q = w / w.sum()
    some = p > 0
    loss = (p[some] * np.log(p[some] / q[some])).sum()
    return loss, 4 * (((p - q) * w)[..., None] * difference).sum(1)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
@pytest.mark.parametrize("n", [2, 3, BLOCK, BLOCK + 1, 300])
def test_equals_numpy(n, scale):
    y, p = problem(n, scale=scale)
    loss, saved = ops.tsne(y, p)
    expected, dy = by_the_book(y, p)
    assert loss == pytest.approx(expected, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(ops.tsne_backward(1.0, saved), dy, rtol=1e-10, atol=1e-13 * np.abs(dy).max() + 1e-15)


def test_a_map_that_shows_everything_has_loss_and_gradient_zero():
    y, _ = problem(20)
    w = 1 / (1 + ((y[:, None] - y) ** 2).sum(-1)) - np.eye(20)
    loss, saved = ops.tsne(y, w / w.sum())
    assert abs(loss) < 1e-14
    assert np.abs(ops.tsne_backward(1.0, saved)).max() < 1e-16


@pytest.mark.parametrize("exaggeration", [1.0, 12.0])
def test_neither_moving_nor_turning_the_map_matters(exaggeration):
    y, p = problem(30)
    turn = np.array([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]])
    loss, saved = ops.tsne(y, p, exaggeration=exaggeration)
    moved, saved_moved = ops.tsne(y @ turn + [3.0, -2.0], p, exaggeration=exaggeration)
    dy, dy_moved = ops.tsne_backward(1.0, saved), ops.tsne_backward(1.0, saved_moved)
    assert moved == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(dy_moved, dy @ turn, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(dy.sum(0), 0, atol=1e-15)


def test_exaggeration_pulls_and_pushes_as_the_equations_say():
    """a (pull) - push: what is added for a = 12 is eleven pulls."""
    y, p = problem(9)
    once, twice, more = (ops.tsne_backward(1.0, Saved(y, p, a)) for a in (1.0, 2.0, 12.0))
    np.testing.assert_allclose(more - once, 11 * (twice - once), rtol=1e-12, atol=1e-15)
    assert ops.tsne(y, p, exaggeration=2.0)[0] > ops.tsne(y, p)[0]


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(dtype):
    y, p = (array.astype(dtype) for array in problem(3 * BLOCK + 5))
    loss, saved = ops.tsne(y, p)
    dy = ops.tsne_backward(1.0, saved)
    with workers.use(workers.Pool(2)):
        assert ops.tsne(y, p)[0] == loss
        np.testing.assert_array_equal(ops.tsne_backward(1.0, saved), dy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_far_apart_or_on_one_spot_are_finite(dtype):
    """Catches 1 - 1 where the diagonal is taken off the sum, and 0/0."""
    p = np.array([[0, 1], [1, 0]], dtype) / 2
    for distance in (0.0, 1e-30, 1e6):
        y = np.array([[0, 0], [distance, 0]], dtype)
        loss, saved = ops.tsne(y, p)
        dy = ops.tsne_backward(1.0, saved)
        assert abs(loss) < 1e-5  # two points have but one neighbour each: q = p wherever they are
        assert np.isfinite(dy).all() and np.abs(dy).max() < 1e-5


def test_wrong_arguments():
    y, p = problem(4)
    for wrong in (y[:, :1], y[0], y[:1], np.zeros((4, 3))):
        with pytest.raises(ValueError, match=r"tsne: y has shape .* expected \(N, 2\)"):
            ops.tsne(wrong, p)
    with pytest.raises(ValueError, match=r"tsne: p has shape \(3, 3\), expected \(4, 4\)"):
        ops.tsne(y, p[:3, :3])
    with pytest.raises(ValueError, match="p sums to 12, expected 1"):
        ops.tsne(y, 12 * p)
    for wrong in (np.tri(4, k=-1) / 6, np.ones((4, 4)) / 16):
        with pytest.raises(ValueError, match=r"not symmetric with zeros on its diagonal: make it with .*affinities"):
            ops.tsne(y, wrong)
    with pytest.raises(ValueError, match="p sums to nan"):
        ops.tsne(y, p * np.nan)
    with pytest.raises(TypeError, match="y is float64, p is float32"):
        ops.tsne(y, p.astype(np.float32))


@pytest.mark.parametrize("far", [1e300, np.inf, np.nan])
def test_nothing_near_anything_is_an_error(far):
    """Catches 0/0 and ln 0."""
    y, p = problem(3)
    y = far * np.sign(y) * np.array([[1], [2], [3]])
    for call in (lambda: ops.tsne(y, p), lambda: ops.tsne_backward(1.0, Saved(y, p, 1.0))):
        with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="too large a learning rate"):
            call()
