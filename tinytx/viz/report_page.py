"""Runs as one HTML page: configuration, curves, layer by layer, what they say, what they took. The page loads no other file."""

import base64
import json
import math
import time
from itertools import cycle
from typing import NamedTuple

import numpy as np

from tinytx.terminal import harmless
from tinytx.viz import style
from tinytx.viz.loss_curve import WIDE
from tinytx.viz.page import write_html

COLUMNS = ("step", "tokens", "seconds", "train_loss", "val_loss", "learning_rate", "grad_norm", "tokens_per_second")
BY_LAYER = ("grad_norms", "update_ratios")
DIGITS = 6  # significant ones of each number


class RunShown(NamedTuple):
    """A run of a `report_page`.

    Attributes
    ----------
    name : str
    records : list of dict
        By ascending step, as `tinytx.training.fit` writes them; whatever is missing is shown as not recorded.
    facts : list of (str, str or None)
        What is said at a glance; None is shown as not recorded.
    settings : dict
    text : str, or None
        What the trained model says.
    attention : list of AttentionShown
    """

    name: str
    records: list
    facts: list = ()
    settings: dict = {}
    text: str | None = None
    attention: list = ()


class AttentionShown(NamedTuple):
    """Layers that look from the same tokens to the same tokens.

    Attributes
    ----------
    name : str
    tokens : list of T str
        What looks.
    key_tokens : list of S str
        What is looked at.
    layers : dict of str to array (H, T, S), from 0 to 1
    """

    name: str
    tokens: list
    key_tokens: list
    layers: dict


def report_page(runs, path, *, title="Training", note="", quantity="nats per token", why_no_attention="Not recorded.",
                every=None, follow=""):  # fmt: skip
    """Write runs, finished or not, as one HTML page.

    It shows what they are and took, a table for all of them; curves of loss, learning rate, gradient norm and speed, all runs in
    one picture; for each layer the norm of its gradient and how far a step moves its weights relative to their size; what
    the trained models say; where they look; and settings. Pointing at a curve shows step and values, a legend switches
    curves, scales are linear or logarithmic, and the keyboard does the same. The file contains everything, and its
    content security policy forbids the browser to load anything else. It says when it was written.

    With ``every`` the page reloads itself, for the time in which somebody writes it again and again, and the reader keeps
    the place, the curves, the scales and the point under study. The last one is to be written without.

    Parameters
    ----------
    runs : list of RunShown
        In the order in which they are to stand.
    path : str or Path
        Written atomically: a browser that loads it during a run never reads half a page.
    title, note : str
        Written above.
    quantity : str
        What the loss is a number of.
    why_no_attention : str
        Written where no run has ``attention``.
    every : float, optional
        Seconds after which the page reloads itself. Where the file stays the same for long it does so less often, and says that
        nobody writes it any more.
    follow : str
        The command that writes the page again and again; shown where nobody does.

    Raises
    ------
    ValueError
        If there is no run.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> report_page([RunShown("mine", [{"step": 1, "train_loss": 2.5}])], "report.html")  # doctest: +SKIP
    """
    if not runs:
        raise ValueError("report_page: there is no run: give at least one")
    data = {
        "runs": [_run(run, color) for run, color in zip(runs, cycle(style.SERIES))],
        "colors": {"training": style.TRAINING, "validation": style.VALIDATION, "scale": style.SCALE},
        "quantity": quantity,
        "log": _is_wide(runs),
        "whyNoAttention": why_no_attention,
        "written": time.time(),
        "every": every,
        "follow": harmless(follow),
    }
    write_html(path, "report_page.html", title, data, note=note)


def _run(run, color):
    """Return a run in JSON's types."""
    layers = [record for record in run.records if any(record.get(key) for key in BY_LAYER)]
    return {
        "name": harmless(run.name),
        "color": color,
        "columns": _columns(run.records, COLUMNS),
        "layers": _columns(layers, COLUMNS[:3]) | {key: _by_layer(layers, key) for key in BY_LAYER} if layers else {},
        "facts": [[label, value if value is None else harmless(value)] for label, value in run.facts],
        "settings": [[name, harmless(_setting(value))] for name, value in run.settings.items()],
        "text": None if run.text is None else harmless(run.text),
        "attention": [_attention(part) for part in run.attention],
    }


def _columns(records, keys):
    """Return {key: its value in each record}, without keys that no record has."""
    columns = {key: [number(record, key) for record in records] for key in keys}
    return {key: values for key, values in columns.items() if any(value is not None for value in values)}


def _by_layer(records, key):
    """Return {path: its value in each record}, paths in the order in which they first occur."""
    dicts = [record.get(key) or {} for record in records]
    return {harmless(path): [number(values, path) for values in dicts] for path in dict.fromkeys(p for d in dicts for p in d)}


def number(record, key):
    """Return a record's number, rounded; a text if it is not finite, and None if there is none.

    Metrics store NaN and infinity as null, which does not say which of them it was.

    >>> [number({"a": value}, "a") for value in (0.12345678, None, math.inf, math.nan)], number({}, "a")
    ([0.123457, 'not finite', 'Infinity', 'NaN'], None)
    """
    if key not in record:
        return None
    value = record[key]
    if value is None:
        return "not finite"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def _setting(value):
    """Return a setting's value as a text; numbers and texts as they are, others as JSON."""
    return value if isinstance(value, str) else "–" if value is None else json.dumps(value, default=str)


def _is_wide(runs):
    """Return whether the largest loss is so many times the smallest that a linear axis would be half empty."""
    losses = [record.get(key) for run in runs for record in run.records for key in ("train_loss", "val_loss")]
    losses = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return bool(losses) and min(losses) > 0 and max(losses) > WIDE * min(losses)


def _attention(part):
    """Return layers' weights as bytes, 255 for a weight of 1."""
    return {
        "name": part.name,
        "tokens": [harmless(token) for token in part.tokens],
        "keys": [harmless(token) for token in part.key_tokens],
        "layers": [
            {
                "name": name,
                "heads": [base64.b64encode(np.round(255 * head).astype(np.uint8).tobytes()).decode() for head in weights],
            }
            for name, weights in part.layers.items()
        ],
    }
