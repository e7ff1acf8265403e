"""``python -m tinytx fill DIR TEXT ...``: a trained BERT or XLNet guesses hidden words."""

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.cli.texts import given_texts
from tinytx.pipelines import Filler
from tinytx.progress import say
from tinytx.settings import Flags, setting
from tinytx.terminal import bars


class FillFlags(Flags):
    """What is printed of each hidden word."""

    command = "fill"
    top: int = setting(5, "words for each place", minimum=1, metavar="N")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write <mask> or [MASK] for each hidden word of a text, and a trained BERT or XLNet says which
    words are likely there, and how likely. A BERT guesses each of several hidden words without knowing the others, an XLNet
    takes the likeliest words for those before."""
    parser.epilog = 'Example: python -m tinytx fill runs/bert "the <mask> of the function" --top 10'
    add_run(parser)
    texts = "text with a <mask> in it or several; - stands for the lines of standard input"
    parser.add_argument("texts", metavar="TEXT", nargs="+", help=texts)
    add_options(parser, FillFlags)


def run(arguments):
    """Print the likely words of each hidden place, and the text with the likeliest filled in."""
    top, filler = FillFlags(**given(arguments, FillFlags)).top, load(arguments, Filler)
    texts = [(place, text) for place, text in given_texts(arguments.texts, "text", filler.tokenizer) if text]
    rows = [filler.encode(text, place) for place, text in texts]
    for note in [note for _, text in texts for note in filler.unknown(text)]:
        say(note)
    for number, ((_, text), ids) in enumerate(zip(texts, rows, strict=True)):
        filled = filler.filled(ids, top)
        print("\n" * bool(number) + text)
        _print(filled)


def _print(filled):
    """Print the likely words with bars, and the text with the likeliest filled in."""
    lines = iter(bars([guess for words in filled.guesses for guess in words]))  # as wide for each hidden word
    for number, words in enumerate(filled.guesses, start=1):
        if len(filled.guesses) > 1:
            print(f"hidden word {number}:")
        for _ in words:
            print(next(lines))
    print(f"-> {filled.text}")
