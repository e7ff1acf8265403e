"""``python -m tinytx gradcheck MODULE:OBJECT``: check a backward from the command line."""

import argparse
import importlib
import json
import operator
import sys

import numpy as np

from tinytx.core import Layer
from tinytx.extras import import_file
from tinytx.testing import Report, gradcheck
from tinytx.testing.gradcheck import MODES

HELP = """What OBJECT may be:
  an operation      a function with y, saved = f(...), beside a function of the same name with _backward: give --shapes
  a layer           an instance of tinytx.Layer: give --shapes with the shape of x
  a function        without arguments, that returns such a layer and its input (layer, x), the arguments of
                    tinytx.testing.gradcheck as (target, *inputs, {"backward": ..., ...}), or a Report

Examples:
  python -m tinytx gradcheck tinytx.ops:layer_norm --shapes 3,5 5 5
  python -m tinytx gradcheck mine.py:scale --shapes 2,3,4
  python -m tinytx gradcheck mymodule:my_case --json
"""


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Check a hand-written backward, entry by entry, with error bars. Exit code 0: PASS; 1: anything "
        "else; 2: bad input."
    )
    parser.epilog = HELP
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("object", metavar="MODULE:OBJECT", help="what to check, see below; MODULE is a module's name or FILE.py")
    parser.add_argument("--shapes", nargs="+", metavar="N,N", help="shapes of the float inputs, drawn at random")
    parser.add_argument("--mode", choices=MODES, default="auto", help="which entries to look at (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="of inputs, weights and directions (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments):
    """Print the report, and return the exit code."""
    target = _resolve(arguments.object)
    report = _report(target, arguments)
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else report)
    return 0 if report else 1


def _resolve(name):
    """Return (the object that MODULE:OBJECT names, the backward beside it or None)."""
    place, _, path = name.rpartition(":")
    if not place or not path:
        raise ValueError(f"gradcheck: {name!r} names no object: expected package.module:object, or FILE.py:object")
    sys.path.insert(0, "")
    try:
        module = import_file(place) if place.endswith(".py") else importlib.import_module(place)
        return operator.attrgetter(path)(module), getattr(module, f"{path}_backward", None)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"gradcheck: {name}: {error}") from error
    finally:
        sys.path.remove("")


def _report(resolved, arguments):
    """Return the Report of an object, checked with its backward if there is one."""
    target, backward = resolved
    settings = {"mode": arguments.mode, "seed": arguments.seed}
    if isinstance(target, Layer) or backward is not None:
        if not arguments.shapes:
            raise ValueError(f"gradcheck: {arguments.object} needs inputs: give their shapes, such as --shapes 3,5")
        return gradcheck(target, *_inputs(arguments.shapes, arguments.seed), backward=backward, **settings)
    if isinstance(target, type):
        name = target.__name__
        raise ValueError(f"gradcheck: {arguments.object} is a class: name an instance, as after {name.lower()} = {name}(...)")
    case = target
    if callable(target):
        try:
            case = target()
        except TypeError as error:
            raise ValueError(
                f"gradcheck: {arguments.object} can be called neither without arguments ({error}) nor as an operation: "
                f"there is no {arguments.object}_backward"
            ) from error
    if isinstance(case, Report):
        return case
    if not isinstance(case, (tuple, list)) or len(case) < 2:
        raise ValueError(f"gradcheck: {arguments.object} gives {type(case).__name__}, expected (target, *inputs)")
    if isinstance(case[-1], dict):
        settings |= case[-1]
        case = case[:-1]
    return gradcheck(*case, **settings)


def _inputs(shapes, seed):
    """Return random normal arrays of the shapes written as "3,5"."""
    rng = np.random.default_rng(seed)
    try:
        return [rng.normal(size=tuple(int(n) for n in shape.split(",") if n)) for shape in shapes]
    except ValueError as error:
        raise ValueError(f"gradcheck: --shapes {' '.join(shapes)}: {error}; expected such as 2,3,5 5 5") from error
