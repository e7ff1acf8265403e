import math
import sys

import numpy as np
import pytest

from tinytx.extras import MissingExtra
from tinytx.viz import loss_curve
from tinytx.viz.loss_curve import _REFERENCE, _VALIDATION, _moving_mean, _series

image = pytest.importorskip("matplotlib.image")

METRICS = [
    {"step": step, "train_loss": 1 + 3 / step, "learning_rate": 1e-3 / step}
    | ({"val_loss": 1.1 + 3 / step} if step % 20 == 0 else {})
    for step in range(1, 201)
]


def without(*keys):
    return [{key: value for key, value in record.items() if key not in keys} for record in METRICS]


def shows(path, color):
    """Whether a picture has pixels of just this colour."""
    pixels = np.round(image.imread(path)[..., :3] * 255).astype(int)
    return (pixels == [int(color[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1).any()


@pytest.mark.parametrize("absent", [(), ("train_loss",), ("val_loss",), ("learning_rate",)])
def test_draws_what_there_is(tmp_path, absent):
    path = tmp_path / "loss.png"
    loss_curve(without(*absent), path, "A run")
    assert image.imread(path).shape == (750, 1200, 4)
    assert shows(path, _VALIDATION) == ("val_loss" not in absent)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("reference", [None, ("theirs", {0: 4.2, 100: 1.9})])
def test_draws_a_reference(tmp_path, reference):
    loss_curve(METRICS, tmp_path / "loss.png", reference=reference)
    assert shows(tmp_path / "loss.png", _REFERENCE) == (reference is not None)


@pytest.mark.parametrize("metrics", [METRICS[:1], METRICS[19:20], METRICS[:79], [{"step": 0, "val_loss": 2.0}]])
def test_draws_short_runs(tmp_path, metrics):
    loss_curve(metrics, tmp_path / "loss.png")
    assert image.imread(tmp_path / "loss.png").std() > 0


def test_the_picture_depends_on_the_metrics_alone(tmp_path):
    for name, metrics in (("a", METRICS), ("b", METRICS), ("c", METRICS[:150])):
        loss_curve(metrics, tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_no_global_state(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # its import would raise
    loss_curve(METRICS, tmp_path / "loss.png")


@pytest.mark.parametrize("metrics", [[], [{}], without("train_loss", "val_loss"), [{"step": 1, "val_loss": math.nan}]])
def test_nothing_to_draw(tmp_path, metrics):
    with pytest.raises(ValueError, match=f"none of {len(metrics)} records"):
        loss_curve(metrics, tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r'drawing the loss curve needs matplotlib: pip install "tinytx\[train\]"'):
        loss_curve(METRICS, tmp_path / "loss.png")


@pytest.mark.usefixtures("full_disk")
def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "loss.png"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        loss_curve(METRICS, path)
    assert path.read_bytes() == b"old"


def test_a_series_is_sorted_finite_and_ends_as_the_last_attempt_did():
    metrics = [
        {"step": 1, "loss": 5.0},
        {"step": 2, "loss": 4.0},
        {"step": 4, "loss": None},
        {"step": 3, "loss": math.inf},
        {"step": 5},
        {"loss": 9.0},
        {"step": 2, "loss": 3.0},  # the run was resumed at 1
        {"step": 0, "loss": 1e30},
    ]
    steps, values = _series(metrics, "loss")
    assert steps.tolist() == [0, 1, 2] and values.tolist() == [1e30, 5, 3]


@pytest.mark.parametrize("n, reach", [(1, 3), (9, 1), (30, 4), (5, 10)])
def test_the_moving_mean_is_a_mean_of_neighbours(n, reach):
    values = np.random.default_rng(0).normal(size=n)
    expected = []
    for i in range(n):
        left = min(reach, i)
        expected.append(values[i - left : i + left + 1].mean())
    np.testing.assert_allclose(_moving_mean(values, reach), expected)


def test_the_moving_mean_of_a_line_is_the_line_but_at_its_end():
    line = np.arange(50.0)
    np.testing.assert_allclose(_moving_mean(line, 5)[:-5], line[:-5])
