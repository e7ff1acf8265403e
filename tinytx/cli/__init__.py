"""The command line: ``python -m tinytx COMMAND``. A command's file is imported when the command is used."""

import sys
import warnings
from pickle import UnpicklingError

from tinytx import terminal
from tinytx.cli.parser import Parser, Version
from tinytx.cli.started import after_the_first, join
from tinytx.progress import announce_compiling, say, working
from tinytx.recipes import RECIPES

# Errors that input, files or the system cause: the user gets one line that says what is wrong, and no traceback. The
# last two come from a damaged file in a library's cache.
BAD_INPUT = (ValueError, OSError, ImportError, ArithmeticError, MemoryError, EOFError, UnpicklingError)
COMMANDS = {
    "train": "train a model by a recipe (train gpt is the default)",
    "recipes": "what can be trained, and what to expect",
    "data": "fetch the file that a recipe learns from",
    "reproduce": "train a recipe, and compare its figure with the expected one",
    "sample": "let a trained GPT write",
    "translate": "let a trained Transformer translate",
    "fill": "let a trained BERT or XLNet fill in hidden words",
    "classify": "let a trained classifier tell what class texts or pictures have",
    "embeddings": "a trained model's words: files for a projector, nearest words, a map",
    "explain": "one example's way through a trained model: ids, masks, loss, decoding",
    "attention": "where a model looks, as a page to explore: weights, lines, queries and keys",
    "gradients": "one example forward and backward, as a page: values, gradients, what is kept",
    "convert": "a run to a folder that transformers loads, or such a folder to a run",
    "inspect": "what a folder's model is: architecture, tensors, memory, seconds",
    "plot": "draw the losses of a run, or of several to compare them",
    "watch": "runs in the terminal, while they go on",
    "report": "one run, or several to compare them, as a page for a browser",
    "derive": "how a backward is derived, with the numbers of a small example",
    "book": "the derivations beside the code, models and recipes, as a site",
    "exercise": "write a backward yourself, and have it graded",
    "gradcheck": "check a backward against finite differences",
    "profile": "time and bytes of each layer",
}


def main(argv=None):
    """Run a command; return its exit code: 0 done, 2 bad input (one line says what), 130 interrupted, 141 cut off."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["train"] and (len(argv) == 1 or argv[1].startswith("-")):
        argv.insert(1, "gpt")
    with terminal.safe(), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"Note: {message}")  # a warning without the line of our code
        try:
            with after_the_first():
                arguments = _parser(argv).parse_args(argv)
            announce_compiling()
            with working(argv[0]):
                code = arguments.run(arguments) or 0
            sys.stdout.flush()  # an error of a full disk is raised here, where it is handled
            return code
        except BrokenPipeError:  # the reader of our output is gone, as in ``... | head``
            return 141
        except BAD_INPUT as error:
            join()
            say(f"tinytx: {error}" if str(error) else f"tinytx: {type(error).__name__}")
            return 2
        except KeyboardInterrupt:
            join()
            say("tinytx: interrupted")
            return 130


def _parser(argv=()):
    parser = Parser(
        prog="python -m tinytx",
        description="Transformers with every backward pass written by hand.",
        epilog="Start with: python -m tinytx train",
    )
    parser.add_argument("--version", action=Version, nargs=0, help="tinytx's, and that of what it computes with")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, module=None if name == "train" else f"tinytx.cli.{name}")
    recipes = commands.choices["train"].add_subparsers(metavar="NAME", required=True)
    own = [name for name in argv[1:2] if argv[0] == "train" and name.endswith(".py")]  # a recipe in a file
    for name, text in (RECIPES | dict.fromkeys(own, "a recipe of your own")).items():
        recipes.add_parser(name, help=text, module="tinytx.cli.train").set_defaults(name=name)
    return parser
