"""``python -m tinytx convert SOURCE TARGET``: a run as Hugging Face's libraries read it, or their folder as a run."""

from tinytx.paths import check_folder
from tinytx.pipelines.convert import convert, holds_run
from tinytx.progress import say
from tinytx.wording import command, counted


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write a run's model and tokenizer as transformers loads them, or those of such a folder as
    a run. Which way is seen from the folder. Nothing is fetched from a network."""
    parser.epilog = "Example: python -m tinytx convert runs/wordpieces published/wordpieces"
    parser.add_argument("source", metavar="SOURCE", help="folder with checkpoint.npz, or with config.json and model.safetensors")
    parser.add_argument("target", metavar="TARGET", help="folder for the other form; it is made if it is missing")


def run(arguments):
    """Convert, and say what was written and what to try next."""
    check_folder("TARGET", arguments.target)
    model, files, note = convert(arguments.source, arguments.target)
    n = sum(parameter.data.size for parameter in model.parameters())
    print(f"A {type(model).__name__} with {counted(n, 'parameter')}")
    print(f"Wrote {', '.join(map(str, files))}" + ("" if note else ", and the tokenizer"))
    if note:
        say(f"No tokenizer is written: {note}")
    print(f"Try next: {command('inspect', arguments.target)}")
    if holds_run(arguments.source):
        print(f"In Python: transformers.AutoModel.from_pretrained({arguments.target!r})")
