r"""A derivation as text: the docstring, with the numbers of a small example behind each equation, and the lines of code."""

import inspect
import re
import textwrap

import numpy as np

from tinytx.derivations import reader
from tinytx.derivations.check import run
from tinytx.derivations.table import TABLE
from tinytx.derivations.tree import Name, walk

FIRST = 5  # operations to read first, in the table's order
DIGITS = 1  # after the point, of the example's inputs
SHOWN = 24  # numbers of an array, at most


def operations():
    """Return the names of the operations that have a derivation, in the order in which to read them.

    Returns
    -------
    list of str
    """
    return list(TABLE)


def subject(name):
    """Return the first sentence of an operation's page, without citations."""
    lines = [line.text for line in reader.read(name, parsed=False).lines]
    text = re.sub(r" \([^()]*\b\d{4}[^()]*\)", "", " ".join(lines[: lines.index("")]))
    return re.split(r"(?<!\bal)\.(?:\s|$)", text)[0]


def derivation(name, *, plain=False, seed=0):
    """Return the text of a derivation.

    Parameters
    ----------
    name : str
        An operation, one of `operations`.
    plain : bool
        Whether to leave out the numbers of the example.
    seed : int
        Of the example's random numbers.

    Returns
    -------
    str
    """
    row = TABLE[name]
    page = reader.read(name, whole=row.whole)
    results = examples(page, row, seed)
    lines, waiting, seen = [], [], set()
    for line in page.lines:
        if line.text == "Derivation" and not plain:
            lines += [*inputs(row.scenes[0], results[0]), ""]
        if line.kind != "prose" and waiting:  # the numbers of a paragraph stand behind it
            lines += waiting
            waiting = []
        lines.append(line.text)
        if not plain:
            (waiting if line.kind == "prose" else lines).extend(numbers(line.line, row, results, seen))
    while not lines[-1]:
        lines.pop()
    lines += [*kept(results), "", "The equations in the code", "-------------------------", *_code(page)]
    lines += ["", *textwrap.wrap(checked(name, results), 120)]
    return "\n".join(lines)


def examples(page, row, seed=0):
    """Return the Result of each scene on its small example; an input that several scenes have has the same numbers in all."""
    results = []
    for scene in row.scenes:
        like = results[0].inputs if results else None
        rng = np.random.default_rng(seed)
        results.append(run(page.name, page, scene, rng, sizes=scene.example, digits=DIGITS, like=like))
    return results


def inputs(scene, result):
    """Return lines that show what the example begins with."""
    lines = ["A small example", "---------------"]
    for name, value in result.inputs.items():
        lines += _array(name, np.asarray(value), scene.all_axes(name), "")
    sizes = ", ".join(f"{axis} 0..{size - 1}" for axis, size in scene.example.items() if size > 1)
    return [*lines, f"Indices: {sizes}. Below, | shows what an equation gives for these numbers."]


def numbers(line, row, results, seen):
    """Return lines with the values of the equations that end in a line, of the first scene in which they hold.

    Before the first of a scene stand its inputs that the first scene does not have, and before each what it is computed from, where
    that has other values in the first scene. What was seen before is not shown again: it is equal.
    """
    lines = []
    for scene, result in zip(row.scenes if row else (), results, strict=True):
        if line in result.shown:
            title = f"{scene.title}: " if result is not results[0] else ""
            for label, value, axes in [*_behind(line, scene, result, results[0]), *result.shown[line]]:
                if (title, label) not in seen:
                    lines += _array(label, value, axes, f"      | {title}")
                    seen.add((title, label))
            break
    return lines


def _behind(line, scene, result, first):
    """Return (label, array, axes) of what the values of a line come from and the first scene has not shown."""
    if result is first:
        return []
    news = [
        (key, np.asarray(value), scene.all_axes(key))
        for key, value in result.inputs.items()
        if not (key in first.inputs and np.array_equal(value, first.inputs[key], equal_nan=True))
    ]
    used = {name.base for chain in result.stated[line] for side in chain.sides[1:] for name in walk(side) if isinstance(name, Name)}
    shown = {label: value for values in first.shown.values() for label, value, _ in values}
    for before in sorted(n for n in result.stated if n < line):
        labels = [chain.texts[0] for chain in result.stated[before] if getattr(chain.sides[0], "base", None) in used]
        news += [
            (label, value, axes)
            for label, value, axes in result.shown[before]
            if label in labels and label in shown and not np.array_equal(value, shown[label], equal_nan=True)
        ]
    return news


def _array(label, data, axes, lead):
    """Return lines that show an array, without its axes of length 1 that equations leave out."""
    kept = [n for n, axis in enumerate(axes) if data.shape[n] > 1 or len(axis) <= 2]
    axes = [axes[n] for n in kept]
    data = data.reshape([data.shape[n] for n in kept])
    if data.size > SHOWN:
        return [f"{lead}{label}: {' x '.join(map(str, data.shape))} numbers"]
    place = f" ({', '.join(axes)})" if axes and all(axis.isalpha() for axis in axes) else ""
    head = f"{lead}{label}{place} = "
    data = np.round(data, 4) + 0.0
    data = data.astype(int) if np.isfinite(data).all() and (data == data.astype(int)).all() else data
    text = np.array2string(data, precision=4, suppress_small=True, max_line_width=100, floatmode="maxprec_equal")
    below = lead if "|" in lead else ""
    below = below[: below.index("|") + 1] if below else ""
    first, *rest = [line for line in text.split("\n") if line.strip()]
    return [head + first, *(below + " " * (len(head) - len(below)) + line for line in rest)]


def kept(results):
    """Return lines that show what forward keeps for backward."""
    if not results or results[0].saved is None:
        return []
    saved = results[0].saved
    title = ["", "What is kept", "------------"]
    if hasattr(saved, "_fields"):
        return title + [f"{field}: {_described(value)}" for field, value in zip(saved._fields, saved, strict=True)]
    if hasattr(saved, "__dataclass_fields__"):
        return title + [f"{field}: {_described(getattr(saved, field))}" for field in saved.__dataclass_fields__]
    return [*title, _described(saved)]


def _described(value):
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    return repr(value) if isinstance(value, int | float | str | bool | type(None)) else type(value).__name__


def _code(page):
    """Return lines that show where each number stands in the code."""
    lines = []
    for number in sorted(page.cited):
        for line, text in page.cited[number]:
            lines.append(f"({number})".ljust(6) + f"{page.name}.py:{line}".ljust(len(page.name) + 8) + inspect.cleandoc(text))
    return lines


def checked(name, results):
    """Return a sentence that says what was executed, and how far the numbers were apart at most."""
    equalities, gradients, compared = (sum(getattr(r, key) for r in results) for key in ("equalities", "gradients", "compared"))
    error = max(r.error for r in results)
    no_gradient = TABLE[name].no_gradient
    if no_gradient:
        return (
            f"Executed on these numbers: {equalities} equalities between sides of equations, {compared} results compared with those "
            f"of {name}, which has no backward: {no_gradient}. Largest relative difference: {error:.0e}."
        )
    return (
        f"Executed on these numbers: {equalities} equalities between sides of equations, {gradients} gradients compared with "
        f"complex steps through the definitions, {compared} results compared with those of {name} and {name}_backward. "
        f"Largest relative difference: {error:.0e}."
    )
