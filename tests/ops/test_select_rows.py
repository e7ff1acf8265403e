"""Selecting rows: some twice, some never, none at all, and rows that do not exist."""

import numpy as np
import pytest

from tinytx.ops import cross_entropy, cross_entropy_backward, linear, linear_backward, select_rows, select_rows_backward

X = np.arange(24.0).reshape(2, 4, 3)


def test_rows_are_counted_through_the_batch():
    """Catches rows of the first sequence only, and columns taken for rows."""
    y, saved = select_rows(X, [5, 0, 5])
    np.testing.assert_array_equal(y, [X[1, 1], X[0, 0], X[1, 1]])
    dx = select_rows_backward(np.array([[1.0, 2, 3], [4, 5, 6], [10, 20, 30]]), saved)
    assert dx.shape == X.shape
    np.testing.assert_array_equal(dx[1, 1], [11, 22, 33])  # both places that picked it
    np.testing.assert_array_equal(dx[0, 0], [4, 5, 6])
    assert np.count_nonzero(dx) == 6


def test_no_rows():
    """Catches a shard of a batch in which nothing is hidden."""
    y, saved = select_rows(X, np.array([], np.int64))
    assert y.shape == (0, 3) and y.dtype == X.dtype
    assert not select_rows_backward(y, saved).any()


def test_result_is_not_a_view():
    y, _ = select_rows(X, np.arange(8))
    y[...] = -1
    assert X.min() == 0


def test_a_loss_over_selected_rows_is_the_loss_over_all():
    """The last paragraph of the derivation: ignored rows may be left out before the output layer."""
    rng = np.random.default_rng(0)
    x, weight, targets = rng.normal(size=(2, 4, 3)), rng.normal(size=(3, 7)), rng.integers(0, 7, (2, 4))
    targets[rng.random((2, 4)) < 0.6] = -100
    logits, linear_saved = linear(x, weight)
    loss, loss_saved = cross_entropy(logits, targets)
    dx, dweight, _ = linear_backward(cross_entropy_backward(1.0, loss_saved), linear_saved)

    rows = np.flatnonzero(targets != -100)
    assert 0 < len(rows) < 8
    few, rows_saved = select_rows(x, rows)
    logits, linear_saved = linear(few, weight)
    few_loss, loss_saved = cross_entropy(logits, targets.reshape(-1)[rows])
    dfew, few_dweight, _ = linear_backward(cross_entropy_backward(1.0, loss_saved), linear_saved)
    assert few_loss == pytest.approx(loss, rel=1e-15)
    np.testing.assert_allclose(select_rows_backward(dfew, rows_saved), dx, rtol=0, atol=1e-15)
    np.testing.assert_allclose(few_dweight, dweight, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([0, 8], ValueError, r"row 8 at position \(1,\) is outside 0\.\.7"),
        ([-1], ValueError, r"row -1 at position \(0,\)"),
        ([0.0], TypeError, "expected integers"),
        ([[0, 1]], ValueError, r"rows has shape \(1, 2\), expected \(n,\)"),
    ],
)
def test_rows_that_do_not_exist(rows, error, message):
    """Catches -1 that wraps to the last row, and N that reads what is not the array's."""
    with pytest.raises(error, match=f"select_rows: .*{message}"):
        select_rows(X, np.array(rows))


def test_refuses_a_gradient_of_another_shape():
    _, saved = select_rows(X, [1, 2])
    with pytest.raises(ValueError, match=r"dy has shape \(3, 3\), expected \(2, 3\)"):
        select_rows_backward(np.zeros((3, 3)), saved)
