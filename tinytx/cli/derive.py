"""``python -m tinytx derive OPERATION``: how a backward is derived, with the numbers of a small example."""

import argparse

from tinytx.cli.parser import nearest
from tinytx.derivations import introduction
from tinytx.derivations.show import FIRST, derivation, operations, subject
from tinytx.terminal import visible

EXAMPLES = """Example: python -m tinytx derive                      the operations, in the order in which to read them
         python -m tinytx derive linear               start here
         python -m tinytx derive layer_norm --plain   without numbers
"""


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Print the derivation that stands in an operation's file: behind each equation what it gives for a small example,\n"
        "then what forward keeps for backward, and the lines of code that compute each numbered equation.\n"
        "The numbers are computed from the text of the equations, and compared with what the code returns."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("operation", nargs="?", metavar="OPERATION", help="such as layer_norm; without it, the list of all")
    parser.add_argument("--plain", action="store_true", help="without the numbers of the example")


def run(arguments):
    """Print a derivation, or the list of all."""
    if arguments.operation is None:
        print(_contents())
        return
    known = operations()
    if arguments.operation == introduction.NAME:
        print(introduction.text())
        return
    if arguments.operation not in known:
        wrong = f"{visible(arguments.operation)} is no operation with a derivation{nearest(arguments.operation, known)}"
        raise ValueError(f"derive: {wrong} (python -m tinytx derive lists them)")
    print(derivation(arguments.operation, plain=arguments.plain))


def _contents():
    names = operations()
    width = max(map(len, names))
    lines = ["New to gradients? First: python -m tinytx derive introduction", ""]
    lines += [f"Start here, and read the first {FIRST} in this order:"]
    for i, name in enumerate(names):
        if i == FIRST:
            lines += ["", "The others, in any order:"]
        lines.append(f"  {name:<{width}}  {subject(name)}")
    return "\n".join([*lines, "", "Print one, with the numbers of an example: python -m tinytx derive linear"])
