"""``python -m tinytx explain DIR TEXT``: one example on its way through a trained model: words, masks, states, weights."""

import argparse

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.extras import require
from tinytx.paths import check_file
from tinytx.pipelines.explain import EXPLAINED, explain
from tinytx.progress import say
from tinytx.settings import Flags, setting

EXAMPLES = """Example: python -m tinytx explain runs/transformer "september 27, 1994" --target 1994-09-27
         python -m tinytx explain runs/char_rnn "To be"
         python -m tinytx explain runs/pointer "0.7 0.2 0.5" --picture points.png
         python -m tinytx explain runs/ntm "101100 010011"
"""


class ExplainFlags(Flags):
    """What is explained."""

    command = "explain"
    target: str | None = setting(
        None, "the right translation, or the right order of a pointer's elements; if not given, what the model says itself",
        empty=False, metavar="TEXT",
    )
    tokens: int | None = setting(
        None, "decode at most N tokens; if not given, as many as the model can before <stop>, and one that continues a text 10",
        minimum=1, metavar="N",
    )  # fmt: skip
    picture: str | None = setting(None, "draw the attention weights of all layers and heads", metavar="FILE.png")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Print what a trained model does with one text: what goes in, what it is to say, every mask,\nwhat recurrent layers "
        "carry along (states and gates), where attention looks, the loss token by token,\nand decoding step by step. For "
        "encoder-decoders, GPTs, recurrent nets, ELMo, pointer networks and\nNeural Turing Machines."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add_run(parser)
    parser.add_argument(
        "text", metavar="TEXT",
        help="the source; the text that a model continues, or reads in both directions; the numbers that a pointer network "
        "sorts; the bits that a Neural Turing Machine copies",
    )  # fmt: skip
    add_options(parser, ExplainFlags)


def run(arguments):
    """Print the page."""
    flags = ExplainFlags(**given(arguments, ExplainFlags))
    check_file("--picture", flags.picture, ".png")
    if flags.picture is not None:
        require("matplotlib", "train", "drawing attention weights")
    explanation = explain(load(arguments, *EXPLAINED), arguments.text, flags.target, flags.tokens)
    if flags.picture is not None:
        explanation.draw(flags.picture)
    for note in explanation.notes:
        say(note)
    print(explanation.page)
    if flags.picture is not None:
        say(f"Wrote {flags.picture}")
