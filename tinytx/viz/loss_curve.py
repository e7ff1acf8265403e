"""The loss curve: one look that tells whether a run learned, overfitted or diverged."""

import numpy as np

from tinytx.extras import require
from tinytx.files import atomic_write

_TRAIN, _VALIDATION, _REFERENCE, _RATE, _TEXT = "#3b76af", "#d1495b", "#222222", "#7a7a7a", "#333333"


def loss_curve(metrics, path, title=None, *, reference=None):
    """Draw the losses of a run over its steps, and write the picture as a PNG.

    The training loss is drawn thin as measured, and thick as a moving mean. Validation losses are marked where
    they were measured, and the last one is written out. A learning rate, where there is one, gets a panel below.

    Parameters
    ----------
    metrics : list of dict
        Records as ``read_json_lines`` returns them, with ``step`` and any of ``train_loss``, ``val_loss`` (nats per
        token) and ``learning_rate``. What is absent, None or not finite is left out; a step that a resumed run took
        again counts as it went the last time.
    path : str or Path
        Written atomically: a page that shows it while the run goes on never shows half a picture.
    title : str, optional
    reference : (str, dict of int to float), optional
        Somebody else's losses, to compare with: whose they are, and the loss by step. Drawn as crosses.

    Raises
    ------
    ValueError
        If no record has a loss.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    train, validation, rate = (_series(metrics, key) for key in ("train_loss", "val_loss", "learning_rate"))
    if not len(train[0]) + len(validation[0]):
        raise ValueError(
            f"loss_curve: none of {len(metrics)} records has a step and a finite train_loss or val_loss: "
            "train for some steps first"
        )
    figure_module = require("matplotlib.figure", "train", "drawing the loss curve")
    figure = figure_module.Figure(figsize=(8, 5), layout="constrained")  # no pyplot, hence no global state
    heights = [4, 1] if len(rate[0]) else [1]
    axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    if len(train[0]):
        _draw_training(axes[0], *train)
    if len(validation[0]):
        _draw_validation(axes[0], *validation)
    if reference is not None:
        name, points = reference
        axes[0].plot(list(points), list(points.values()), "x", color=_REFERENCE, markersize=8, label=name, zorder=3)
    axes[0].set_ylabel("loss (nats per token)")
    axes[0].legend(frameon=False, labelcolor=_TEXT)
    if len(rate[0]):
        axes[1].plot(*rate, color=_RATE, linewidth=1.5)
        axes[1].set_ylabel("learning rate")
    for axis in axes:
        _tidy(axis)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.align_ylabels()
    if title is not None:
        axes[0].set_title(title, loc="left", fontweight="bold", color=_TEXT)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)


def _series(metrics, key):
    """Return (steps, values) of the finite values under a key, by ascending step, each step once."""
    values = {record["step"]: record[key] for record in metrics if None not in (record.get("step"), record.get(key))}
    steps = np.array(sorted(values))
    values = np.array([values[step] for step in steps], float)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _moving_mean(values, reach):
    """Return the mean of each value and ``reach`` neighbours on either side: centred, so it does not lag.

    At the start, where a loss falls steeply, it takes as few from the right as there are on the left; at the end it
    takes those that there are.
    """
    index = np.arange(len(values))
    first = np.maximum(index - reach, 0)
    after = np.minimum(2 * index - first, len(values) - 1) + 1
    sums = np.concatenate([[0], np.cumsum(values)])
    return (sums[after] - sums[first]) / (after - first)


def _draw_training(axis, steps, losses):
    """Draw the losses as measured, and where they are many their moving mean, over a fortieth of the run."""
    reach = len(losses) // 80
    if reach:
        axis.plot(steps, losses, color=_TRAIN, linewidth=0.6, alpha=0.4, label="training")
        axis.plot(steps, _moving_mean(losses, reach), color=_TRAIN, linewidth=2, label="training, moving mean")
    else:
        axis.plot(steps, losses, ".-", color=_TRAIN, linewidth=1.5, label="training")


def _draw_validation(axis, steps, losses):
    """Mark the losses where they were measured, and write the last one beside its mark."""
    axis.plot(steps, losses, "o", color=_VALIDATION, markeredgecolor="white", label="validation", zorder=3)
    axis.annotate(
        f"{losses[-1]:.3f}",
        (steps[-1], losses[-1]),
        xytext=(9, 0),
        textcoords="offset points",
        verticalalignment="center",
        color=_VALIDATION,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def _tidy(axis):
    """Take away what carries no information, and keep a faint grid to read values by."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#bbbbbb")
    axis.tick_params(color="#bbbbbb", labelcolor=_TEXT)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(_TEXT)
    axis.grid(color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
