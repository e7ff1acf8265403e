"""Cross-entropy with a distribution: one share of 1 is the usual one, rows without mass do not count, parts add up."""

import numpy as np
import pytest

from tinytx.ops import cross_entropy, cross_entropy_backward, soft_cross_entropy, soft_cross_entropy_backward

SCORES = np.random.default_rng(0).normal(size=(3, 4, 5))


def test_a_single_share_is_a_class():
    targets = np.array([[0, 4, -100, 2], [1, 1, 3, -100], [2, -100, -100, 0]])
    shares = (np.arange(5) == targets[..., None]).astype(float)
    loss, saved = soft_cross_entropy(SCORES, shares)
    expected, expected_saved = cross_entropy(SCORES, targets)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    np.testing.assert_allclose(soft_cross_entropy_backward(2.0, saved), cross_entropy_backward(2.0, expected_saved), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_without_mass_are_not_read(dtype):
    """Nor are masked elements: NaN stands there."""
    scores, shares, mask = SCORES.astype(dtype), np.zeros((3, 4, 5), dtype), np.ones((3, 1, 5), bool)
    shares[:, :2, :2] = 0.5
    mask[:, :, 4] = False
    loss, saved = soft_cross_entropy(scores[:, :2, :4], shares[:, :2, :4])
    expected = np.pad(soft_cross_entropy_backward(1.0, saved), ((0, 0), (0, 2), (0, 1)))
    scores[:, 2:] = scores[:, :, 4] = np.nan
    found, saved = soft_cross_entropy(scores, shares, mask)
    assert found == loss
    np.testing.assert_array_equal(soft_cross_entropy_backward(1.0, saved), expected)


def test_its_least_is_the_entropy():
    shares = np.array([[0.1, 0.2, 0.3, 0.4, 0.0]])
    loss, saved = soft_cross_entropy(np.log(np.maximum(shares, 1e-300)), shares)
    np.testing.assert_allclose(loss, -(shares[shares > 0] * np.log(shares[shares > 0])).sum(), rtol=1e-14)
    np.testing.assert_allclose(soft_cross_entropy_backward(1.0, saved), 0, atol=1e-16)


def test_parts_of_a_batch_add_up():
    """One part has no mass: its loss is 0, and not an error."""
    shares = np.zeros((3, 4, 5))
    shares[1:, ::2, 1:3] = 0.5
    loss, saved = soft_cross_entropy(SCORES, shares)
    parts = [soft_cross_entropy(SCORES[i : i + 1], shares[i : i + 1], count=4) for i in range(3)]
    assert parts[0][0] == 0
    np.testing.assert_allclose(sum(part for part, _ in parts), loss, rtol=1e-14)
    gradients = np.concatenate([soft_cross_entropy_backward(1.0, part) for _, part in parts])
    np.testing.assert_allclose(gradients, soft_cross_entropy_backward(1.0, saved), rtol=1e-14)


def test_large_scores_do_not_overflow():
    loss, saved = soft_cross_entropy(np.array([[1e5, -1e5, 0.0]]), np.array([[0.0, 1.0, 0.0]]))
    assert loss == 2e5
    np.testing.assert_array_equal(soft_cross_entropy_backward(1.0, saved), [[1, -1, 0]])


def test_what_is_refused():
    shares = np.zeros((3, 4, 5))
    with pytest.raises(ValueError, match="soft_cross_entropy: none of 12 rows has mass, so there is no mean"):
        soft_cross_entropy(SCORES, shares)
    shares[1, 2, 3] = 1
    with pytest.raises(ValueError, match=r"distribution is 1 at \(1, 2, 3\), where mask is False: expected finite shares"):
        soft_cross_entropy(SCORES, shares, np.arange(5) < 3)
    with pytest.raises(TypeError, match="soft_cross_entropy: scores is float64, distribution is float32"):
        soft_cross_entropy(SCORES, shares.astype(np.float32))
