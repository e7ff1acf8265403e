"""Cross-entropy: what does not count, what is divided by, and logits of any size."""

import math

import numpy as np
import pytest
from cases import Drawn
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import (
    count_targets,
    cross_entropy,
    cross_entropy_backward,
    kl_divergence,
    kl_divergence_backward,
    linear_cross_entropy,
)

DTYPES = [np.float32, np.float64]


def by_the_book(logits, targets, smoothing=0.0):
    """Return the loss of every row by equation (2)."""
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, targets[..., None], -1)[..., 0]
    return -(1 - smoothing) * picked - smoothing * log_p.mean(-1)


@given(data=st.data())
def test_is_what_the_equations_say(data):
    """Catches a mean over B only, smoothing over V - 1 words, and a count that is not the number of targets."""
    make = Drawn(data.draw)
    b, t, v = make.sizes(3)
    logits, targets, smoothing = make.array(b, t, v), make.ids(v, b, t), make.choice(0.0, 0.1, 0.5)
    loss, saved = cross_entropy(logits, targets, label_smoothing=smoothing)
    assert math.isclose(loss, by_the_book(logits, targets, smoothing).mean(), rel_tol=1e-13)
    gradient = cross_entropy_backward(1.0, saved)
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-15)  # the loss does not see a constant
    assert count_targets(targets) == b * t


@given(data=st.data())
@pytest.mark.parametrize("ignore_index", [-100, 0, 1, 10**6])
def test_ignored_rows_do_not_count_and_are_not_read(ignore_index, data):
    """Catches a mean over all rows, a gradient at ignored ones, and NaN (of padding) that leaks through 0 * NaN."""
    make = Drawn(data.draw)
    b, t, v = make.sizes(3)
    logits, targets = make.array(b, t, v), make.ids(v, b, t)
    targets[0, 0], targets[-1, -1] = ignore_index, ignore_index == 0  # one that is ignored, one that is not
    ignored = targets == ignore_index
    options = {"ignore_index": ignore_index, "label_smoothing": make.choice(0.0, 0.2)}
    kept_logits, kept_targets = logits[~ignored], targets[~ignored]
    loss, saved = cross_entropy(logits, targets, **options)
    gradient = cross_entropy_backward(1.0, saved)
    expected, saved = cross_entropy(kept_logits, kept_targets, count=kept_targets.size, **options)
    assert math.isclose(loss, expected, rel_tol=1e-14, abs_tol=1e-300)
    np.testing.assert_allclose(gradient[~ignored], cross_entropy_backward(1.0, saved), rtol=1e-14)
    assert not gradient[ignored].any()
    for hidden in (np.nan, np.inf, -np.inf):
        logits[ignored] = hidden
        hidden_loss, saved = cross_entropy(logits, targets, **options)
        assert hidden_loss == loss
        np.testing.assert_array_equal(cross_entropy_backward(1.0, saved), gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_part_with_nothing_but_ignored_targets_is_zero(count, smoothing, dtype):
    """Catches 0/0: a shard of padding must not poison the weights."""
    options = {"label_smoothing": smoothing, "count": count}
    loss, saved = cross_entropy(np.ones((2, 3, 5), dtype), np.full((2, 3), -100), **options)
    assert loss == 0
    assert not cross_entropy_backward(1.0, saved).any()


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (0,), ()])
def test_a_mean_over_nothing_is_refused(shape):
    """Catches a loss of 0 that looks like the best of all."""
    targets = np.full(shape, -7)
    with pytest.raises(ValueError, match=rf"^cross_entropy: none of {targets.size} targets counts, all are -7.* count"):
        cross_entropy(np.ones((*shape, 5)), targets, ignore_index=-7)
    with pytest.raises(ValueError, match=r"^linear_cross_entropy: none of"):
        linear_cross_entropy(np.ones((*shape, 4)), np.ones((4, 5)), targets, ignore_index=-7)
    with pytest.raises(ValueError, match=r"^kl_divergence: none of .* all are 2"):
        kl_divergence(np.ones((*shape, 5)), np.full(shape, 2), pad_id=2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_row_needs_no_axis_in_front(dtype):
    """Catches `np.ascontiguousarray`, which makes (1,) of (): logits (V,) and one target, as the docstrings say."""
    logits, options = np.array([0.5, -1, 2], dtype), {"label_smoothing": 0.1}
    for target in (1, np.int8(1), np.array(1)):
        loss, saved = cross_entropy(logits, target, **options)
        expected, row_saved = cross_entropy(logits[None], [1], **options)
        assert loss == expected
        np.testing.assert_array_equal(cross_entropy_backward(1.0, saved), cross_entropy_backward(1.0, row_saved)[0])
        loss, saved = kl_divergence(logits, target, pad_id=0, **options)
        expected, row_saved = kl_divergence(logits[None], [1], pad_id=0, **options)
        assert loss == expected
        np.testing.assert_array_equal(kl_divergence_backward(1.0, saved), kl_divergence_backward(1.0, row_saved)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_logit_of_minus_infinity_is_a_class_that_cannot_be(smoothing, dtype):
    """Catches 0 * inf: the others' probabilities are as without it, and as a target it costs an infinity."""
    logits = np.array([[1, -np.inf, 2, 0.5]], dtype)
    loss, saved = cross_entropy(logits, [2], label_smoothing=smoothing)
    gradient = cross_entropy_backward(1.0, saved)
    few, few_saved = cross_entropy(logits[:, [0, 2, 3]], [1])
    assert loss == (few if smoothing == 0 else math.inf)
    p = cross_entropy_backward(1.0, few_saved)[0] + [0, 1, 0]
    expected = np.array([p[0], 0, p[1] - (1 - smoothing), p[2]]) - smoothing / 4
    np.testing.assert_allclose(gradient[0], expected, rtol=8 * np.finfo(dtype).eps)
    loss, saved = cross_entropy(logits, [1], label_smoothing=smoothing)
    assert loss == math.inf and np.isfinite(cross_entropy_backward(1.0, saved)).all()
    loss, saved = kl_divergence(logits, [2], pad_id=1, label_smoothing=smoothing)  # padding is never expected
    assert math.isfinite(loss) and np.isfinite(kl_divergence_backward(1.0, saved)).all()


@pytest.mark.parametrize("row", [[1, np.inf, 2], [np.inf, np.inf, 0], [-np.inf] * 3])
def test_logits_without_a_limit_are_nan(row):
    """As the docstring says: NaN, which the Trainer names, and not a number that looks like a loss."""
    for loss, saved, backward in (
        (*cross_entropy(np.array([row]), [1]), cross_entropy_backward),
        (*kl_divergence(np.array([row]), [1], pad_id=0), kl_divergence_backward),
    ):
        assert math.isnan(loss) and np.isnan(backward(1.0, saved)).any()


def test_shards_with_the_count_of_the_whole_batch_add_up():
    """Catches a shard's mean over its own targets: shards hold different numbers of them."""
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(6, 4, 5)), rng.integers(0, 5, (6, 4))
    targets[3:, 1:] = -100
    loss, saved = cross_entropy(logits, targets)
    parts = [cross_entropy(logits[rows], targets[rows], count=count_targets(targets)) for rows in np.s_[:2, 2:6]]
    assert math.isclose(sum(part for part, _ in parts), loss, rel_tol=1e-14)
    gradient = np.concatenate([cross_entropy_backward(1.0, saved) for _, saved in parts])
    np.testing.assert_allclose(gradient, cross_entropy_backward(1.0, saved), rtol=1e-14)


def test_dloss_scales_the_gradient():
    rng = np.random.default_rng(0)
    _, saved = cross_entropy(rng.normal(size=(3, 4)), np.array([0, 1, 3]))
    gradient = cross_entropy_backward(1.0, saved)
    np.testing.assert_allclose(cross_entropy_backward(-2.5, saved), -2.5 * gradient, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [1e4, 1e30, 1e38])
def test_large_logits_are_finite(size, smoothing, dtype):
    """Catches e^x that overflows, log(0), and a sum of logits that overflows."""
    logits = dtype(size) * np.array([[1, 1, 1, 1, 0], [1, -1, 0, 1, 1], [-1, -1, -1, -1, -1]], dtype)
    targets = np.array([0, 3, 4])
    loss, saved = cross_entropy(logits, targets, label_smoothing=smoothing)
    assert math.isfinite(loss) and loss >= 0
    gradient = cross_entropy_backward(1.0, saved)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("constant", [2.0**10, 2.0**14, 2.0**20, -(2.0**20)])
def test_does_not_see_a_constant(constant, smoothing, dtype):
    """Catches L = m + ln(sum), rounded to m's precision: all of these logits are exact, so nothing may change."""
    logits, targets = np.array([[1, 2, 3, 4.5], [0, -1, 3, 2]], dtype), np.array([2, 1])
    loss, saved = cross_entropy(logits, targets, label_smoothing=smoothing)
    moved_loss, moved = cross_entropy(logits + dtype(constant), targets, label_smoothing=smoothing)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(moved_loss, loss, rtol=8 * eps)
    gradient, gradient_moved = (cross_entropy_backward(1.0, kept) for kept in (saved, moved))
    np.testing.assert_allclose(gradient_moved, gradient, rtol=32 * eps, atol=eps)


def test_nan_that_counts_is_not_hidden():
    for nan in (np.nan, -np.nan):
        loss, saved = cross_entropy(np.full((1, 4), nan), np.array([2]))
        assert math.isnan(loss) and np.isnan(cross_entropy_backward(1.0, saved)).all()


def test_one_class_has_no_loss():
    loss, saved = cross_entropy(np.array([[3.7], [-1.2]]), np.array([0, 0]))
    assert loss == 0 and not cross_entropy_backward(1.0, saved).any()


@pytest.mark.parametrize(("target", "position"), [(5, (1, 2)), (-1, (0, 1)), (-100, (1, 0))])
def test_target_that_is_no_class_is_named(target, position):
    """Catches a kernel that reads what is not the array's."""
    targets = np.zeros((2, 3), int)
    targets[position] = target
    ignore_index = -100 if target != -100 else 0
    with pytest.raises(ValueError, match=rf"target {target} at position \({position[0]}, {position[1]}\)"):
        cross_entropy(np.zeros((2, 3, 5)), targets, ignore_index=ignore_index)


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"targets has shape \(3, 2\), expected \(2, 3\)"):
        cross_entropy(np.zeros((2, 3, 5)), np.zeros((3, 2), int))
    with pytest.raises(TypeError, match="expected integers"):
        cross_entropy(np.zeros((2, 3, 5)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="label_smoothing is 1"):
        cross_entropy(np.zeros((2, 3, 5)), np.zeros((2, 3), int), label_smoothing=1)
