"""``python -m tinytx explain DIR TEXT``: one example on its way through a trained model, with every word and mask."""

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.extras import require
from tinytx.paths import check_file
from tinytx.pipelines import Translator, Writer, explain
from tinytx.progress import say
from tinytx.settings import Flags, setting


class ExplainFlags(Flags):
    """What is explained."""

    command = "explain"
    target: str | None = setting(
        None, "the right translation; if not given, what the model says itself", empty=False, metavar="TEXT"
    )
    tokens: int | None = setting(
        None, "decode at most N tokens; if not given, as many as the model can before <stop>, and a GPT 10",
        minimum=1, metavar="N",
    )  # fmt: skip
    picture: str | None = setting(None, "draw the attention weights of all layers and heads", metavar="FILE.png")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Print what a trained Transformer or GPT does with one text: what goes in, what it is to say,
    every mask, the loss token by token, and decoding step by step."""
    parser.epilog = 'Example: python -m tinytx explain runs/transformer "september 27, 1994" --target 1994-09-27'
    add_run(parser)
    parser.add_argument("text", metavar="TEXT", help="the source; for a GPT, the text it reads")
    add_options(parser, ExplainFlags)


def run(arguments):
    """Print the page."""
    flags = ExplainFlags(**given(arguments, ExplainFlags))
    check_file("--picture", flags.picture, ".png")
    if flags.picture is not None:
        require("matplotlib", "train", "drawing attention weights")
    explanation = explain(load(arguments, Translator, Writer), arguments.text, flags.target, flags.tokens)
    for note in explanation.notes:
        say(note)
    print(explanation.page)
    if flags.picture is not None:
        explanation.draw(flags.picture)
        say(f"Wrote {flags.picture}")
