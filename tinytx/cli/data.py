"""``python -m tinytx data NAME``: fetch the files that a recipe learns from, if they are not there yet."""

from pathlib import Path

from tinytx.paths import check_folder
from tinytx.recipes import load_recipe
from tinytx.recipes.data_files import FOLDER, fetch, located
from tinytx.settings import flag_of
from tinytx.wording import command


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Download the files that a recipe learns from, and check that they are those on which its
    figure was measured. Nothing else in tinytx uses the network."""
    parser.epilog = "Example: python -m tinytx data gpt"
    parser.add_argument("name", metavar="NAME", help="of a recipe, see `python -m tinytx recipes`; or a file with one")
    parser.add_argument("--out", metavar="FOLDER", default=FOLDER, help=f"for the files (default: {FOLDER}, here)")


def run(arguments):
    """Fetch what is missing, and say where it is and what to try next."""
    name, folder, recipe = arguments.name, arguments.out, load_recipe(arguments.name)
    check_folder("--out", folder)
    if not recipe.data:
        print(f"{name} needs no file: it learns from {recipe.learns}")
    for setting, file in recipe.data.items():
        path = Path(folder) / file.name
        if not file.by_hand and not path.exists():
            print(f"Fetching {file.address} (licence: {file.licence})", flush=True)
            print(f"Wrote {fetch(name, file, folder)}: its checksum is right")
        else:
            print(f"{located(name, file, folder)} is there, and its checksum is right")
        print(f"Try next: {command('train', name, flag_of(setting), path)}")
