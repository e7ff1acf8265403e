"""The loop of a run: steps, evaluation, metrics and checkpoints, until the run is finished or interrupted."""

import json
import signal
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from tinytx.files import FileError, append_json, atomic_write, read_json_lines
from tinytx.memory import peak_memory
from tinytx.progress import progress
from tinytx.training.by_layer import GRAD_NORMS, UPDATE_RATIOS
from tinytx.training.trainer import NotFiniteError
from tinytx.workers import ranks

METRICS = "metrics.jsonl"
PEAK = "peak_memory"  # the key of records, bytes


def fit(trainer, batch, *, steps, out, evaluate, save, state=None, eval_every=250, log_every=10, stop=None):
    """Train until ``steps`` optimiser steps have been taken, or until the run is interrupted.

    Parameters
    ----------
    trainer : Trainer
        Training continues at its optimiser's step counter.
    batch : function (int) -> tuple of arrays
        The batch of a step. It must depend on the step alone, so that a resumed run gets the same batches.
    steps : int
    out : Path, or None
        The folder for metrics.jsonl; without it nothing is written. Each line is a record with ``step``, ``train_loss`` (of the step's batch, before
        the update), ``learning_rate``, ``grad_norm`` (before clipping), ``tokens_per_second`` (of the batches' first
        arrays, with padding; `tinytx.tasks.Task.n_tokens`), ``tokens`` and ``seconds`` (of the run so far, evaluations
        included; a run that goes on counts on from its last record), and ``val_loss`` if the step was followed by an
        evaluation. Such a step, and the last one, also has ``grad_norms`` and ``update_ratios`` of each layer
        (`tinytx.training.by_layer`), and ``peak_memory``, the most bytes that the process has held, where the system says.
    evaluate : function () -> float, or None
        Returns the validation loss. None if there is no validation: then ``eval_every`` only spaces checkpoints.
    save : function ()
        Writes a checkpoint. Called at every evaluation, at the end, on interruption and before an error is raised.
    state : State, optional
        What the model remembers from one step to the next, see `Trainer.step`; ``save`` is to write it too.
    eval_every, log_every : int
        Steps between evaluations, and between lines of metrics.
    stop : function () -> bool, optional
        Returns whether to end the run early, because more steps do not help.

    Returns
    -------
    bool
        Whether the run is finished: all steps were taken, or ``stop`` ended it. False if a signal, to whichever rank
        (`tinytx.workers.ranks`), stopped it after a complete step: SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal was closed) or SIGBREAK (Ctrl-Break on Windows).

    Raises
    ------
    Exception
        Any error of ``batch``, ``evaluate`` or the display, such as MemoryError, or BrokenPipeError if the reader of
        the output is gone. Before it is raised, a checkpoint of the last complete step is written.
    NotFiniteError
        If a loss is NaN or infinite; the last good checkpoint is kept.
    """
    optimizer, remembered = trainer.optimizer, {} if state is None else {"state": state}
    n_tokens = getattr(trainer.model, "n_tokens", np.size)  # a model may be no task

    def is_over():
        return optimizer.t >= steps or stop is not None and stop()

    def is_interrupted():
        return world.any(bool(interrupted))

    path, world = None if out is None else Path(out) / METRICS, ranks.current()
    kept = forget_after(path, optimizer.t) if path else []
    with _interruption() as interrupted, closing(progress(steps, optimizer.t)) as bar:
        log = _Log(path, bar, _so_far(kept) if kept or optimizer.t else (0, 0.0))
        while not is_over() and not is_interrupted():
            rate, step = optimizer.learning_rate, optimizer.t
            with _saving(save, trainer):
                arrays = batch(step)
            trainer.watches = (step + 1) % eval_every == 0 or step + 1 == steps
            loss = trainer.step(*arrays, **remembered)  # not inside _saving: after an error the weights may be half updated
            t = optimizer.t
            record = {"step": t, "train_loss": loss, "learning_rate": rate, "grad_norm": trainer.grad_norm}
            log.measure(record, n_tokens(arrays[0]))
            is_due = t % eval_every == 0 and t < steps and not is_interrupted()
            with _saving(save, trainer):
                try:
                    if is_due and evaluate is not None:
                        record["val_loss"] = evaluate()
                        optimizer.observe(record["val_loss"])
                finally:
                    if trainer.by_layer:
                        record |= {**trainer.by_layer, PEAK: peak_memory()}
                    if t % log_every == 0 or "val_loss" in record or trainer.by_layer:
                        log.write(record)
                log.show(record)
            if is_due:
                save()
        save()
    return is_over()


@contextmanager
def _saving(save, trainer):
    """Write a checkpoint before an error leaves the block; the block does not change weights.

    It cannot be written where other ranks, which know of no error, have a part of the optimiser's arrays.
    """
    try:
        yield
    except NotFiniteError:
        raise
    except Exception:
        if getattr(trainer.optimizer, "owners", None) is None:
            save()
        raise


class _Log:
    """Writes records of steps to the file of metrics and then to the display, in this order: the display may fail."""

    def __init__(self, path, bar, so_far):
        self._path, self._bar, self._val_loss = path, bar, None
        self._tokens, self._clock, self._is_first = 0, time.perf_counter(), True
        self._began, self._so_far = self._clock, so_far

    def measure(self, record, tokens):
        """Add the speed since the last record, and what the run has taken so far; ``tokens`` are those of this step."""
        now = time.perf_counter()
        self._tokens += tokens
        record["tokens_per_second"] = self._tokens / max(now - self._clock, 1e-9)
        if self._so_far:
            n_tokens, seconds = self._so_far
            self._so_far = n_tokens + tokens, seconds
            record |= {"tokens": n_tokens + tokens, "seconds": seconds + now - self._began}
        if self._is_first:  # the first step does not count: kernels are compiled or loaded in it
            self._tokens, self._clock, self._is_first = 0, now, False

    def write(self, record):
        """Add a record to the file."""
        if self._path is not None:
            append_json(self._path, record)
        self._tokens, self._clock = 0, time.perf_counter()

    def show(self, record):
        """Show a step, and a validation if there was one."""
        if "val_loss" in record:
            self._val_loss = record["val_loss"]
            facts = f"train {record['train_loss']:.4f}, validation {self._val_loss:.4f}"
            self._bar.say(f"step {record['step']:5}: {facts}")
        val = [] if self._val_loss is None else [f"val {self._val_loss:.3f}"]
        speed = f"{record['tokens_per_second']:,.0f} tokens/s"
        self._bar.update(", ".join([f"loss {record['train_loss']:.3f}", *val, speed]))


def _so_far(records):
    """Return (tokens, seconds) of the last record that has both; None if none has, as in runs of earlier versions."""
    both = [(record.get("tokens"), record.get("seconds")) for record in records]
    return next((pair for pair in reversed(both) if None not in pair), None)


def read_metrics(path):
    """Return the records of a file of metrics, as `tinytx.files.read_json_lines` does, after a check of their values.

    Raises
    ------
    FileError
        If a step is not a whole number, a value of each layer no dict of numbers, or another value is not a number.
    """
    records = read_json_lines(path)
    for line, record in enumerate(records, start=1):
        for key, value in record.items():
            if key in (GRAD_NORMS, UPDATE_RATIOS):
                is_right, kind = isinstance(value, dict) and all(map(_is_number, value.values())), "an object of numbers"
            elif key == "step":
                is_right, kind = isinstance(value, int), "a whole number"
            else:
                is_right, kind = _is_number(value), "a number"
            if not is_right:
                expected = f"expected {kind}: correct the line, or remove it"
                raise FileError(f"read_metrics: {path}: line {line}: {key} is {value!r:.80}, {expected}")
    return records


def _is_number(value):
    return isinstance(value, int | float | None)


def forget_after(metrics, step):
    """Remove the records of steps that a resumed run takes again, and return those that are kept."""
    if not metrics.exists():
        return []
    records = read_metrics(metrics)
    kept = [record for record in records if record.get("step", 0) <= step]
    if len(kept) < len(records):
        with atomic_write(metrics) as file:
            file.writelines(json.dumps(record).encode() + b"\n" for record in kept)
    return kept


STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def _interruption():
    """Yield a list of the signals to stop that have come; Ctrl-C after the first interrupts at once.

    An event of `threading` would take a lock. A handler waits for ever for one that the handler which it interrupts has taken.

    A signal that is ignored stays so: nohup lets a run outlive its terminal by ignoring SIGHUP, and a shell starts
    commands in the background without SIGINT. The handlers stay until the block ends, so that a second signal of
    another kind (a batch system sends several) cannot come between.
    """
    come = []
    if threading.current_thread() is not threading.main_thread():
        yield come
        return

    def handle(number, frame):
        if come and number == signal.SIGINT:
            raise KeyboardInterrupt
        come.append(number)

    ours = [number for number in STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handle) for number in ours}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
