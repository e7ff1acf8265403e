"""Grades a backward: gradcheck's report, the first entry that is wrong, and the mistake in the derivation that would give the same."""

import re
from dataclasses import dataclass, field

import numpy as np

from tinytx.derivations import TABLE, read
from tinytx.derivations.check import computed, drawn, run
from tinytx.derivations.scene import functions
from tinytx.exercises.called import Called, CountError, ShapeError
from tinytx.exercises.hints import hints
from tinytx.exercises.sheet import function
from tinytx.exercises.variants import variants
from tinytx.exercises.wider import CALLS
from tinytx.ops import plain
from tinytx.testing import gradcheck

LEGEND = """How to read this: analytic is what your backward gives, numeric is (loss(x + h) - loss(x - h)) / 2h for a small step h, and their
ratio is 1 if your backward is right. The error bar says how far numeric may be off by rounding. Checked are sums along random
directions first, and single entries where a sum is wrong. Entries are counted from 0."""
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
        Why grading ended early, or "".
    hint : int
        The part of the derivation in which the first gradient that is wrong is derived.
    """

    name: str
    reports: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    error: str = ""
    hint: int = 1

    def __bool__(self):
        return not self.error and not self.notes and all(bool(report) for _, report in self.reports)

    def __str__(self):
        lines = []
        for title, report in self.reports:
            lines += [f"-- {title}"] * bool(title) + [str(report)]
        if self.error:
            return "\n".join([*lines, *self.notes, f"{self.name}: {self.error}"])
        verdict = "right" if self else "not right yet"
        return "\n".join([*lines, *self.notes, *LEGEND.split("\n"), f"{self.name}_backward is {verdict}"])


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
    row, found = TABLE[name], Grade(function(name))
    page = read(name, whole=row.whole)
    scenes = [scene for scene in row.scenes if scene.function == row.function]
    for scene in scenes:
        values = drawn(scene, np.random.default_rng(seed), scene.sizes)
        whole = f"{scene.title}: " if scene.title and len(scenes) > 1 else ""
        theirs = Called(*functions(name, row.function))
        right = computed(name, scene, values, theirs.forward, theirs.backward)
        called = Called(forward, backward, theirs.shapes)
        try:
            ours = computed(name, scene, values, called.forward, called.backward)
        except Exception as error:  # the reader's code may raise any exception
            found.error = f"{whole}{_described(name, error, called)}"
            if isinstance(error, ShapeError):
                keys = {scene.argument(key): f"d{key}" for key in scene.names}
                found.hint = _hint(name, page, keys.get(_argument(name, error), ""))
            return found
        names = [key for key in right if key[1:] in scene.names and key.startswith("d")]
        found.reports.append((scene.title, _report(name, scene, values, names, called.forward, called.backward)))
        wrong = [key for key in names if not _close(ours[key], right[key])]
        found.notes += [f"{whole}{_first_wrong(scene.argument(key[1:]), ours[key], right[key])}" for key in wrong]
        if wrong:
            found.hint = _hint(name, page, wrong[0]) if found.hint == 1 else found.hint
            result = run(name, page, scene, np.random.default_rng(seed))
            found.notes += [whole + note for note in _resembling(result, page.chains, scene, {key: (ours[key], right[key]) for key in wrong})]
    for call in CALLS.get(name, ()) if found else ():
        _grade_call(found, name, call, forward, backward, seed)
    return found


def _grade_call(found, name, call, forward, backward, seed):
    """Grade a backward in a way to call it that the derivation leaves out."""
    rng, theirs = np.random.default_rng(seed), Called(*functions(name, TABLE[name].function))
    arrays, given = call.arguments(rng)
    y, saved = theirs.forward(**arrays, **given)
    dy = rng.normal(size=np.shape(y))
    right = _as_tuple(theirs.backward(dy, saved))[: len(arrays)]  # what else an operation returns is None here
    called = Called(forward, backward, theirs.shapes)
    try:
        ours = _as_tuple(called.backward(dy, called.forward(**arrays, **given)[1]))
        report = gradcheck(lambda *x: called.forward(**dict(zip(arrays, x)), **given), *arrays.values(), backward=called.backward)
    except Exception as error:  # the reader's code may raise any exception
        found.error = f"{call.title}: {_described(name, error, called)}"
        return
    for tensor, key in zip(report.tensors, arrays):
        tensor.name = key
    report.name = found.name
    found.reports.append((call.title, report))
    for key, a, b in zip(arrays, ours, right):
        if not _close(a, b):
            found.notes.append(f"{call.title}: {_first_wrong(key, a, b)}")


def _as_tuple(gradients):
    return gradients if isinstance(gradients, tuple) else (gradients,)


def _described(name, error, called):
    """Return what an exception of the reader's functions says."""
    if isinstance(error, ShapeError):
        return _misshapen(_argument(name, error), *error.args[1:])
    return str(error) if isinstance(error, NotImplementedError | CountError) else called.described(error)


def _argument(name, error):
    """Return the input whose gradient has the wrong shape: the first line of the backward says in which order they are returned."""
    names = re.findall(r"\bd([a-z_]+)\b", getattr(plain, f"{function(name)}_backward").__doc__.split("\n")[0])
    return names[error.args[0]] if error.args[0] < len(names) else f"input {error.args[0] + 1}"


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
    for tensor, key in zip(report.tensors, keys):
        tensor.name = scene.argument(key)
    return report


def _close(a, b):
    return np.abs(np.asarray(a) - b).max(initial=0.0) <= CLOSE * max(np.abs(b).max(initial=0.0), 1e-3)


def _first_wrong(argument, ours, right):
    """Return a line that names the first entry, in the order of the array, that is wrong."""
    ours, right = np.asarray(ours), np.asarray(right)
    wrong = ~(np.abs(ours - right) <= CLOSE * np.abs(right).max(initial=0.0))
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else ()
    share = f"{wrong.sum()} of {wrong.size} entries are wrong"
    return f"gradient of {argument}: {share}; the first at {first}: {ours[first]:.6g}, right is {right[first]:.6g}"


def _resembling(result, chains, scene, gradients):
    """Return a line for the first mistake in the derivation that gives just these gradients, by name (given, right), or some of them."""
    lines, left = [], dict(gradients)
    for words, arrays in variants(result, chains, set(gradients)):
        same = [key for key, both in left.items() if _is_same(_plain(arrays[key], scene, key), *both)]
        if same:
            names = " and ".join(scene.argument(key[1:]) for key in same)
            lines.append(f"gradient{'s' * (len(same) > 1)} of {names}: the same comes of {words}")
            left = {key: both for key, both in left.items() if key not in same}
        if not left:
            break
    return lines


def _is_same(changed, ours, right):
    """Return whether a mistake gives the gradient that was given, and not the right one."""
    return changed is not None and np.shape(changed) == np.shape(ours) and _close(ours, changed) and not _close(changed, right)


def _plain(value, scene, key):
    """Return a Named as the array that the code returns, whose axes are the scene's; None if a mistake has lost one of them."""
    axes, numbers = scene.axes(key if key in scene.outputs else key[1:]), iter(range(len(value.axes) + 9))
    wanted = [axis if len(axis) > 1 else str(next(numbers)) for axis in axes]
    return value.ordered(wanted) if set(wanted) == set(value.axes) else None


def _misshapen(argument, ours, right):
    """Return what is wrong with a gradient's shape, and what is likely to mend it."""
    if ours is None or right is None:
        return f"the gradient of {argument} is {'None' if ours is None else 'an array'}, expected {right and f'an array of shape {right}'}"
    text = f"the gradient of {argument} has shape {ours}, expected {right}, the shape of {argument}"
    if len(ours) > len(right):
        return f"{text}: add up over the axes that {argument} does not have, because all of them use the same {argument}"
    if len(ours) == len(right) > 1 and ours[-2:] == right[:-3:-1]:
        return f"{text}: this is its transpose"
    if len(ours) < len(right):
        return f"{text}: too many axes are added up"
    return f"{text}: look along which axis you add up; the axes of {argument} have to be left"


def _hint(name, page, key):
    """Return the number of the hint that ends with the equation of a gradient, such as "dx"."""
    starts = [f"{chain.texts[0]} =" for chain in page.chains if getattr(chain.sides[0], "base", "") == key]
    for n, part in enumerate(hints(name), 1):
        if any(start in line for start in starts for line in part.split("\n") if line.startswith("    ")):
            return n
    return 1
