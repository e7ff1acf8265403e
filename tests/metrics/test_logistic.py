"""Logistic regression with an L1 penalty, by the conditions of its minimum; and the best single feature, by trying all."""

import numpy as np
import pytest

from tinytx.metrics import best_unit, logistic_regression

CASES = [(40, 3), (60, 8), (20, 30), (5, 1)]


def data(n, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(0.3, 2, d) + 0.5
    return x, (x[:, 0] + 0.8 * rng.normal(size=n) > 0.3).astype(int)


@pytest.mark.parametrize("penalty", [0.003, 0.02, 0.1, 10.0])
@pytest.mark.parametrize(("n", "d"), CASES)
def test_the_conditions_of_a_minimum(n, d, penalty):
    """Written out once more. Catches a penalty of the bias, a step that is too long, a search that ends too early."""
    x, t = data(n, d)
    found = logistic_regression(x, t, penalty=penalty, tolerance=1e-9, steps=200_000)
    error = 1 / (1 + np.exp(-(x @ found.weight + found.bias))) - t
    g = x.T @ error / n
    assert abs(error.mean()) <= 1e-9 and found.violation <= 1e-9
    for weight, slope in zip(found.weight, g):
        assert abs(slope + penalty * np.sign(weight)) <= 1e-9 if weight else abs(slope) <= penalty + 1e-9
    if penalty == 10:
        assert not found.weight.any() and found.bias == pytest.approx(np.log(t.mean() / (1 - t.mean())), abs=1e-7)


def test_no_point_near_it_is_lower():
    """By the objective itself."""
    x, t = data(50, 6)
    found, rng = logistic_regression(x, t, penalty=0.03, tolerance=1e-8), np.random.default_rng(0)

    def objective(w, b):
        z = x @ w + b
        return np.mean(np.logaddexp(0, z) - t * z) + 0.03 * np.abs(w).sum()

    least = objective(*found[:2])
    for size in (1e-3, 1e-2, 0.1, 1):
        for _ in range(50):
            assert objective(found.weight + size * rng.normal(size=6), found.bias + size * rng.normal()) > least
    np.testing.assert_array_equal(found.says(x), x @ found.weight + found.bias > 0)


def test_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.linear_model")
    x, t = data(60, 8)
    theirs = sklearn.LogisticRegression(penalty="l1", C=1 / (60 * 0.02), solver="saga", tol=1e-9, max_iter=100_000).fit(x, t)
    ours = logistic_regression(x, t, penalty=0.02, tolerance=1e-8)
    np.testing.assert_allclose(ours.weight, theirs.coef_[0], atol=1e-5)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_a_search_without_its_steps_says_how_far_it_is():
    x, t = data(40, 3)
    early, late = (logistic_regression(x, t, penalty=0.01, steps=steps).violation for steps in (3, 10_000))
    assert early > 1e-3 and late <= 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_the_best_unit_is_the_best_of_all_thresholds(seed):
    """Values with ties, some columns constant. Catches a threshold among equal values, and one side that is not tried."""
    rng = np.random.default_rng(seed)
    x, t = rng.integers(0, 4 + 20 * (seed % 2), (15, 4)).astype(float), rng.integers(0, 2, 15)
    x[:, 1], t = 3, np.where(seed == 5, 1, t) * np.ones(15, int)
    best = 0
    for column in x.T:
        for threshold in [*column, column.min() - 1]:
            for rises in (True, False):
                best = max(best, np.mean(((column > threshold) == rises) == t))
    unit = best_unit(x, t)
    assert unit.accuracy == pytest.approx(best) == np.mean(unit.says(x) == t)


@pytest.mark.parametrize(
    ("x", "t"),
    [(np.ones(3), [0, 1, 1]), (np.ones((3, 2)), [0, 1]), (np.ones((3, 2)), [0.0, 1, 1]), (np.ones((0, 2)), []), ([["a"]], [1]),
     (np.ones((3, 2)), [0, 1, 2]), (np.full((2, 2), np.nan), [0, 1])],
)  # fmt: skip
def test_bad_input_is_named(x, t):
    for f, options in ((best_unit, {}), (logistic_regression, {"penalty": 0.1})):
        with pytest.raises(ValueError, match=f"{f.__name__}: .*expected"):
            f(x, t, **options)


def test_bad_settings_are_named():
    x, t = data(5, 1)
    for setting, value in (("penalty", -1.0), ("penalty", np.nan), ("tolerance", 0), ("steps", 0)):
        with pytest.raises(ValueError, match=f"logistic_regression: {setting} is {value}"):
            logistic_regression(x, t, **{"penalty": 0.1} | {setting: value})
