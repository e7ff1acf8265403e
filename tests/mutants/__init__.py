"""Mistakes to be planted in the library's source, one at a time: the tables, and what makes a mutant of a row.

A table is {file: rows}, the files below tinytx/. A row is (name, old, new): in the file the text ``old``, which must
occur exactly once, becomes ``new``. There are two kinds of table:

- ``GRADIENTS``: wrong backwards, which gradcheck must find (`by_gradcheck`). Their rows also name a category and
  the problem that is checked: (name, category, problem, old, new).
- ``SUITE``: mistakes of all kinds, which the tests must find (`by_tests`).

``python tests/mutation_run.py`` examines them.
"""

from dataclasses import dataclass
from pathlib import Path

from mutants import (
    around,
    batches,
    book,
    data,
    decoding,
    geometric,
    gradients,
    hub,
    layer_gradients,
    layers,
    live,
    long,
    models,
    ops,
    pages,
    programs,
    recurrent,
    repeating,
    sums,
    tasks,
    testing,
    training,
    translators,
)

SOURCE = Path(__file__).resolve().parents[2] / "tinytx"


@dataclass(frozen=True)
class Mutant:
    """One change of the library's source.

    ``problem``, a name in `problems.PROBLEMS`, is what gradcheck checks then; "" where the tests are to find it.
    """

    name: str
    file: str
    old: str
    new: str
    category: str = ""
    problem: str = ""


def mutated(source, mutant):
    """Return the source with the mutant's change.

    Raises
    ------
    ValueError
        If the old text does not occur, or not once.
    """
    count = source.count(mutant.old)
    if count != 1:
        raise ValueError(f"mutant {mutant.name!r}: {mutant.old!r} occurs {count} times in {mutant.file}, expected once")
    return source.replace(mutant.old, mutant.new)


def rotten(mutants):
    """Return a message for each mutant whose text does not occur exactly once in the source."""
    messages = []
    for mutant in mutants:
        try:
            mutated((SOURCE / mutant.file).read_text(encoding="utf-8"), mutant)
        except (OSError, ValueError) as error:
            messages.append(str(error))
    return messages


GRADIENTS = [
    Mutant(name, file, old, new, category, problem)
    for table in (
        gradients.TABLE, layer_gradients.TABLE, recurrent.GRADIENTS, batches.GRADIENTS, geometric.GRADIENTS, long.GRADIENTS,
        translators.GRADIENTS,
    )  # fmt: skip
    for file, rows in table.items()
    for name, category, problem, old, new in rows
]
SUITE = [
    Mutant(name, file, old, new)
    for module in (
        ops, models, tasks, training, data, decoding, testing, hub, around, recurrent, batches, book, geometric, live, long, pages, programs, repeating,
        sums, translators, layers,
    )  # fmt: skip
    for file, rows in module.TABLE.items()
    for name, old, new in rows
]
