"""``python -m tinytx book DIR``: the derivations beside the code, the models and the recipes, as a site for a browser."""

from tinytx.book import write


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = "Write the book: every derivation beside its code, every model and recipe, as pages that need no network."
    parser.epilog = "Example: python -m tinytx book book --runs runs/gpt"
    parser.add_argument("folder", metavar="DIR", help="where to write the pages; those that are there are replaced")
    named = "show these runs on the pages of their recipes; a folder that is not named by its recipe is written RECIPE=DIR"
    parser.add_argument("--runs", metavar="DIR", nargs="+", default=[], help=named)


def run(arguments):
    """Write the pages."""
    written = write(arguments.folder, arguments.runs)
    print(f"Wrote {len(written)} pages to {arguments.folder}")
    print(f"Try next: open {written[0]} in a browser")
