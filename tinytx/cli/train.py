"""``python -m tinytx train NAME``: train by a recipe of `tinytx.recipes`, or by one in a file of your own."""

from tinytx.cli.options import add_options, given
from tinytx.cli.together import together
from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.train import train


def add_arguments(parser):
    """Add the arguments of this command for the recipe that the parser's default ``name`` names."""
    name = parser.get_default("name")
    recipe = load_recipe(name)
    parser.usage = " ".join(filter(None, ["%(prog)s [--out DIR | --resume DIR]", recipe.usage, "[--FLAG VALUE ...]"]))
    others = ", ".join(f"train {other}" for other in RECIPES if other != name)
    parser.description = f"{recipe.about} Ctrl-C saves; --resume goes on. Other recipes: {others}."
    parser.epilog = f"Example: python -m tinytx train {name} {recipe.example}"
    parser.add_argument("--out", metavar="DIR", help="folder for the run's files (default: the next free runs/NAME)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; flags given now win over its own")
    add_options(parser, recipe.settings)
    parser.set_defaults(recipe=recipe)


def run(arguments):
    """Train, and return the exit code: 130 where the run was interrupted."""
    recipe = arguments.recipe
    flags = given(arguments, recipe.settings)
    with together(f"train {arguments.name}"):
        done = train(arguments.name, recipe, flags, out=arguments.out, resume=arguments.resume)
    return 0 if done.finished else 130
