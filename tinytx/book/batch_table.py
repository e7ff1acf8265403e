"""What a recipe reads, as HTML: the first row of its first batch, with words in place of ids, and small pictures of larger arrays."""

import html
from itertools import groupby

from tinytx.book.drawings import table_picture
from tinytx.tasks.task import Task

OF_WORDS = {"ids", "targets", "source", "target", "words", "contexts"}  # arguments of losses that hold ids of words
OF_CLASSES = {"labels", "tags"}  # of classes, which a checkpoint has names of
MOST, MOST_NUMBERS = 40, 32  # positions of a row; numbers that are written out
SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def batch_table(example):
    """Return the first row of a recipe's first batch."""
    rows = [(name, *_shown(example, name, array[0])) for name, array in zip(example.names, example.batch)]
    width = max((len(cells) for _, cells, _ in rows if cells is not None), default=0)
    groups = groupby(rows, key=lambda row: len(row[1] or ()))  # places stand below each other where there are as many
    tables = "".join(f"<table>{''.join(_row(*row) for row in group)}</table>" for _, group in groups)
    notes = ["The first row of the first batch."]
    if any(cells is not None and len(cells) > MOST for _, cells, _ in rows):
        notes.append(f"It goes on: it has {width} places.")
    if any("·" in (cells or ()) for _, cells, _ in rows):
        notes.append("A dot is a place that is not asked for.")
    return f'<div class="batch">{tables}</div><p class="note">{" ".join(notes)}</p>'


def _row(name, cells, other):
    if cells is None:
        return f"<tr><th>{html.escape(name)}</th><td>{other}</td></tr>"
    return f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells[:MOST])}</tr>"


def _shown(example, name, row):
    """Return (a text for each place, None), or (None, HTML)."""
    if row.ndim == 0:
        return None, html.escape(_named(example, name, row.reshape(1))[0])
    if row.ndim == 1 or row.ndim == 2 and row.shape[1] == 1:
        return _named(example, name, row.reshape(-1)), None
    table = row[..., 0] if row.ndim == 3 else row
    if table.size <= MOST_NUMBERS:
        lines = "".join(f"<tr>{''.join(f'<td>{value:.2f}</td>' for value in line)}</tr>" for line in table)
        return None, f"<table>{lines}</table>"
    return None, table_picture(table)


def _named(example, name, values):
    """Return a text for each of some numbers: a word for an id, a class's name for its number."""
    if values.dtype.kind == "f":
        return [f"{value:.3g}" for value in values]
    asked = values != Task.ignored
    tokenizer = example.tokenizers.get(f"{name}_tokenizer") or example.tokenizers.get("tokenizer") or next(iter(example.tokenizers.values()), None)
    if name in OF_WORDS and tokenizer is not None:
        said = iter(tokenizer.tokens(values[asked]))
        return [_visible(next(said)) if one else "·" for one in asked]
    classes = example.prepared.tokenizers.get("labels")
    return ["·" if not one else str(classes[value]) if name in OF_CLASSES and classes else str(value) for value, one in zip(values, asked)]


def _visible(token):
    """Return a token whose white space can be seen.

    >>> _visible("a b"), _visible("")
    ('a␣b', 'nothing')
    """
    return "".join(SIGNS.get(character, character) for character in token) or "nothing"
