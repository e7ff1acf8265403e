"""awd_lstm: LSTMs that are regularised in every place learn to say the next word of a text, in streams with a state."""

from tinytx.data import stream_batch, stream_lengths
from tinytx.models import AwdLSTM, AwdLSTMConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.nplm import WordSettings, measure, vocabulary_of
from tinytx.recipes.nplm import report as report_of_words
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.recipes.texts import prepare_text
from tinytx.settings import extended, setting
from tinytx.tasks import NextToken
from tinytx.wording import command


class StreamSettings(WordSettings):
    """Which text is learned, and how many streams read it side by side."""

    batch_size: int = setting(
        32, "streams that read the text side by side, each from another place on", minimum=1, maximum=MOST_ROWS, fixed=True
    )
    length: int = setting(35, "words of a stream in a step: how far back a gradient reaches", minimum=1, fixed=True)
    vary: bool = setting(
        True, "whether each step draws its length anew, around --length, and scales its learning rate as its length", fixed=True
    )


SETTINGS = extended(
    RunSettings, StreamSettings, AwdLSTMConfig, without=("vocab_size",),
    n_layers=2, word_dropout=0.05, input_dropout=0.2, hidden_dropout=0.1, dropout=0.2, weight_drop=0.2, alpha=1.0, beta=0.5,
    steps=1000, lr=6e-3, optimizer="adam", beta2=0.99, weight_decay=1.2e-6,
)  # fmt: skip
VALIDATION = 256  # words of a row that validates: the state begins at 0 once in so many


def prepare(settings, before):
    """Return what is `Prepared`: words of a text, in streams."""
    shape = {"length": settings.length, "batch_size": settings.batch_size, "seed": settings.seed if settings.vary else None}

    def rate_scale(step):
        return stream_lengths(settings.length, seed=settings.seed, n=step + 1)[-1] / settings.length

    return prepare_text(
        settings, before, AwdLSTMConfig, lambda ids, step: stream_batch(ids, **shape, step=step),
        size=settings.length, length=VALIDATION, vocabulary=vocabulary_of(settings), carries=True,
        rate_scale=rate_scale if settings.vary else None,
    )  # fmt: skip


def report(run, prepared, measured, examples):
    """Print both perplexities and a sample; return commands to try next."""
    sample, _ = report_of_words(run, prepared, measured, examples)
    paper = "train awd_lstm --data FILE --optimizer sgd --lr 30 --clip 0.25 --schedule constant --average 5"
    return [sample, command(*paper.split())]


RECIPE = Recipe(
    system="AWD-LSTM",
    paper="Merity, Keskar, Socher 2017",
    learns="built-in text, or --data FILE",
    model=AwdLSTM,
    config=AwdLSTMConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(perplexity=(15, 0.7), step=1000, minutes=1),
    about="Train a regularised LSTM on the words of a text. Without flags: built-in text. Adam takes the steps; with "
    "--optimizer sgd --average 5 it is the paper's averaged SGD, which needs many more of them.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --d-model 200 --d-hidden 500 --n-layers 3 --out runs/book",
)
