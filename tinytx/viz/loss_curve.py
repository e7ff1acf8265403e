"""The loss curve: one look that tells whether a run learned, overfitted or diverged."""

import numpy as np

from tinytx.extras import require
from tinytx.files import atomic_write

_TRAIN, _VALIDATION, _RATE, _TEXT = "#3b76af", "#d1495b", "#7a7a7a", "#333333"


def loss_curve(metrics, path, title=None):
    """Draw the losses of a run over its steps, and write the picture as a PNG.

    The training loss is drawn twice: thin as measured, and thick as a moving mean. Validation losses are marked where
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
    _draw_losses(axes[0], train, validation)
    if len(rate[0]):
        axes[1].plot(*rate, color=_RATE, linewidth=1.5)
        axes[1].set_ylabel("learning rate")
    for axis in axes:
        _tidy(axis)
    axes[-1].set_xlabel("step")
    if title is not None:
        axes[0].set_title(title, loc="left", fontweight="bold")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)


def _series(metrics, key):
    """Return (steps, values) of the finite values under a key, by ascending step, each step once."""
    values = {record["step"]: record[key] for record in metrics if None not in (record.get("step"), record.get(key))}
    steps = np.array(sorted(values))
    values = np.array([values[step] for step in steps], float)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _moving_mean(values):
    """Return the mean of each value and its neighbours, a fortieth of the run in all: centred, so it does not lag.

    At both ends it is the mean of the neighbours that there are.
    """
    window = np.ones(2 * (len(values) // 80) + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def _draw_losses(axis, train, validation):
    """Draw both losses on one axis."""
    if len(train[0]):
        steps, losses = train
        axis.plot(steps, losses, color=_TRAIN, linewidth=0.6, alpha=0.4)
        axis.plot(steps, _moving_mean(losses), color=_TRAIN, linewidth=2, label="training (moving mean)")
    if len(validation[0]):
        steps, losses = validation
        axis.plot(steps, losses, "o", color=_VALIDATION, markeredgecolor="white", label="validation", zorder=3)
        axis.annotate(
            f"{losses[-1]:.3f}",
            (steps[-1], losses[-1]),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            color=_VALIDATION,
            fontweight="bold",
        )
    axis.set_ylabel("loss (nats per token)")
    axis.legend(frameon=False, labelcolor=_TEXT)


def _tidy(axis):
    """Take away what carries no information, and keep a faint grid to read values by."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#bbbbbb")
    axis.tick_params(color="#bbbbbb", labelcolor=_TEXT)
    axis.grid(color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
