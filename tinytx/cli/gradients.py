"""``python -m tinytx gradients DIR TEXT``: one example's way through a model, forward and backward, as a page to step through."""

from pathlib import Path

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.paths import check_file
from tinytx.pipelines.gradients import LEARNED, write_gradient_page
from tinytx.progress import say
from tinytx.settings import Flags, setting
from tinytx.wording import command

PAGE = "gradients.html"


class GradientFlags(Flags):
    """What the model is to say, and where the page goes."""

    command = "gradients"
    target: str | None = setting(
        None, "what it is to say: a translation, a class, the text without hidden words, an order; if not given, what it says itself",
        empty=False, metavar="TEXT",
    )  # fmt: skip
    out: str = setting(PAGE, "the page", metavar="FILE.html")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write one page, which a browser shows without a network: one example followed through a model, forward
    then backward. For each call of a layer: shapes and norms, a picture of its value and of its gradient, the gradients of its
    parameters, and what is kept between forward and backward, in bytes. Nothing is trained."""
    parser.epilog = 'Example: python -m tinytx gradients runs/gpt "To be, or not" --out gradients.html'
    add_run(parser)
    things = "what the model reads: a text, the file of a picture, a pointer's numbers, the bits of a Neural Turing Machine"
    parser.add_argument("text", metavar="TEXT|FILE", help=things)
    add_options(parser, GradientFlags)


def run(arguments):
    """Write the page, and say where it is."""
    flags = GradientFlags(**given(arguments, GradientFlags))
    check_file("--out", flags.out, ".html")
    for note in write_gradient_page(Path(flags.out), load(arguments, *LEARNED), arguments.text, flags.target):
        say(note)
    print(f"Wrote {flags.out}")
    print(f"Try next: {command('profile', arguments.dir)}")
