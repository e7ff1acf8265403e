"""Measures the time and memory of a training step, layer by layer, forward and backward."""

import statistics
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

from tinytx import workers
from tinytx.core import Tape


@dataclass
class Row:
    """The time and memory of one layer in a step.

    Attributes
    ----------
    path, layer : str
        The layer's path in the model, and its class.
    forward, backward : float
        Seconds, the median of the steps, without the layers inside it.
    kept : int
        Bytes on the tape for its backward, without arrays that another layer keeps as well.
    """

    path: str
    layer: str
    forward: float = 0.0
    backward: float = 0.0
    kept: int = 0


class _Clock:
    """Adds the time between two calls to the innermost layer that is running."""

    def __init__(self):
        self._stack, self._last = [], time.perf_counter()

    @contextmanager
    def running(self, row, part):
        """Return a context that adds its time to a row; ``part`` is "forward" or "backward"."""
        self._charge()
        self._stack.append((row, part))
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def _charge(self):
        now = time.perf_counter()
        if self._stack:
            row, part = self._stack[-1]
            setattr(row, part, getattr(row, part) + now - self._last)
        self._last = now


class _TimedTape(Tape):
    """A tape that measures each layer's forward."""

    def __init__(self, clock, rows):
        super().__init__(seed=0)  # with dropout, as in training
        self._clock, self._rows = clock, rows

    def call(self, layer, inputs, settings):
        with self._clock.running(self._rows[id(layer)], "forward"):
            return super().call(layer, inputs, settings)


def profile(model, *batch, steps=10):
    """Time the layers of a model over some steps, in one thread.

    Parameters
    ----------
    model : Layer
        With ``loss`` and ``loss_backward``; its parameters do not change.
    *batch : arrays
        The arguments of its ``loss``.
    steps : int
        Results are medians of so many steps, after a first step that does not count.

    Returns
    -------
    list of Row
        One for each layer that took time or keeps memory, in the order of the model; seconds and bytes for one step.

    Raises
    ------
    ValueError
        If ``steps`` is below 1.
    """
    if not steps >= 1:
        raise ValueError(f"profile: steps is {steps}, expected at least 1: a time needs a step")
    model = model.replicate()
    layers = list(model.named_layers())
    rows = {id(layer): Row(path or "(model)", type(layer).__name__) for path, layer in layers}
    clock = _Clock()
    for _, layer in layers:  # set on a copy: the given model stays unchanged
        layer.backward = _timed(layer.backward, rows[id(layer)], clock)
    with workers.use(workers.Pool(1)):
        _step(model, batch, clock, rows)
        times = {key: [] for key in rows}
        for _ in range(steps):
            for row in rows.values():
                row.forward = row.backward = 0.0
            kept = _step(model, batch, clock, rows)
            for key, row in rows.items():
                times[key].append((row.forward, row.backward))
    for layer, _, size in kept:
        rows[id(layer)].kept += size
    for key, row in rows.items():
        row.forward, row.backward = (statistics.median(part) for part in zip(*times[key], strict=True))
    return [row for row in rows.values() if row.forward + row.backward > 0 or row.kept]


def by_class(rows):
    """Return sums over the layers of each class: Rows whose ``path`` is the class and ``layer`` their number."""
    sums = {name: Row(name, f"{n} x") for name, n in Counter(row.layer for row in rows).items()}
    for row in rows:
        total = sums[row.layer]
        total.forward, total.backward = total.forward + row.forward, total.backward + row.backward
        total.kept += row.kept
    return list(sums.values())


def time_update(optimizer, model, *batch, steps=10):
    """Time an optimiser's step, in one thread.

    Parameters
    ----------
    optimizer : Optimizer
        The model's optimiser. It takes steps, so the parameters change.
    model : Layer
    *batch : arrays
        The batch for the gradients.
    steps : int
        The result is the median of so many steps, after a first step that does not count.

    Returns
    -------
    float
        Seconds.
    """
    tape, times = Tape(seed=0), []
    model.zero_grad()
    with workers.use(workers.Pool(1)):
        model.loss(*batch, tape=tape)
        model.loss_backward(tape)
        for _ in range(steps + 1):
            began = time.perf_counter()
            optimizer.step()
            times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _step(model, batch, clock, rows):
    """Run forward and backward once, and return the tape's entries between them."""
    model.zero_grad()
    tape = _TimedTape(clock, rows)
    with clock.running(rows[id(model)], "forward"):
        model.loss(*batch, tape=tape)
    kept = list(tape.kept())
    with clock.running(rows[id(model)], "backward"):
        model.loss_backward(tape)
    return kept


def _timed(backward, row, clock):
    def timed(dy, tape):
        with clock.running(row, "backward"):
            return backward(dy, tape)

    return timed
