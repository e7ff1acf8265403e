"""The boxes of a model as HTML: nested as layers are, from the batch at the top to the loss at the bottom."""

import html
import re

from tinytx.book.blocks import size
from tinytx.book.model_pages import called_by

FEW_PATHS = 3  # that are written out


def diagram(example, boxes, marks):
    """Return the picture of a recipe's model.

    Parameters
    ----------
    example : Example
    boxes : list of Box
    marks : dict of str to str
        {path of a layer with attention: the marks of the pictures that show where it looks}.
    """
    n_words, task = example.n_words, example.task
    total = [sum(column) for column in zip(*(size(box, n_words) for box in boxes))]
    unit = task.unit.format(next((t.unit for t in example.tokenizers.values()), "token"))
    ends = [
        _end(", ".join(f"{name} {_shape(array.shape, n_words, 1)}" for name, array in zip(example.names, example.batch))),
        _end(f"the loss of {type(task).__name__}, in {task.quantity} per {unit}"),
    ]
    inside = "".join(_box(box, "", n_words, marks) for box in boxes)
    n_rows = getattr(example.settings, "batch_size", None) if example.is_stand_in or example.is_cut else example.n_rows
    rows = f"B is the number of rows{f', {n_rows:,} in the first step' if n_rows else ''}"
    words = f", V the number of words of its data ({n_words} in these lines)" if n_words else ""
    note = (
        f"What a step computes, from top to bottom, as the code calls it: each box is a layer, with the shape of what it returns and its "
        f"weights. {rows}{words}. <span class='key weights'>with weights</span> <span class='key looks'>with attention</span>"
    )
    return f'<figure class="model"><figcaption><b>{_count(*total)} weights</b><br>{note}</figcaption>{ends[0]}{inside}{ends[1]}</figure>'


def _end(text):
    return f'<div class="end">{html.escape(text)}</div>'


def _box(box, around, n_words, marks):
    """Return a box and those inside; paths are written as they go on from that of the box ``around``."""
    found = sorted({mark for path in box.paths for mark in marks.get(path, "").split()}) if box.sees is not None else []
    mark = f' data-n="{" ".join(found)}" tabindex="0"' if found else ""
    times = f'<span class="times">{box.times} &times;</span> ' if box.times > 1 else ""
    same = " with the same weights" if box.is_same else ""
    name = f"<span>{times}<b>{_kind(box)}</b>{same}</span>"
    weights = "shared" if box.is_shared else _count(*size(box, n_words)) if size(box, n_words) != (0, 0) else ""
    where = "" if not box.paths else html.escape(_paths(box.paths, around))
    shapes = html.escape(", ".join(_shape(shape, n_words) for shape in box.shapes[:1]))
    lines = f'<div>{name}<span class="size">{weights}</span></div><div class="where"><span>{where}</span><span>{shapes}</span></div>'
    kind = " ".join(["box", *(["weights"] if box.weights or box.is_shared else []), *(["looks"] if found else [])])
    own = box.paths[0] if box.paths else around
    inside = "".join(_box(part, own, n_words, marks) for part in box.inside)
    return f'<div class="{kind}"{mark} title="{html.escape(", ".join(box.paths))}">{lines}{inside}</div>'


def _kind(box):
    """Return the class of a box's layer, a link where one operation does its work."""
    pages = called_by(box.layer) if box.layer is not None else set()
    like = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", box.kind).lower()
    page = like if like in pages else min(pages, default=None) if len(pages) == 1 else None
    said = html.escape(box.kind or "these together")
    return f'<a href="../ops/{page}.html">{said}</a>' if page else said


def _paths(paths, around):
    """Return paths, those below ``around`` without it."""
    near = [path for path in paths if path.startswith(f"{around}.")]  # others are those of the same place in other calls
    short = [path.removeprefix(f"{around}.") for path in near or paths[:1] if path]
    numbers = [path.rpartition(".") for path in short]
    if len(short) > 1 and all(last.isdecimal() for _, _, last in numbers) and len({first for first, _, _ in numbers}) == 1:
        return f"{numbers[0][0]}.{numbers[0][2]} to {numbers[-1][2]}".removeprefix(".")
    return ", ".join(short[:FEW_PATHS]) + (f" and {len(short) - FEW_PATHS} more" if len(short) > FEW_PATHS else "")


def _shape(shape, n_words, least=2):
    """Return a shape of at least so many numbers whose first, of a single row, is called B; V is the number of words of other data.

    >>> _shape((1, 12, 64), None), _shape((None, 77), 77), _shape((), None)
    ('B × 12 × 64', 'n × V', 'a number')
    """
    said = ["n" if n is None else "V" if n == n_words else f"{n:,}" for n in shape]
    return " × ".join(["B", *said[1:]] if len(shape) >= least and shape[0] == 1 else said) or "a number"


def _count(n, per_word=0):
    """Return a number of weights in words.

    >>> _count(12345), _count(100, 64), _count(0, 1)
    ('12,345', '100 + 64 V', 'V')
    """
    parts = [f"{n:,}"] * bool(n or not per_word) + [f"{per_word:,} V" if per_word > 1 else "V"] * bool(per_word)
    return " + ".join(parts)
