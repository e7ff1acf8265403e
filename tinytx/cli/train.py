"""``python -m tinytx train NAME``: train by a recipe of `tinytx.recipes`."""

import contextlib
import importlib

from tinytx.cli.options import add_options, given
from tinytx.recipes import RECIPES
from tinytx.recipes.settings import Asked
from tinytx.recipes.train import train


def add_arguments(parser):
    """Add the arguments of this command; the last word of the parser's program names the recipe."""
    name = parser.prog.split()[-1]
    recipe = importlib.import_module(f"tinytx.recipes.{name}")
    parser.usage = f"%(prog)s [--out DIR | --resume DIR] {recipe.HELP['data']} [--FLAG VALUE ...]"
    others = ", ".join(f"train {other}" for other in RECIPES if other != name)
    parser.description = f"{recipe.HELP['description']} Ctrl-C saves; --resume goes on. Other recipes: {others}."
    parser.epilog = f"Example: python -m tinytx train {name} {recipe.HELP['example']}"
    folder = f"folder for the run's files (default: the next free runs/{name}, runs/{name}-2, ...)"
    parser.add_argument("--out", metavar="DIR", help=folder)
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; flags given now win over its own")
    add_options(parser, recipe.SETTINGS)
    parser.set_defaults(name=name)


def run(arguments):
    """Train, and return the exit code."""
    recipe = importlib.import_module(f"tinytx.recipes.{arguments.name}")
    flags = given(arguments, recipe.SETTINGS)
    with contextlib.ExitStack() as held:  # gives back the locks, however the run ends
        return train(arguments.name, recipe, Asked(flags, arguments.out, arguments.resume, held))
