"""Grades a backward: gradcheck's report, the first entry that is wrong, and the mistake in the derivation that would give the same."""

import traceback
from dataclasses import dataclass, field

import numpy as np

from tinytx.derivations import TABLE, read
from tinytx.derivations.check import computed, drawn, run
from tinytx.exercises.variants import variants
from tinytx.testing import gradcheck

CLOSE = 1e-6  # the relative difference up to which a gradient is taken for that of a mistake


@dataclass
class Grade:
    """What is right and wrong in a backward.

    Parameters
    ----------
    name : str
        The operation.
    reports : list of (str, Report)
        Of each way to call it: what is special there, and gradcheck's report.
    notes : list of str
        The first wrong entries, and mistakes that would give the same gradients.
    error : str
        Why nothing could be graded, or "".
    """

    name: str
    reports: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    error: str = ""

    def __bool__(self):
        return not self.error and not self.notes and all(bool(report) for _, report in self.reports)

    def __str__(self):
        if self.error:
            return f"{self.name}: {self.error}"
        lines = []
        for title, report in self.reports:
            lines += [f"-- {title}"] * bool(title) + [str(report)]
        verdict = "right" if self else "not right yet"
        return "\n".join([*lines, *self.notes, f"{self.name}_backward is {verdict}"])


def grade(name, forward, backward, *, seed=0):
    """Grade a backward in all scenes of its derivation.

    Parameters
    ----------
    name : str
        One of `tinytx.exercises.operations`.
    forward, backward : callable
        Those of the exercise.
    seed : int
        Of the random inputs.

    Returns
    -------
    Grade
    """
    row, found = TABLE[name], Grade(name)
    page = read(name, whole=row.whole)
    for scene in (scene for scene in row.scenes if not scene.function):
        values = drawn(scene, np.random.default_rng(seed), scene.sizes)
        try:
            ours = computed(name, scene, values, forward, backward)
        except NotImplementedError as error:
            return Grade(name, error=f"{error}")
        except Exception as error:  # the reader's code may raise any exception
            return Grade(name, error=f"{_place(error)}{type(error).__name__}: {error}")
        right = computed(name, scene, values)
        names = [key for key in right if key[1:] in scene.names and key.startswith("d")]
        for key in names:
            if np.shape(ours[key]) != np.shape(right[key]):
                argument = scene.argument(key[1:])
                shapes = f"shape {np.shape(ours[key])}, expected {np.shape(right[key])}"
                return Grade(name, error=f"the gradient of {argument} has {shapes}, the shape of {argument}")
        found.reports.append((scene.title, _report(name, scene, values, names, forward, backward)))
        wrong = [key for key in names if not _close(ours[key], right[key])]
        found.notes += [_first_wrong(scene, key, ours[key], right[key]) for key in wrong]
        if wrong:
            result = run(name, page, scene, np.random.default_rng(seed))
            found.notes += [note for key in wrong for note in _resembling(result, page.chains, scene, key, ours[key], right[key])]
    return found


def _report(name, scene, values, names, forward, backward):
    """Return gradcheck's report of one scene, of the inputs that are finite."""
    keys = [key[1:] for key in names if np.isfinite(values[key[1:]]).all()]
    outputs = list(scene.outputs)

    def function(*arrays):
        moved = values | dict(zip(keys, arrays, strict=True))
        results = computed(name, scene, moved, forward, backward)
        y = tuple(results[output] for output in outputs)
        return y if len(y) > 1 else y[0], moved

    def gradients(dy, moved):
        dys = dy if len(outputs) > 1 else (dy,)
        results = computed(name, scene, moved | {f"d{key}": d for key, d in zip(outputs, dys, strict=True)}, forward, backward)
        found = tuple(results[f"d{key}"] for key in keys)
        return found if len(found) > 1 else found[0]

    function.__name__ = name
    report = gradcheck(function, *(values[key] for key in keys), backward=gradients)
    for tensor, key in zip(report.tensors, keys, strict=True):
        tensor.name = scene.argument(key)
    return report


def _close(a, b):
    return np.abs(np.asarray(a) - b).max(initial=0.0) <= CLOSE * max(np.abs(b).max(initial=0.0), 1e-3)


def _first_wrong(scene, key, ours, right):
    """Return a line that names the first entry, in the order of the array, that is wrong."""
    ours, right = np.asarray(ours), np.asarray(right)
    wrong = ~(np.abs(ours - right) <= CLOSE * np.abs(right).max(initial=0.0))
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else ()
    share = f"{wrong.sum()} of {wrong.size} entries are wrong"
    return f"gradient of {scene.argument(key[1:])}: {share}; the first at {first}: {ours[first]:.6g}, right is {right[first]:.6g}"


def _resembling(result, chains, scene, key, ours, right):
    """Return a line for the first mistake in the derivation that gives just this gradient, if there is one."""
    for words, arrays in variants(result, chains, {key}):
        changed = _plain(arrays[key], scene, key)
        if np.shape(changed) == np.shape(ours) and _close(ours, changed) and not _close(changed, right):
            return [f"gradient of {scene.argument(key[1:])}: the same comes of {words}"]
    return []


def _plain(value, scene, key):
    """Return a Named as the array that the code returns, whose axes are the scene's."""
    axes, numbers = scene.axes(key if key in scene.outputs else key[1:]), iter(range(len(value.axes)))
    return value.ordered([axis if len(axis) > 1 else str(next(numbers)) for axis in axes])


def _place(error):
    """Return the file and line of the reader's code in which an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}, line {frames[-1].lineno}: "
