"""Runs on the screen of a terminal: a table, the losses as a picture, and the layers that a step moves most and least."""

import math

from tinytx.extras import require
from tinytx.progress import duration
from tinytx.recipes.run_facts import number
from tinytx.recipes.run_folder import FINISHED, RUNNING
from tinytx.terminal import harmless
from tinytx.training.by_layer import UPDATE_RATIOS
from tinytx.viz.braille import braille_plot
from tinytx.viz.loss_curve import WIDE
from tinytx.wording import command

LEAST, MOST = 6, 22  # lines of the picture
EXTREMES = 3  # layers at each end
COLORS = ("#5aa0e0", "#a98be0", "#63b563", "#e07fbd", "#4cc0b0", "#c49a6c", "#98a5b3", "#8ed0f0", "#b5ba55", "#7f9fd0")
VALIDATION = "#e0a030"
STATES = {RUNNING: "green", FINISHED: "cyan"}  # others are yellow


def rich(module):
    """Return a module of the library that draws on terminals."""
    return require(f"rich.{module}", "watch", "watching runs")


def screen(runs, width, height):
    """Return what rich draws of runs: as many characters wide and at most so many lines high, if the runs leave room.

    Parameters
    ----------
    runs : list of `tinytx.recipes.run_folder.RunFolder`
    width, height : int
    """
    layers = _layers(runs[0]) if len(runs) == 1 else None
    used = len(runs) + 4 + (0 if layers is None else str(layers).count("\n") + 1)  # the table has four lines more than runs
    parts = [_table(runs, width), _picture(runs, width, max(LEAST, min(MOST, height - used - 3)))]
    return rich("console").Group(*parts, *([] if layers is None else [layers]))


def _table(runs, width):
    """Return a row for each run; the narrower the screen, the fewer columns."""
    table = rich("table").Table(box=rich("box").SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0))
    columns = [  # heading, what stands there, the width of the screen from which it does
        ("run", None, 0), ("state", lambda run: run.state, 0), ("step", _steps, 0), ("left", _left, 60),
        ("loss", lambda run: _last(run, "train_loss"), 0), ("validation", lambda run: _last(run, "val_loss"), 50),
        ("best", lambda run: number(run.best()[0]) if run.best() else "", 90),
        ("rate", lambda run: _last(run, "learning_rate", ".2e"), 100),
        ("gradient", lambda run: _last(run, "grad_norm", ".2f"), 80),
        ("tokens/s", lambda run: _last(run, "tokens_per_second", ",.0f"), 70),
        ("time", lambda run: _words(run.last("seconds"), duration), 110),
        ("memory", lambda run: _words(run.last("peak_memory"), lambda size: f"{size / 1e6:,.0f} MB"), 120),
    ]  # fmt: skip
    columns = [(head, text) for head, text, least in columns if width >= least and (text is None or any(map(text, runs)))]
    for head, text in columns:
        table.add_column(head, justify="left" if head in ("run", "state") else "right", no_wrap=True, overflow="ellipsis",
                         ratio=1 if text is None else None)  # fmt: skip
    text_of = rich("text").Text
    short = [run.folder.resolve().name for run in runs]
    names = short if len(set(short)) == len(runs) else [str(run.folder) for run in runs]
    for run, name, color in zip(runs, names, _colors(len(runs))):
        name = text_of.assemble(("● ", color), harmless(name))
        state = text_of(run.state, style=STATES.get(run.state, "yellow"))
        table.add_row(name, state, *(text_of(text(run)) for _, text in columns[2:]))  # the state is never empty
    return table


def _picture(runs, width, height):
    """Return the losses as a panel: those of training, and of one run those of validation."""
    text_of = rich("text").Text
    curves, colors = [_curve(run, "train_loss") for run in runs], _colors(len(runs))
    if len(runs) == 1:
        curves, colors = [*curves, _curve(runs[0], "val_loss")], [*colors, VALIDATION]
    losses = [y for _, ys in curves for y in ys if y is not None and math.isfinite(y)]
    log = bool(losses) and min(losses) > 0 and max(losses) > WIDE * min(losses)
    margin = 9
    rows, bounds = braille_plot(curves, max(10, width - margin - 5), height, log=log)
    picture = text_of(no_wrap=True, overflow="crop")
    for i, row in enumerate(rows):
        at_end = bounds and {0: bounds[3], len(rows) - 1: bounds[2]}.get(i)
        picture.append(f"{'' if at_end is None else f'{at_end:.4g}':>{margin - 1}} ", style="dim")
        for character, curve in row:
            picture.append(character, style=None if curve is None else colors[curve])
        picture.append("\n")
    if bounds is None:
        picture.append(f"{'':{margin}}no loss yet", style="dim")
    else:
        first, last = f"{bounds[0]:,}", f"step {bounds[1]:,}"
        picture.append(f"{'':{margin}}{first}{last:>{max(1, len(rows[0]) - len(first))}}", style="dim")
    title = f"{'loss' if len(runs) == 1 else 'training loss'}{', logarithmic' * log}"
    if len(runs) == 1 and curves[1][0]:
        title += f": training [{colors[0]}]━[/], validation [{colors[1]}]━[/]"
    browser = text_of(f"in a browser: {follow(runs)}") if any(run.state == RUNNING for run in runs) else None
    return rich("panel").Panel(picture, title=title, title_align="left", subtitle=browser, subtitle_align="left",
                               border_style="dim", box=rich("box").ROUNDED)  # fmt: skip


def follow(runs):
    """Return the command that makes a page of runs which follows them."""
    return harmless(command("report", *(run.folder for run in runs), "--follow"))


def _layers(run):
    """Return the layers with the largest and the smallest update ratios as lines; None if none were measured."""
    record = next((record for record in reversed(run.records) if record.get(UPDATE_RATIOS)), None)
    ratios = {} if record is None else {path: x for path, x in record[UPDATE_RATIOS].items() if x is not None}
    if not ratios:
        return None
    paths = sorted(ratios, key=ratios.get, reverse=True)
    shown = paths if len(paths) <= 2 * EXTREMES else [*paths[:EXTREMES], *paths[-EXTREMES:]]
    few = f"largest and smallest of {len(paths)} layers" if len(shown) < len(paths) else "of each layer"
    text = rich("text").Text(f"update-to-weight ratio at step {record['step']:,}, {few}", style="dim", no_wrap=True, overflow="ellipsis")
    for path in shown:
        text.append(f"\n{ratios[path]:10.2e}  {harmless(path)}", style="not dim")
    return text


def _colors(n):
    """Return a colour for each run."""
    return [COLORS[i % len(COLORS)] for i in range(n)]


def _curve(run, key):
    records = [record for record in run.records if record.get(key) is not None]
    return [record["step"] for record in records], [record[key] for record in records]


def _steps(run):
    return f"{run.step:,}" + (f" of {run.steps:,}" if run.steps else "")


def _left(run):
    return _words(run.seconds_left() if run.state == RUNNING else None, duration)


def _last(run, key, form=".4f"):
    """Return the newest value of a column; that it is not finite, where it is not."""
    values = [record[key] for record in run.records if key in record]
    if not values:
        return ""
    return format(values[-1], form) if values[-1] is not None and math.isfinite(values[-1]) else "not finite"


def _words(value, words):
    return "" if value is None else words(value)
