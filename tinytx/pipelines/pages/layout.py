"""Words, tables, masks, weights and states as text: what the pages of `explain` consist of.

In a table a space is written ``_``, since one that is seen is one that is counted.
"""

import math
import textwrap

WIDTH = 79  # characters in a line
ALLOWED, HIDDEN = "x", "."
MOST_ROWS, MOST_COLUMNS = 24, 34  # of a mask that is drawn
LONGEST = 12  # characters of a word that stands beside a mask or above it
UNITS = 24  # of a state that is drawn
SIGNS = "=-.+#"  # of a unit below -0.5, below -0.1, between, above 0.1, above 0.5


def shown(word):
    r"""Return a word as a table shows it: a space as ``_``, a line break as ``\n``.

    >>> shown(" the"), shown("\n")
    ('_the', '\\n')
    """
    word = word.replace(" ", "_")
    return word if word.isprintable() else repr(word)[1:-1]


def heading(text):
    """Return an underlined heading, with an empty line above it."""
    return f"\n{text}\n{'-' * len(text)}"


def paragraph(text):
    """Return a text in lines of at most ``WIDTH`` characters, with an empty line above it."""
    return "\n" + textwrap.fill(" ".join(text.split()), WIDTH)


def table(header, rows):
    """Return a table, its columns as wide as their widest entry; numbers stand on the right.

    >>> print(table(["id", "word"], [[1, "<start>"], [12, "a"]]))
      id  word
       1  <start>
      12  a
    """
    cells = [[str(entry) for entry in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    lines = []
    for row in cells:
        parts = [entry.rjust(w) if r else entry.ljust(w) for entry, w, r in zip(row, widths, right, strict=True)]
        lines.append(("  " + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def words(names, ids):
    """Return a row of words, each between its position and its id, in as many lines as it needs.

    >>> print(words(["<start>", "a"], [1, 12]))
      position        0   1
      word      <start>   a
      id              1  12
    """
    columns = [[str(i), shown(name), str(token)] for i, (name, token) in enumerate(zip(names, ids, strict=True))]
    blocks, block, room = [], [], 0
    for column in columns:
        width = 2 + max(map(len, column))
        if block and room < width:
            blocks, block = [*blocks, block], []
        room = (room if block else WIDTH - 10) - width
        block.append(column)
    blocks.append(block)
    lines = []
    for block in blocks:
        widths = [max(map(len, column)) for column in block]
        for i, title in enumerate(("position", "word", "id")):
            entries = (column[i].rjust(width) for column, width in zip(block, widths, strict=True))
            lines.append(f"  {title:<8}" + "".join(f"  {entry}" for entry in entries))
    return "\n".join(lines)


def grid(mask, row_names, column_names):
    """Return a mask drawn: who looks, down; at whom, across; ``x`` where it is allowed and ``.`` where hidden.

    Parameters
    ----------
    mask : boolean array (T, S)
    row_names : list of T str
    column_names : list of S str

    Examples
    --------
    >>> print(grid([[True, False], [True, True]], ["<s>", "a"], ["<s>", "a"]))
           <
           s
           > a
      <s>  x .
        a  x x
    """
    return _drawn([[ALLOWED if allowed else HIDDEN for allowed in row] for row in mask], row_names, column_names)


def weights_grid(weights, row_names, column_names):
    """Return weights drawn in tenths: who looks, down; at whom, across.

    ``.`` is a weight below 0.05, and a digit is the weight rounded to tenths; ``#`` is 0.95 and more.

    Parameters
    ----------
    weights : array (T, S)
    row_names : list of T str
    column_names : list of S str

    Examples
    --------
    >>> print(weights_grid([[0.97, 0.03], [0.25, 0.75]], ["a", "b"], ["x", "y"]))
         x y
      a  # .
      b  3 8
    """
    marks = [[_tenths(weight) for weight in row] for row in weights]
    return _drawn(marks, row_names, column_names)


def _tenths(weight):
    tenths = math.floor(10 * weight + 0.5)
    return HIDDEN if tenths == 0 else "#" if tenths > 9 else str(tenths)


def signs(values):
    """Return the first units of a state, a character for each: how far below 0 it is, or above.

    >>> signs([-0.7, -0.2, 0.0, 0.3, 0.9])
    '=-.+#'
    """
    return "".join(SIGNS[sum(value > edge for edge in (-0.5, -0.1, 0.1, 0.5))] for value in values[:UNITS])


def _drawn(marks, row_names, column_names):
    """Return rows of marks with their names."""
    rows = [_cut(shown(name)) for name in row_names[:MOST_ROWS]]
    columns = [_cut(shown(name)) for name in column_names[:MOST_COLUMNS]]
    left, top = max(map(len, rows)), max(map(len, columns))
    lines = [" " * (left + 4) + " ".join(letters)
             for letters in zip(*(name.rjust(top) for name in columns), strict=True)]  # fmt: skip
    for name, row in zip(rows, marks, strict=False):
        lines.append(f"  {name:>{left}}  {' '.join(row[:MOST_COLUMNS])}")
    left_out = len(row_names) - len(rows), len(column_names) - len(columns)
    if any(left_out):
        lines.append("  ... and {} rows and {} columns more, in the same way".format(*left_out))
    return "\n".join(line.rstrip() for line in lines)


def _cut(name):
    return name if len(name) <= LONGEST else name[: LONGEST - 2] + ".."
