"""Pairs of texts, a source and its target: read from files, and divided for training and validation.

Rules of reading, the same for both kinds of file:

- Lines end at ``\\n``, ``\\r\\n`` or ``\\r`` and nowhere else (`tinytx.data.read_text`). The file is UTF-8.
- White space around a text is removed; inside it nothing is changed, neither spaces nor case nor Unicode's form.
- A line that is not a pair is an error, which names file, line, value and remedy. Pairs with an empty side, which some
  corpora have, can be left out (``skip_empty=True``); `encode_pairs` leaves out long pairs. Reports count both.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_pairs
from tinytx.data.reading import DataError, read_lines
from tinytx.wording import counted


class Pairs(NamedTuple):
    """Pairs read from a file.

    Attributes
    ----------
    pairs : list of (source, target), both str
    skipped : list of int
        The numbers of the lines left out, from 1.
    report : str
        One line for the user: the number of pairs, their origin, how many were left out and why.
    """

    pairs: list
    skipped: list
    report: str


def read_pairs(path, columns=(1, 2), *, skip_empty=False):
    """Read a tab-separated file, one pair on each line, without a header.

    Parameters
    ----------
    path : str or Path
    columns : (int, int)
        Which column is the source and which the target, counted from 1 as ``cut -f`` does; ``(2, 1)`` translates the
        other way. A line may have more columns: they are not read.
    skip_empty : bool
        Leave out pairs with an empty side, and report them.

    Returns
    -------
    Pairs

    Raises
    ------
    DataError
        If the file cannot be read or is not UTF-8, or a line has no tab, too few columns, or an empty side: the first
        such line.
    ValueError
        If columns are not two different numbers from 1.
    """
    source, target = columns
    if not 1 <= min(columns) or source == target:
        raise ValueError(f"read_pairs: columns are {tuple(columns)}, expected two different ones, counted from 1")
    rows = []
    for number, line in enumerate(read_lines(path, "read_pairs"), start=1):
        row = line.split("\t")
        if len(row) < max(2, *columns):
            found = f"{len(row)} columns, and column {max(columns)} is asked for" if len(row) > 1 else "no tab"
            raise DataError(
                f"read_pairs: {path}: line {number}: {found} in {line!r:.80}; "
                "separate source and target by one tab, name other columns, or remove the line"
            )
        rows.append((row[source - 1].strip(), row[target - 1].strip()))
    return _without_empty(rows, f"{path}, columns {source} and {target}", f"read_pairs: {path}", skip_empty)


def read_aligned(source_path, target_path, *, skip_empty=False):
    """Read two files of the same number of lines, the n-th line of one being the translation of the other's.

    Parameters
    ----------
    source_path, target_path : str or Path
    skip_empty : bool
        Leave out pairs with an empty side, and report them.

    Returns
    -------
    Pairs

    Raises
    ------
    DataError
        If a file cannot be read or is not UTF-8, they have different numbers of lines, or a line is empty.
    """
    sources, targets = read_lines(source_path, "read_aligned"), read_lines(target_path, "read_aligned")
    if len(sources) != len(targets):
        raise DataError(
            f"read_aligned: {source_path} has {len(sources):,} lines and {target_path} has {len(targets):,}: "
            f"line {min(len(sources), len(targets)) + 1} has no counterpart; take two files in which each "
            "line translates the same line of the other"
        )
    rows = [(source.strip(), target.strip()) for source, target in zip(sources, targets, strict=True)]
    files = f"{source_path} and {target_path}"
    return _without_empty(rows, files, f"read_aligned: {files}", skip_empty)


def _without_empty(rows, origin, place, skip_empty):
    """Return the rows as `Pairs`; leave out those with an empty side, or raise DataError."""
    skipped = [number for number, row in enumerate(rows, start=1) if not all(row)]
    if skipped and not skip_empty:
        source, target = rows[skipped[0] - 1]
        side = "target" if source else "source"
        raise DataError(
            f"{place}: line {skipped[0]}: the {side} is empty beside {source or target!r:.80} (lines with an empty "
            f"side: {len(skipped)}); correct or remove them, or leave them out with skip_empty=True (--skip-empty)"
        )
    pairs = [row for row in rows if all(row)]
    if not pairs:
        raise DataError(f"{place}: all {len(rows)} lines have an empty side: name another file or other columns")
    report = f"{counted(len(pairs), 'pair')} from {origin}"
    if skipped:
        report += f"; left out for an empty side: {len(skipped):,}, the first in line {skipped[0]}"
    return Pairs(pairs, skipped, report)


def split_pairs(pairs, train_fraction=0.9, seed=0):
    """Return (train, validation): two lists with no source and no target in common.

    In a corpus a text often occurs several times: a sentence with three translations, a date in four forms. If these
    were divided, validation would measure what the model has memorised. So pairs that share a text, directly or through
    other pairs, form a group. Groups in random order go to validation while they fit. The largest group of Tatoeba has
    42 of its 76,037 pairs.

    Parameters
    ----------
    pairs : list of (source, target)
    train_fraction : float in 0..1
        The share of the first part: exact unless groups are too large to fit.
    seed : int, not negative

    Returns
    -------
    train, validation : list of (source, target), each in the order of ``pairs``

    Raises
    ------
    ValueError
        If the fraction is outside 0..1.
    """
    pairs = check_pairs("split_pairs", pairs)
    check_number("split_pairs", "train_fraction", train_fraction, "0..1", lambda share: 0 <= share <= 1)
    groups = _groups(pairs)
    room = len(pairs) - round(len(pairs) * train_fraction)
    held_out = np.zeros(len(pairs), bool)
    for g in np.random.default_rng(seed).permutation(len(groups)):
        if len(groups[g]) <= room:
            held_out[groups[g]] = True
            room -= len(groups[g])
    train = [pair for pair, out in zip(pairs, held_out, strict=True) if not out]
    return train, [pair for pair, out in zip(pairs, held_out, strict=True) if out]


def _groups(pairs):
    """Return lists of positions in pairs: the connected parts of the graph whose edges are the pairs.

    From each text, links lead to the text that represents its group (union-find; Tarjan 1975).
    """
    leads_to = {}

    def root(text):
        while leads_to.setdefault(text, text) != text:
            leads_to[text] = text = leads_to[leads_to[text]]  # this also shortens the path
        return text

    for source, target in pairs:
        leads_to[root(("source", source))] = root(("target", target))
    groups = {}
    for position, (source, _) in enumerate(pairs):
        groups.setdefault(root(("source", source)), []).append(position)
    return list(groups.values())
