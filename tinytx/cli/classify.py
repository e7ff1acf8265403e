"""``python -m tinytx classify DIR TEXT ...``: a trained classifier tells what class a text or a picture has."""

from tinytx.cli.options import add_options, add_run, given, load
from tinytx.cli.texts import given_texts
from tinytx.pipelines import Classifier, ImageClassifier
from tinytx.pipelines.classification import ranking
from tinytx.pipelines.texts import unknown_note
from tinytx.progress import say
from tinytx.settings import Flags, setting
from tinytx.terminal import bars, visible


class ClassifyFlags(Flags):
    """What is printed of each text or picture."""

    command = "classify"
    top: int = setting(3, "classes for each, at most", minimum=1, metavar="N")
    pair: str | None = setting(None, "a second text that is read with each of the texts", metavar="TEXT")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """A trained classifier tells what class a text or a picture has, and how likely: which of the two, is
    what it was trained on."""
    parser.epilog = 'Example: python -m tinytx classify runs/reviews "a warm and funny film" --top 2'
    add_run(parser)
    things = "text, or file of a picture, or several; - stands for the lines of standard input"
    parser.add_argument("things", metavar="TEXT|FILE", nargs="+", help=things)
    add_options(parser, ClassifyFlags)


def run(arguments):
    """Print the likeliest classes of each text or picture."""
    flags, uses = ClassifyFlags(**given(arguments, ClassifyFlags)), load(arguments, Classifier, ImageClassifier)
    ranked = ranking("classify", uses)
    for number, (thing, logits) in enumerate(_judged(uses, arguments.things, flags.pair)):
        print("\n" * bool(number) + visible(thing))
        best = [(answer["label"], answer["score"]) for answer in ranked(logits)[: flags.top]]
        print(*bars(best, ".3f"), sep="\n")  # of a regression, a score is no probability


def _judged(uses, things, pair):
    """Return (text or name of a file, its logits) of all that is asked; one that cannot be read is said before the first answer."""
    if isinstance(uses, ImageClassifier):
        if pair is not None:
            raise ValueError(f"classify: --pair is {pair!r:.60}, a text, and the model reads pictures: leave it out")
        return [(name, uses.logits(name)) for name in things]
    texts = [text for _, text in given_texts(things, "text", uses.tokenizer) if text]
    for note in [note for text in texts for note in unknown_note(uses.tokenizer, text)]:
        say(note)
    return [(text, uses.logits(text, pair)) for text in texts]
