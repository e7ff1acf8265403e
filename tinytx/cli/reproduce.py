"""``python -m tinytx reproduce NAME``: train a recipe as its figure was measured, and compare."""

import numpy as np

from tinytx.cli.together import together
from tinytx.recipes import DataFile, load_recipe
from tinytx.recipes.data_files import FOLDER, located
from tinytx.recipes.train import train
from tinytx.training.loop import METRICS, read_metrics
from tinytx.wording import command, counted

LAST = 21  # lines of metrics over which the loss of training is averaged


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Train a recipe with the data, the settings and the steps of the figure that it states, and
    compare. Exit code 0: the figure is met; 1: it is missed."""
    parser.epilog = "Example: python -m tinytx reproduce gpt"
    parser.add_argument("name", metavar="NAME", help="of a recipe, see `python -m tinytx recipes`; or a file with one")
    parser.add_argument("--data", metavar="FOLDER", default=FOLDER, help=f"where its files are (default: {FOLDER})")
    parser.add_argument("--out", metavar="DIR", help="folder for the run's files (default: the next free runs/NAME)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR")


def run(arguments):
    """Train, print both figures, and return the exit code."""
    name, recipe = arguments.name, load_recipe(arguments.name)
    expect = recipe.expect
    if expect is None:
        raise ValueError(f"{name} states no figure: give its RECIPE expect=Expect(...), and train it with it")
    flags = {
        setting: located(name, value, arguments.data) if isinstance(value, DataFile) else value
        for setting, value in (expect.settings | {"steps": expect.step}).items()
    }
    with together(f"reproduce {name}") as world:
        done = train(name, recipe, flags, out=arguments.out, resume=arguments.resume)
    if not world.is_first:
        return 0 if done.finished else 130
    if not done.finished:
        print(f"To compare at the end: {command('reproduce', name, '--resume', done.folder)}")
        return 130
    measured = measures_of(done)
    if expect.measure not in measured:
        raise ValueError(f"{name} expects {expect}, and measured only {', '.join(measured) or 'nothing'}")
    met = expect.is_met(measured)
    print(f"\nExpected: {expect}, after {expect.step:,} steps in {expect.took} on two cores")
    print(f"Measured: {expect.measure} {measured[expect.measure]:.4g}, in {counted(round(done.seconds / 60, 2), 'minute')}")
    print("The figure is met" if met else "The figure is missed")
    return 0 if met else 1


def measures_of(done):
    """Return the measures of a finished `Run`, and ``train_loss``: the mean over its last lines of metrics."""
    losses = [record["train_loss"] for record in read_metrics(done.folder / METRICS) if "train_loss" in record]
    return (done.measured or {}) | ({"train_loss": float(np.mean(losses[-LAST:]))} if losses else {})
