"""``python -m tinytx attention DIR TEXT``: where a trained model looks, as one page to explore in a browser."""

from pathlib import Path

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.paths import check_file
from tinytx.pipelines.attention import READ, write_attention_page
from tinytx.progress import say
from tinytx.settings import Flags, setting

PAGE = "attention.html"


class AttentionFlags(Flags):
    """What else the model reads, and where the page goes."""

    command = "attention"
    second: str | None = setting(
        None, "a right translation, or the right order of a pointer's elements, where the model's own is not to be shown; for models "
        "that read pairs, the second text; for answers, the text that the question is about", empty=False, metavar="TEXT",
    )  # fmt: skip
    out: str = setting(PAGE, "the page", metavar="FILE.html")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write one page, which a browser shows without a network: every attention weight of all layers and heads,
    lines between tokens, and the query and key of a pair, element by element. For all models with attention."""
    parser.epilog = 'Example: python -m tinytx attention runs/gpt "To be, or not" --out attention.html'
    add_run(parser)
    things = "what the model reads: a text, the file of a picture, a pointer's numbers, the bits of a Neural Turing Machine"
    parser.add_argument("text", metavar="TEXT|FILE", help=things)
    add_options(parser, AttentionFlags)


def run(arguments):
    """Write the page, and say where it is."""
    flags = AttentionFlags(**given(arguments, AttentionFlags))
    check_file("--out", flags.out, ".html")
    for note in write_attention_page(Path(flags.out), load(arguments, *READ), arguments.text, flags.second):
        say(note)
    print(f"Wrote {flags.out}")
