"""``python -m tinytx recipes``: what can be trained, and what is to be expected."""

from tinytx.recipes import RECIPES


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = "List the recipes: what `train NAME` trains, on which data, how long, and what to expect."
    parser.epilog = "Example: python -m tinytx recipes"


def run(arguments):
    """Print the table."""
    titles = ("train", "system", "paper", "data", "minutes", "to expect")
    rows = [titles, *((name, *recipe[:5]) for name, recipe in RECIPES.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)).rstrip())
