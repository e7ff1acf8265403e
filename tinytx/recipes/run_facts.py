"""What is said of a run at a glance, in words: for a page, and for the terminal."""

import math
from statistics import median

from tinytx.progress import duration
from tinytx.recipes.run_folder import FINISHED, RUNNING

SHOWN = 21  # the last training losses, of which a mean is shown


def facts_of(run):
    """Return [(what, words or None)] of a `tinytx.recipes.run_folder.RunFolder`; None was not recorded."""
    meta, n = run.checkpoint.meta, run.checkpoint.n_parameters
    best, tokens, seconds, memory = run.best(), run.last("tokens"), run.last("seconds"), run.last("peak_memory")
    speeds = [r["tokens_per_second"] for r in run.records if r.get("tokens_per_second") is not None]
    return [
        ("state", state_of(run)),
        ("model", _model(meta)),
        ("parameters", None if n is None else f"{n:,}"),
        ("training loss", loss_of(run)),
        ("best validation loss", best and f"{best[0]:.4f} after step {best[1]:,}"),
        *((f"{name.replace('_', ' ').replace('val loss', 'validation loss')} at the end", number(value)) for name, value in run.measures.items()),
        ("tokens", None if tokens is None else f"{tokens:,}"),
        ("time", None if seconds is None else duration(seconds)),
        ("tokens per second", f"{median(speeds):,.0f}" if speeds else None),
        ("peak memory", None if memory is None else f"{memory / 1e6:,.0f} MB"),
        ("machine", machine_of(meta)),
    ]


def quantity_of(*runs):
    """Return what the losses of runs are, such as "nats per character"; "nats per token" where no checkpoint says it."""
    details = [run.checkpoint.details for run in runs]
    return ", or ".join(dict.fromkeys(f"{d['quantity']} per {d['unit']}" for d in details if d)) or "nats per token"


def state_of(run):
    """Return in words whether a run goes on, and where it is.

    >>> from types import SimpleNamespace as Run
    >>> state_of(Run(state="running", step=500, steps=2000, seconds_left=lambda: 240.0))
    'running: step 500 of 2,000, 4 min left'
    >>> state_of(Run(state="stopped", step=500, steps=None))
    'stopped after step 500'
    """
    of = f" of {run.steps:,}" if run.steps else ""
    if run.state == RUNNING:
        left = run.seconds_left()
        return f"running: step {run.step:,}{of}" + (f", {duration(left)} left" if left is not None else "")
    return f"{'finished' if run.state == FINISHED else 'stopped'} after step {run.step:,}{of}"


def loss_of(run):
    """Return the mean of the last training losses, in words; None before the first."""
    losses = [record["train_loss"] for record in run.records if "train_loss" in record][-SHOWN:]
    if not losses:
        return None
    if losses[-1] is None or not math.isfinite(losses[-1]):
        return "not finite"
    losses = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    of = f", mean of the last {len(losses)} records" if len(losses) > 1 else ""
    return f"{sum(losses) / len(losses):.4f}{of}"


def number(value):
    """Return a measure in words.

    >>> [number(value) for value in (0.123456, 99.97433, None, math.inf)]
    ['0.1235', '99.9743', 'not finite', 'inf']
    """
    return "not finite" if value is None else f"{value:.4f}" if math.isfinite(value) else str(value)


def _model(meta):
    kind, task = meta.get("model"), meta.get("task")
    return str(kind) + (f" for {task}" if task else "") if kind else None


def machine_of(meta):
    """Return what a checkpoint says of the machine; None if it says nothing."""
    found = meta.get("fingerprint")
    if not isinstance(found, dict):
        return None
    threads = found.get("threads")
    parts = [f"{threads} thread{'s' if threads != 1 else ''}" if threads else None, found.get("machine")]
    parts += [f"{name} {found[key]}" for key, name in (("python", "Python"), ("numpy", "NumPy"), ("numba", "Numba")) if key in found]
    return ", ".join(str(part) for part in [*parts, found.get("blas")] if part)
