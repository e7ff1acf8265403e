"""char_rnn: a recurrent net learns a text character by character, and carries its state from one part of it to the next."""

from tinytx.data import stream_batch
from tinytx.metrics import ngram_loss
from tinytx.models import CharRNN, CharRNNConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.recipes.texts import SHAKESPEARE, TextSettings, prepare_text, print_sample
from tinytx.settings import extended, setting
from tinytx.tasks import NextToken
from tinytx.wording import command


class StreamSettings(TextSettings):
    """Which text is learned, and how many streams read it side by side."""

    batch_size: int = setting(
        32, "streams that read the text side by side, each from another place on", minimum=1, maximum=MOST_ROWS, fixed=True
    )
    length: int = setting(64, "characters of a stream in a step: how far back a gradient reaches", minimum=1, fixed=True)


SETTINGS = extended(
    RunSettings, StreamSettings, CharRNNConfig, without=("vocab_size",),
    steps=1500, lr=4e-3, optimizer="adam", weight_decay=0.0,
)  # fmt: skip
VALIDATION = 1024  # characters of a row that validates: the state begins at 0 once in so many


def prepare(settings, before):
    """Return what is `Prepared`: characters of a text, in streams."""

    def batch(ids, step):
        return stream_batch(ids, length=settings.length, batch_size=settings.batch_size, step=step)

    return prepare_text(settings, before, CharRNNConfig, batch, size=settings.length, length=VALIDATION, carries=True)


def measure(model, prepared):
    """Return (``trigram_loss``, what counting triples of characters reaches on the same text, None)."""
    text = prepared.kept
    return {"trigram_loss": ngram_loss(text.train, text.validation, text.tokenizer.vocab_size)}, None


def report(run, prepared, measured, examples):
    """Print the trigrams' loss and a sample; return commands to try next."""
    print(f"Interpolated trigrams: {measured['trigram_loss']:.4f} nats")
    bigger = "train char_rnn --data FILE --d-model 512 --n-layers 2 --dropout 0.2".split()
    return [print_sample(run, prepared), command(*bigger)]


RECIPE = Recipe(
    system="character RNN",
    paper="Karpathy 2015; Hochreiter and Schmidhuber 1997",
    learns="built-in text, or --data FILE",
    model=CharRNN,
    config=CharRNNConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data={"data": SHAKESPEARE},
    expect=Expect(val_loss=(1.58, 0.04), step=1500, minutes=1, settings={"data": SHAKESPEARE}),
    about="Train a recurrent net that says the next character. Without flags: an LSTM on built-in text, a few minutes.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --d-model 512 --n-layers 2 --out runs/book",
)
