"""``python -m tinytx recipes``: what can be trained, and which figure to expect."""

from tinytx.recipes import RECIPES, load_recipe


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = "List the recipes: what `train NAME` trains, on which data, how long, and what to expect."
    parser.epilog = "Example: python -m tinytx recipes"


def run(arguments):
    """Print the table."""
    rows = [("train", "system", "paper", "data", "steps", "minutes", "to expect")]
    for name in RECIPES:
        recipe = load_recipe(name)
        expect = recipe.expect
        rows.append((name, recipe.system, recipe.paper, recipe.learns, expect.step, f"{expect.minutes:g}", expect))
    widths = [max(len(str(entry)) for entry in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{entry!s:<{width}}" for entry, width in zip(row, widths, strict=True)).rstrip())
