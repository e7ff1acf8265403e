import math
import sys

import numpy as np
import pytest

from tinytx.extras import MissingExtra
from tinytx.viz import loss_curve
from tinytx.viz.loss_curve import _moving_mean, _series
from tinytx.viz.style import REFERENCE, SERIES, VALIDATION, WRONG

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
    assert shows(path, VALIDATION) == ("val_loss" not in absent)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("reference", [None, ("theirs", {0: 4.2, 100: 1.9})])
def test_draws_a_reference(tmp_path, reference):
    loss_curve(METRICS, tmp_path / "loss.png", reference=reference)
    assert shows(tmp_path / "loss.png", REFERENCE) == (reference is not None)


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


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_several_runs_in_one_picture(tmp_path, figures):
    """Each in a colour of its own, by its name; names may begin with an underscore, or look like mathematics."""
    runs = {"_plain": METRICS, "$x$ and $$": METRICS[:40], "no validation": without("val_loss")}
    loss_curve(runs, tmp_path / "loss.png", "Prices in $$")
    (figure,) = figures
    expected = ["_plain: validation 1.115", "$x$ and $$: validation 1.175", "no validation", "training", "validation"]
    assert legend(figure) == expected
    lines = [line for line in figure.axes[0].get_lines() if line.get_linestyle() != "None" and len(line.get_xdata())]
    assert [len(line.get_xdata()) for line in lines] == [200, 40, 200]
    assert len({line.get_color() for line in lines}) == 3 and WRONG not in {line.get_color() for line in lines}
    assert len(figure.axes[1].get_lines()) == 3


def test_more_runs_than_colours_differ_in_their_dashes(tmp_path, figures):
    loss_curve({str(i): METRICS[:9] for i in range(len(SERIES) + 1)}, tmp_path / "loss.png")
    looks = [(line.get_color(), line.get_linestyle()) for line in figures[0].axes[1].get_lines()]
    assert len(set(looks)) == len(looks) == len(SERIES) + 1


def test_no_run_and_a_run_without_losses(tmp_path):
    with pytest.raises(ValueError, match="there is no run"):
        loss_curve({}, tmp_path / "loss.png")
    with pytest.raises(ValueError, match="none of 1 records of b has a step"):
        loss_curve({"a": METRICS, "b": [{"step": 1}]}, tmp_path / "loss.png")


@pytest.mark.parametrize("least, scale", [(0.11, "linear"), (0.09, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_losses_of_different_sizes_get_a_logarithmic_axis(tmp_path, figures, least, scale):
    """On a linear axis, a loss that falls from 8 to 0.1 fills half of the picture with nothing."""
    loss_curve([{"step": 1, "train_loss": 1.0}, {"step": 2, "val_loss": least}], tmp_path / "loss.png")
    assert figures[0].axes[0].get_yscale() == scale


def test_what_the_loss_is_a_mean_over_and_how_the_model_was_trained(tmp_path, figures):
    loss_curve(METRICS, tmp_path / "loss.png", unit="character", dropout=0.1, label_smoothing=0.2)
    axes = figures[0].axes[0]
    assert axes.get_ylabel() == "loss with label smoothing 0.2\n(nats per character)"
    assert legend(figures[0])[0] == "training (with dropout 0.1)" and "validation (without dropout)" in legend(figures[0])


@pytest.mark.parametrize("text", ["$$", "prices in $", "$x$", r"$\frac{", "a\x1b[1m", "\ud800", "two\nlines"])
def test_a_title_and_a_name_are_drawn_as_they_are(tmp_path, figures, text):
    """Dollar signs are no mathematics here, and what cannot be drawn is written as an escape."""
    loss_curve(METRICS, tmp_path / "loss.png", text, reference=(text, {1: 2.0}), unit=text)
    shown = text.replace("\x1b", r"\x1b").replace("\ud800", r"\ud800")
    assert figures[0].axes[0].get_title(loc="left") == legend(figures[0])[-1] == shown
    assert not figures[0].axes[0]._left_title.get_parse_math()
    assert not any(text.get_parse_math() for text in figures[0].axes[0].get_legend().get_texts())
