"""The divergence from smoothed targets: who gets a share, what does not count, what it is divided by."""

import math

import numpy as np
import pytest
from cases import Drawn
from hypothesis import given
from hypothesis import strategies as st

from tinytx.ops import cross_entropy, cross_entropy_backward, kl_divergence, kl_divergence_backward

DTYPES = [np.float32, np.float64]


def smoothed(targets, v, pad_id, epsilon):
    """Return q of equation (1), row by row."""
    q = np.zeros((targets.size, v))
    for row, target in zip(q, targets.ravel(), strict=True):
        others = [word for word in range(v) if word not in (target, pad_id)]
        row[others] = epsilon / len(others)
        row[target] = 1 - epsilon
    return q


def by_the_book(logits, targets, pad_id, epsilon):
    """Return the divergence of every row."""
    logits = logits.reshape(-1, logits.shape[-1])
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    q = smoothed(targets, logits.shape[-1], pad_id, epsilon)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)
    return (q * (log_q - log_p)).sum(-1)


@given(data=st.data())
def test_is_what_the_equations_say(data):
    """Catches a share for padding or twice for the target, and an entropy left out."""
    make = Drawn(data.draw)
    b, t, v = make.sizes(3)
    v, epsilon = v + 2, make.choice(0.0, 0.1, 0.5)
    pad_id = make.integers(0, v - 1)
    logits, targets = make.array(b, t, v), make.ids(v - 1, b, t)
    targets += targets >= pad_id
    loss, saved = kl_divergence(logits, targets, pad_id=pad_id, label_smoothing=epsilon)
    assert math.isclose(loss, by_the_book(logits, targets, pad_id, epsilon).mean(), rel_tol=1e-13)
    np.testing.assert_allclose(kl_divergence_backward(1.0, saved).sum(-1), 0, atol=1e-15)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.7])
def test_is_least_where_the_softmax_is_the_target(epsilon):
    """Catches a constant that is off: the least divergence is 0, and there the gradient is 0."""
    targets = np.array([[3, 1, 4]])
    with np.errstate(divide="ignore"):
        logits = np.log(smoothed(targets, 6, 0, epsilon)).reshape(1, 3, 6)
    loss, saved = kl_divergence(np.maximum(logits, -500), targets, pad_id=0, label_smoothing=epsilon)
    assert abs(loss) < 1e-14
    assert np.abs(kl_divergence_backward(1.0, saved)).max() < 1e-15


def test_without_smoothing_it_is_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(4, 5, 6)), rng.integers(0, 6, (4, 5))
    loss, saved = kl_divergence(logits, targets, pad_id=2)
    expected, other = cross_entropy(logits, targets, ignore_index=2)
    assert math.isclose(loss, expected, rel_tol=1e-14)
    expected = cross_entropy_backward(1.0, other)
    np.testing.assert_allclose(kl_divergence_backward(1.0, saved), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
def test_padding_does_not_count_and_is_not_read(epsilon):
    """Catches a mean over all rows (batchmean), and NaN of padded rows that leaks."""
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(3, 4, 6)), rng.integers(1, 6, (3, 4))
    targets[1, 2:] = targets[2] = 0
    real = targets != 0
    loss, saved = kl_divergence(logits, targets, pad_id=0, label_smoothing=epsilon)
    gradient = kl_divergence_backward(1.0, saved)
    expected, saved = kl_divergence(logits[real], targets[real], pad_id=0, label_smoothing=epsilon)
    assert math.isclose(loss, expected, rel_tol=1e-14)
    np.testing.assert_allclose(gradient[real], kl_divergence_backward(1.0, saved), rtol=1e-14)
    assert not gradient[~real].any()
    for hidden in (np.nan, np.inf, -np.inf):
        logits[~real] = hidden
        hidden_loss, saved = kl_divergence(logits, targets, pad_id=0, label_smoothing=epsilon)
        assert hidden_loss == loss
        np.testing.assert_array_equal(kl_divergence_backward(1.0, saved), gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_part_with_nothing_but_padding_is_zero(dtype):
    """Catches 0/0."""
    options = {"pad_id": 4, "label_smoothing": 0.1, "count": 7}
    loss, saved = kl_divergence(np.ones((2, 3, 5), dtype), np.full((2, 3), 4), **options)
    assert loss == 0
    assert not kl_divergence_backward(1.0, saved).any()


def test_shards_with_the_count_of_the_whole_batch_add_up():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(6, 4, 5)), rng.integers(0, 5, (6, 4))
    options = {"pad_id": 0, "label_smoothing": 0.1, "count": int((targets != 0).sum())}
    loss, saved = kl_divergence(logits, targets, pad_id=0, label_smoothing=0.1)
    parts = [kl_divergence(logits[rows], targets[rows], **options) for rows in np.s_[:2, 2:6]]
    assert math.isclose(sum(part for part, _ in parts), loss, rel_tol=1e-14)
    gradient = np.concatenate([kl_divergence_backward(1.0, saved) for _, saved in parts])
    np.testing.assert_allclose(gradient, kl_divergence_backward(1.0, saved), rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
@pytest.mark.parametrize("size", [1e4, 1e30, 1e38])
def test_large_logits_are_finite(size, epsilon, dtype):
    """Catches e^x that overflows, and a sum of logits that does; padding's own logit may be anything."""
    logits = dtype(size) * np.array([[1, 1, 1, 1, 0], [1, -1, 0, 1, 1], [-1, -1, -1, -1, -1]], dtype)
    logits[:, 4] = [np.finfo(dtype).min, -np.inf, logits[2, 4]]
    loss, saved = kl_divergence(logits, np.array([0, 3, 1]), pad_id=4, label_smoothing=epsilon)
    gradient = kl_divergence_backward(1.0, saved)
    assert math.isfinite(loss) and loss > -1e-6 and np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=4 * np.finfo(dtype).eps)


def test_refuses_what_does_not_fit():
    logits, targets = np.zeros((2, 3, 5)), np.zeros((2, 3), int)
    with pytest.raises(ValueError, match=r"targets has shape \(3, 2\), expected \(2, 3\)"):
        kl_divergence(logits, targets.T, pad_id=0)
    with pytest.raises(ValueError, match="label_smoothing is 1"):
        kl_divergence(logits, targets, pad_id=0, label_smoothing=1)
    for pad_id in (-1, 5):
        with pytest.raises(ValueError, match=rf"pad_id is {pad_id}, expected a whole number of at least 0 and at most 4"):
            kl_divergence(logits, targets, pad_id=pad_id)
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.1 with V = 2 words"):
        kl_divergence(logits[..., :2], targets, pad_id=0, label_smoothing=0.1)
    targets[1, 2] = 5
    with pytest.raises(ValueError, match=r"target 5 at position \(1, 2\)"):
        kl_divergence(logits, targets, pad_id=0)
