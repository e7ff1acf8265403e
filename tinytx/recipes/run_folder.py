"""What the folder of a run says, while the run goes on and afterwards: its records, its settings, and whether it has ended."""

import math
import time
from pathlib import Path
from typing import NamedTuple

from tinytx.files import load_arrays
from tinytx.lock import is_locked
from tinytx.recipes.run import REPORT, curve_details
from tinytx.tasks import TASKS, Task
from tinytx.training.by_layer import GRAD_NORMS, UPDATE_RATIOS
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS, PEAK, read_metrics

RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
FRESH = 60.0  # seconds since the last record in which a run without a lock, such as a program of one's own, counts as running
OF_STEPS = {"train_loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens", "seconds", GRAD_NORMS, UPDATE_RATIOS, PEAK}


class Checkpoint(NamedTuple):
    """What a checkpoint says beside its arrays; all of it is empty where it cannot be read.

    Attributes
    ----------
    meta : dict
    n_parameters : int, or None
    details : dict
        As `curve_details` returns them.
    """

    meta: dict
    n_parameters: int | None
    details: dict


class RunFolder:
    """The folder of a run, read as it is now and, by `refresh`, later again.

    Parameters
    ----------
    folder : str or Path

    Attributes
    ----------
    records : list of dict
        By step, each step once: what several records of a step say, the last of them the most.
    state : str
        ``RUNNING``, ``FINISHED`` or ``STOPPED``.
    measures : dict
        Of a finished run: ``val_loss`` and what the recipe measured.
    age : float
        Seconds since the last record.

    Raises
    ------
    ValueError
        If the folder holds no records and no checkpoint and no run has locked it, or they cannot be read.
    """

    def __init__(self, folder):
        self.folder, self._read, self._checkpoint = Path(folder), None, (None, None)
        self.records, self.measures, self._was_held = [], {}, False
        if not any((self.folder / name).exists() for name in (METRICS, NAME)) and not is_locked(self.folder):
            raise ValueError(f"there is no {METRICS} in {folder}: name the folder of a run")
        self.refresh()

    def refresh(self):
        """Read what is new; return whether anything is."""
        is_held, seen = is_locked(self.folder), _stamp(self.folder / METRICS)
        self.age = time.time() - seen[1] / 1e9 if seen else math.inf
        if seen and seen != self._read:
            records = read_metrics(self.folder / METRICS)
            last = records[-1] if records else {}
            is_concluded = "val_loss" in last and not OF_STEPS & last.keys()
            self.measures = {key: value for key, value in last.items() if key != "step"} if is_concluded else {}
            self.records = _by_step(records)
        self._was_held |= is_held
        is_running = is_held or self.age < FRESH and not self.measures and not self._was_held
        state = RUNNING if is_running else FINISHED if self.measures else STOPPED
        before, self._read, self.state = (self._read, getattr(self, "state", None)), seen, state
        return before != (seen, state)

    @property
    def checkpoint(self):
        """The run's `Checkpoint`, read again where the file is another one."""
        stamp = _stamp(self.folder / NAME)
        if self._checkpoint[0] is None or self._checkpoint[0] != stamp:
            self._checkpoint = stamp, _checkpoint(self.folder / NAME)
        return self._checkpoint[1]

    @property
    def step(self):
        """The last step of which there is a record; 0 before the first."""
        return self.records[-1].get("step", 0) if self.records else 0

    @property
    def steps(self):
        """How many steps the run is to take; None if its checkpoint does not say."""
        steps = self.settings.get("steps")
        return steps if isinstance(steps, int) and steps > 0 else None

    @property
    def settings(self):
        """The run's settings; {} where its checkpoint has none."""
        settings = self.checkpoint.meta.get("settings")
        return settings if isinstance(settings, dict) else {}

    def last(self, key):
        """Return the last value under a key; None if there is none."""
        return next((record[key] for record in reversed(self.records) if record.get(key) is not None), None)

    def best(self):
        """Return (loss, step) of the best validation, or None."""
        losses = [(r["val_loss"], r.get("step", 0)) for r in self.records if _is_finite(r.get("val_loss"))]
        return min(losses, default=None)

    def seconds_left(self):
        """Return how many seconds the run needs for the rest of its steps, as the last ones took; None if nothing says."""
        timed = [r for r in self.records if _is_finite(r.get("seconds"))][-50:]
        if self.steps is None or len(timed) < 2 or timed[-1]["step"] == timed[0]["step"]:
            return None
        pace = (timed[-1]["seconds"] - timed[0]["seconds"]) / (timed[-1]["step"] - timed[0]["step"])
        return max(0.0, pace * (self.steps - self.step))

    def report(self):
        """Return what the finished run printed of its results; None if it kept nothing."""
        path = self.folder / REPORT
        return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else None


def _stamp(path):
    """Return what changes when a file does; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_finite(value):
    return value is not None and math.isfinite(value)


def _by_step(records):
    """Return records by ascending step, each step once; a record without a step is left out."""
    steps = {}
    for record in records:
        if "step" in record:
            steps[record["step"]] = steps.get(record["step"], {}) | record
    return [steps[step] for step in sorted(steps)]


def _checkpoint(path):
    try:
        shapes, meta = load_arrays(path, shapes=True)
        n = sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("model."))
    except ValueError:
        return Checkpoint({}, None, {})
    try:
        details = curve_details(TASKS.get(meta.get("task"), Task), meta["settings"], meta)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError):  # a checkpoint may hold anything
        details = {}
    return Checkpoint(meta, n, details)
