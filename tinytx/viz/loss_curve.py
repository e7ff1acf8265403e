"""The loss curve of a run, which shows whether it learned, overfitted or diverged; or the curves of several runs."""

from itertools import cycle
from typing import NamedTuple

import numpy as np

from tinytx.viz import style

WIDE = 10  # the axis is logarithmic if the largest loss is more than this many times the smallest
_DASHES = ("-", "--", ":", "-.")  # each time all colours are used up, the next kind of line begins


class _Run(NamedTuple):
    """The data of one run: three series of (steps, values), each of which may be empty."""

    name: str
    color: str
    dash: str
    train: tuple
    validation: tuple
    rate: tuple


def loss_curve(metrics, path, title=None, *, reference=None, unit="token", quantity="nats", dropout=0.0, label_smoothing=0.0):
    """Draw the losses of a run over its steps, or those of several to compare them, and write the picture as a PNG.

    The measured training losses are a thin line, and their moving mean is a thick one; with fewer than 80 losses there
    is no moving mean. Validation losses are dots, and the last one is written beside its dot. If there are learning
    rates, they are drawn in a panel below. If the largest loss is more than ten times the smallest, the axis is
    logarithmic.

    Each of several runs has its own colour, and only the moving mean of its training loss is drawn.

    Parameters
    ----------
    metrics : list of dict, or dict of str to list of dict
        Records as ``read_json_lines`` returns them, with ``step`` and any of ``train_loss``, ``val_loss`` (nats per
        token) and ``learning_rate``. A value that is absent, None or not finite is left out. If a step occurs several
        times (in a resumed run), the last value counts. For several runs: a dict from each run's name to its records.
    path : str or Path
        Written atomically: a program that shows it during the run never reads half a picture.
    title : str, optional
    reference : (str, dict of int to float), optional
        Losses from another source, to compare with: their name, and a dict from step to loss. Drawn as crosses.
    unit : str
        What the loss is a mean over, such as ``"character"`` or ``"hidden word"``; written at the axis.
    quantity : str
        What the loss is a number of, at the axis as well.
    dropout, label_smoothing : float
        The settings of the run, for the legend and the axis. Dropout raises only the training loss, label smoothing
        both losses.

    Raises
    ------
    ValueError
        If there is no run, or one has no record with a loss.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of the title or a name.
    """
    runs = _runs(metrics)
    title, unit, their = (text and style.drawable(text) for text in (title, unit, reference and reference[0]))
    figure = style.new_figure("drawing the loss curve", 8, 5, layout="constrained")
    texts = style.plain(title, unit, their, *(run.name for run in runs))
    rates = any(len(run.rate[0]) for run in runs)
    heights = [4, 1] if rates else [1]
    axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    draw = _draw_several if len(runs) > 1 else _draw_one
    entries = draw(axes[0], runs, f" (with dropout {dropout:g})" if dropout else "")
    if reference is not None:
        steps, losses = list(reference[1]), list(reference[1].values())
        entries.append((their, axes[0].plot(steps, losses, "x", color=style.REFERENCE, markersize=8)[0]))
    smoothed = f" with label smoothing {label_smoothing:g}\n" if label_smoothing else " "
    axes[0].set_ylabel(f"loss{smoothed}({quantity} per {unit})", **texts)
    _scale(axes[0], runs, reference)
    style.write_legend(axes[0], entries, options=texts)
    if rates:
        for run in runs:
            axes[1].plot(*run.rate, run.dash, color=run.color if len(runs) > 1 else style.NEUTRAL, linewidth=1.5)
        axes[1].set_ylabel("learning rate")
    for axis in axes:
        style.tidy(axis)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.align_ylabels()
    if title:
        style.write_title(axes[0], title, **texts)
    style.save(figure, path)


def _runs(metrics):
    """Return the runs to draw."""
    named = metrics if isinstance(metrics, dict) else {"": metrics}
    if not named:
        raise ValueError("loss_curve: there is no run: give at least one")
    runs, looks = [], cycle((dash, color) for dash in _DASHES for color in style.SERIES)
    for (name, records), (dash, color) in zip(named.items(), looks):
        series = [_series(records, key) for key in ("train_loss", "val_loss", "learning_rate")]
        if not len(series[0][0]) + len(series[1][0]):
            of = f" of {name}" if name else ""
            raise ValueError(
                f"loss_curve: none of {len(records)} records{of} has a step and a finite train_loss or val_loss: "
                "train for some steps first"
            )
        runs.append(_Run(style.drawable(str(name)), color, dash, *series))
    return runs


def _series(metrics, key):
    """Return (steps, values) of the finite values under a key, by ascending step, each step once."""
    values = {record["step"]: record[key] for record in metrics if None not in (record.get("step"), record.get(key))}
    steps = np.array(sorted(values))
    values = np.array([values[step] for step in steps], float)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _moving_mean(values, reach):
    """Return the mean of each value and ``reach`` neighbours on either side. The window is centred, so it does not lag.

    Near the start, where a loss falls steeply, the window is symmetric: it has as many values on the right as there are
    on the left. Near the end it has fewer values on the right than on the left.
    """
    index = np.arange(len(values))
    first = np.maximum(index - reach, 0)
    after = np.minimum(2 * index - first, len(values) - 1) + 1
    sums = np.concatenate([[0], np.cumsum(values)])
    return (sums[after] - sums[first]) / (after - first)


def _reach(losses):
    """Return how many losses on either side are in the moving mean: its window is about a fortieth of the run."""
    return len(losses) // 80


def _draw_one(axis, runs, dropout):
    """Draw a run's losses and their moving mean, and return the legend's entries."""
    (_, _, _, (steps, losses), validation, _), entries = runs[0], []
    if _reach(losses):
        thin = axis.plot(steps, losses, color=style.TRAINING, linewidth=0.6, alpha=0.4)[0]
        thick = axis.plot(steps, _moving_mean(losses, _reach(losses)), color=style.TRAINING, linewidth=2)[0]
        entries += [(f"training{dropout}", thin), ("training, moving mean", thick)]
    elif len(losses):
        entries += [(f"training{dropout}", axis.plot(steps, losses, ".-", color=style.TRAINING, linewidth=1.5)[0])]
    if len(validation[0]):
        mark = _mark(axis, *validation, style.VALIDATION)
        entries += [("validation (without dropout)" if dropout else "validation", mark)]
        _write_last(axis, *validation)
    return entries


def _draw_several(axis, runs, dropout):
    """Draw the runs, each in its colour; return the legend's entries: the runs, then what line and dot mean."""
    entries = []
    for run in runs:
        last = f": validation {run.validation[1][-1]:.3f}" if len(run.validation[0]) else ""
        steps, losses = run.train
        line = axis.plot(steps, _moving_mean(losses, _reach(losses)), run.dash, color=run.color, linewidth=1.8)[0]
        _mark(axis, *run.validation, run.color)
        entries.append((f"{run.name}{last}", line))
    if any(len(run.train[0]) for run in runs):
        entries.append((f"training{dropout}", axis.plot([], [], color=style.NEUTRAL, linewidth=1.8)[0]))
    if any(len(run.validation[0]) for run in runs):
        without = " (without dropout)" if dropout else ""
        entries.append((f"validation{without}", _mark(axis, [], [], style.NEUTRAL)))
    return entries


def _mark(axis, steps, losses, color):
    """Mark losses where they were measured, and return the marks."""
    return axis.plot(steps, losses, "o", color=color, markeredgecolor="white", zorder=3)[0]


def _write_last(axis, steps, losses):
    """Write the last loss beside its mark."""
    axis.annotate(
        f"{losses[-1]:.3f}",
        (steps[-1], losses[-1]),
        xytext=(9, 0),
        textcoords="offset points",
        verticalalignment="center",
        color=style.VALIDATION,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def _scale(axis, runs, reference):
    """Make the axis logarithmic if losses differ by more than a factor of `WIDE`: a linear one would be half empty."""
    drawn = [values for run in runs for _, values in (run.train, run.validation)]
    drawn = np.concatenate([*drawn, list(reference[1].values()) if reference else []])
    if drawn.min() > 0 and drawn.max() > WIDE * drawn.min():
        style.log_scale(axis)
