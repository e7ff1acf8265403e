"""Batch norm: which rows its means are of, and the population's, which calibration finds."""

import re

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.layers import BatchNorm, Checkpoint, Linear, Sequential
from tinytx.layers.batch_norm import calibrate
from tinytx.ops import batch_norm, batch_norm_backward
from tinytx.testing import gradcheck

DTYPES = [np.float32, np.float64]
X = np.random.default_rng(0).normal(2, 3, (4, 5, 3))
REAL = np.arange(5) < np.array([[5], [2], [1], [4]])
ONE, ZERO = np.ones(3), np.zeros(3)


def test_padding_is_in_no_mean_and_gets_nothing():
    """Catches N of all rows, a variance over N - 1, and padding that moves the others."""
    rows = X[REAL]
    weight, bias = np.array([1.0, 2, -3]), np.array([4.0, 5, 6])
    y, saved = batch_norm(X, weight, bias, mask=REAL, eps=0.0)
    np.testing.assert_allclose(y[REAL], weight * (rows - rows.mean(0)) / rows.std(0) + bias, rtol=0, atol=1e-13)
    other, _ = batch_norm(np.where(REAL[..., None], X, np.nan), weight, bias, mask=REAL, eps=0.0)
    np.testing.assert_array_equal(other, y)
    dx, *_ = batch_norm_backward(np.ones_like(X) * [1.0, 0, 0] * X, saved)
    assert not y[~REAL].any() and not dx[~REAL].any()
    np.testing.assert_allclose(dx[REAL].sum(0), 0, atol=1e-12)  # to move all rows changes nothing


def test_the_layer_hands_its_mask_on():
    norm = BatchNorm(3, dtype=np.float64)
    for population in (False, True):
        if population:
            norm.set_population(ZERO, ONE)
        y = norm(X, mask=REAL)
        assert not y[~REAL].any() and y[REAL].all()
        np.testing.assert_allclose(y[REAL], norm(X[REAL]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_feature_gives_the_bias_and_one_row_too(dtype):
    x = np.full((3, 3), 7, dtype)
    for rows in (x, x[:1]):
        y, saved = batch_norm(rows, ONE.astype(dtype), 2 * ONE.astype(dtype))
        assert (y == 2).all() and not batch_norm_backward(y, saved)[1].any()


@pytest.mark.parametrize("offset", [2.0**16, 2.0**20])
def test_a_large_mean_does_not_swallow_the_variance(offset):
    """Catches mean(x^2) - mean(x)^2, and means of many rows that are added up in float32."""
    x = np.arange(30_000, dtype=np.float32).reshape(-1, 3) % 7
    one, zero = ONE.astype(np.float32), ZERO.astype(np.float32)
    moved, _ = batch_norm(x + np.float32(offset), one, zero)
    np.testing.assert_allclose(moved, batch_norm(x, one, zero)[0], rtol=1e-4, atol=0.1 * offset / 2**20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": X[:0]}, "batch_norm: x has shape (0, 5, 3) and no real row, expected at least one to take a mean of"),
        ({"mask": np.zeros((4, 1), bool)}, "batch_norm: x has shape (4, 5, 3) and no real row"),
        ({"mean": ZERO}, "batch_norm: variance is None and mean is given, expected both or neither"),
        ({"mean": ZERO, "variance": -ONE}, "batch_norm: variance is -1.0 at its smallest, expected numbers of at least 0"),
        ({"weight": ONE[:1]}, "batch_norm: weight has shape (1,), expected (3,) from x of shape (4, 5, 3)"),
        ({"mask": REAL.T}, "batch_norm: mask has shape (5, 4), expected one that broadcasts to (4, 5)"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        batch_norm(**{"x": X, "weight": ONE, "bias": ZERO} | changes)


def test_no_rows_are_allowed_with_the_population():
    y, saved = batch_norm(X[:0], ONE, ZERO, ZERO, ONE)
    assert y.shape == (0, 5, 3) and not any(gradient.any() for gradient in batch_norm_backward(y, saved))


def model_of(dtype=np.float64):
    rng = np.random.default_rng(1)
    draw = {"rng": rng, "dtype": dtype}
    return Sequential(Linear(3, 4, **draw), BatchNorm(4, dtype=dtype), Linear(4, 4, **draw), BatchNorm(4, dtype=dtype))


def test_calibration_is_the_papers_algorithm():
    """Catches a biased variance, a mean of the last batch, and a first norm that already has the population's."""
    model, batches = model_of(), [(X[:2],), (X[2:],)]
    first = [model.layers[0](*batch).reshape(-1, 4) for batch in batches]
    second = [model.layers[2](model.layers[1](model.layers[0](*batch))).reshape(-1, 4) for batch in batches]
    for turn in range(2):  # the second one forgets the first
        calibrate(model, batches if turn else batches[:1])
    for norm, seen in zip(model.layers[1::2], (first, second), strict=True):
        np.testing.assert_allclose(norm.mean.data, np.mean([rows.mean(0) for rows in seen], axis=0), rtol=0, atol=1e-13)
        np.testing.assert_allclose(norm.variance.data, np.mean([rows.var(0, ddof=1) for rows in seen], axis=0), rtol=1e-13)


def test_before_calibration_rows_depend_on_each_other_and_after_it_they_do_not():
    model = model_of(np.float32)
    x = X.astype(np.float32)
    assert (model(x[:1]) != model(x)[:1]).any() and len(model.parameters()) == 8
    calibrate(model, [(x,)])
    np.testing.assert_allclose(model(x[:1]), model(x)[:1], rtol=1e-5)
    assert {path for path, p in model.named_parameters() if p.frozen} == {f"layers.{i}.{n}" for i in (1, 3) for n in ("mean", "variance")}
    loaded = BatchNorm(4, population=True)
    loaded.load_state_dict(model.layers[1].state_dict())
    np.testing.assert_array_equal(loaded(x[..., [0, 1, 2, 0]]), model.layers[1](x[..., [0, 1, 2, 0]]))


def test_the_gradient_with_the_population():
    """That of mean and variance too, which are frozen, so that a step leaves them as they are."""
    norm = BatchNorm(3, dtype=np.float64)
    norm.weight.data[...], norm.bias.data[...] = [2.0, -1, 0.5], [1.0, 2, 3]
    norm.set_population(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    assert gradcheck(norm, X, randomize=False).verdict == "PASS"
    tape = Tape()
    norm.backward(norm(X, tape), tape)
    assert norm.weight.has_grad and not norm.mean.has_grad


def test_what_cannot_be_calibrated_is_said():
    with pytest.raises(ValueError, match="calibrate: Linear has no BatchNorm"):
        calibrate(Linear(3, 4, rng=np.random.default_rng(0)), [(X,)])
    for model, batches in ((model_of(), []), (model_of(), [(X[0, :1],)] * 3), (Sequential(Checkpoint([model_of()])), [])):
        with pytest.raises(ValueError, match=r"BatchNorm '.*layers.1' saw \d rows, no two of them in one batch: expected batches of"):
            calibrate(model, batches)
