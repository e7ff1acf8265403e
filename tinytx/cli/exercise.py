"""``python -m tinytx exercise OPERATION``: write a backward, and have it graded."""

import argparse
from pathlib import Path

from tinytx.cli.parser import nearest
from tinytx.derivations.show import FIRST, subject
from tinytx.exercises import function, grade, hints, operations, sheet
from tinytx.extras import import_file
from tinytx.files import atomic_write
from tinytx.terminal import visible

EXAMPLES = """Example: python -m tinytx exercise                      the operations, in the order in which to solve them
         python -m tinytx exercise linear               writes linear_exercise.py: start here
         python -m tinytx exercise linear --check linear_exercise.py
         python -m tinytx exercise linear --hint 2
"""


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Write a file with an operation's forward in plain NumPy, and a backward that is left to you; or grade what you wrote:\n"
        "gradcheck's report, the first entry that is wrong, and the mistake in the derivation that would give the same.\n"
        "Exit code of --check: 0 if it is right, 1 if it is not right yet, 2 for bad input."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("operation", nargs="?", metavar="OPERATION", help="such as layer_norm; without it, the list of all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--out", metavar="FILE", help="where to write the exercise (default: OPERATION_exercise.py)")
    what.add_argument("--check", metavar="FILE", help="grade the backward in this file, which is run")
    what.add_argument("--hint", type=int, metavar="N", help="the derivation up to its part N")


def run(arguments):
    """Do what was asked; return the exit code."""
    name = arguments.operation
    if name is None:
        print(_contents())
        return 0
    if name not in operations():
        meant = nearest(name, operations())
        raise ValueError(f"exercise: there is no exercise {visible(name)}{meant} (python -m tinytx exercise lists them)")
    if arguments.check:
        return _graded(name, arguments.check)
    if arguments.hint is not None:
        print(_hint(name, arguments.hint))
        return 0
    _write(name, arguments.out or f"{name}_exercise.py")
    return 0


def _contents():
    width = max(map(len, operations()))
    lines = [f"  {name:<{width}}  {subject(name)}" for name in operations()]
    lines.insert(FIRST, "\nThen any of the others:")
    return "\n".join([f"Start with the first {FIRST}, in this order:", *lines, "\nWrite one: python -m tinytx exercise linear"])


def _graded(name, path):
    """Print the grade of a file's backward; return the exit code."""
    module = import_file(path)
    forward, backward = function(name), f"{function(name)}_backward"
    for wanted in (forward, backward):
        if not callable(getattr(module, wanted, None)):
            raise ValueError(f"exercise: {path} has no function {wanted}: write the file anew with python -m tinytx exercise {name}")
    result = grade(name, getattr(module, forward), getattr(module, backward))
    print(result)
    names = operations()
    following = names[names.index(name) + 1 :]
    if result and following:
        print(f"Next: python -m tinytx exercise {following[0]}")
    elif not result:
        print(f"For a hint: python -m tinytx exercise {name} --hint {result.hint}")
    return 0 if result else 1


def _hint(name, number):
    parts = hints(name)
    if not 1 <= number <= len(parts):
        raise ValueError(f"exercise: --hint is {number}, expected 1 to {len(parts)} for {name}")
    more = [f"Next: python -m tinytx exercise {name} --hint {number + 1} (of {len(parts)})"] if number < len(parts) else []
    return "\n\n".join([*parts[:number], *more])


def _write(name, path):
    """Write the exercise; a file that is there is kept."""
    if Path(path).exists():
        raise ValueError(f"exercise: {path} is there already, and may hold your work: give another --out, or move it away")
    with atomic_write(path) as file:
        file.write(sheet(name, path, len(hints(name))).encode())
    print(f"Wrote {path}")
    print(f"Try next: write {function(name)}_backward in it, then python -m tinytx exercise {name} --check {path}")
