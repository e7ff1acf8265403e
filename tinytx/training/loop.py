"""The loop of a run: steps, evaluation, metrics and checkpoints, until it is done or stopped."""

import json
import signal
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

from tinytx.files import append_json, atomic_write, read_json_lines
from tinytx.training.progress import progress

METRICS = "metrics.jsonl"


def fit(trainer, batch, *, steps, tokens, out, evaluate, save, eval_every=250, log_every=10):
    """Train until ``steps`` optimiser steps have been taken, or until somebody interrupts.

    Parameters
    ----------
    trainer : Trainer
        Its optimiser's step counter says where to go on.
    batch : function (int) -> tuple of arrays
        The batch of a step: a function of the step alone, so that a resumed run sees what a straight one would.
    steps : int
    tokens : int
        In a batch, for the rate that is shown.
    out : Path
        Folder that gets metrics.jsonl: on each line a record with ``step``, ``train_loss`` (of the step's own batch,
        before it), ``learning_rate``, ``grad_norm`` (before clipping) and ``tokens_per_second``; and with ``val_loss``
        where there was an evaluation.
    evaluate : function () -> float, or None
        The validation loss; None if there is nothing to validate on, and checkpoints are all that ``eval_every`` says.
    save : function ()
        Writes a checkpoint. Called at every evaluation, at the end and on interruption.
    eval_every, log_every : int
        Steps between evaluations, and between lines of metrics.

    Returns
    -------
    bool
        Whether all steps were taken; False if SIGINT (Ctrl-C) or SIGTERM stopped the run after a whole step.
    """
    metrics, optimizer = Path(out) / METRICS, trainer.optimizer
    forget_after(metrics, optimizer.t)
    val_loss = None
    clock = time.perf_counter()
    since = optimizer.t
    with _interruption() as interrupted:
        with closing(progress(steps, optimizer.t)) as bar:
            while optimizer.t < steps and not interrupted.is_set():
                rate = optimizer.learning_rate
                loss = trainer.step(*batch(optimizer.t))
                t = optimizer.t
                record = {"step": t, "train_loss": loss, "learning_rate": rate, "grad_norm": trainer.grad_norm}
                speed = (t - since) * tokens / max(time.perf_counter() - clock, 1e-9)
                text = f"loss {loss:.3f}, {speed:,.0f} tokens/s"
                bar.update(text if val_loss is None else f"{text}, val {val_loss:.3f}")
                is_due = t % eval_every == 0 and t < steps and not interrupted.is_set()
                if is_due and evaluate is not None:
                    val_loss = evaluate()
                    record["val_loss"] = val_loss
                    bar.say(f"step {t:5}: train {loss:.4f}, validation {val_loss:.4f}")
                if t % log_every == 0 or "val_loss" in record:
                    append_json(metrics, record | {"tokens_per_second": speed})
                    clock, since = time.perf_counter(), t
                if is_due:
                    save()
        save()
    return optimizer.t >= steps


def forget_after(metrics, step):
    """Drop the records of steps that a resumed run is going to take again."""
    if not metrics.exists():
        return
    records = read_json_lines(metrics)
    kept = [record for record in records if record.get("step", 0) <= step]
    if len(kept) < len(records):
        with atomic_write(metrics) as file:
            file.writelines(json.dumps(record).encode() + b"\n" for record in kept)


@contextmanager
def _interruption():
    """Yield an event that the first SIGINT or SIGTERM sets; a second one interrupts at once, as without this."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number, frame):
        event.set()
        restore()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield event
    finally:
        restore()
