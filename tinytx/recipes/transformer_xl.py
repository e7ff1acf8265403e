"""transformer_xl: a transformer that remembers learns a text character by character, segment after segment."""

import numpy as np

from tinytx.data import stream_batch
from tinytx.metrics import ngram_loss
from tinytx.models import TransformerXL, TransformerXLConfig
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


SETTINGS = extended(
    RunSettings, StreamSettings, TransformerXLConfig, without=("vocab_size",),
    segment=32, memory=64, d_model=64, n_layers=2, steps=1000, lr=4e-3, optimizer="adam", weight_decay=0.0,
)  # fmt: skip
SEGMENTS = 32  # segments of a row that validates: the memory is empty at the first one
FIRST = 8  # characters of a segment, which see little of it


def prepare(settings, before):
    """Return what is `Prepared`: characters of a text, in streams whose steps are segments."""

    def batch(ids, step):
        return stream_batch(ids, length=settings.segment, batch_size=settings.batch_size, step=step)

    size, length = settings.segment, SEGMENTS * settings.segment
    return prepare_text(settings, before, TransformerXLConfig, batch, size=size, length=length, carries=True)


def by_segments(batch, size):
    """Return a batch whose rows are segments: so each is read without a memory."""
    return tuple(array.reshape(-1, size) for array in batch)


def firsts(batch, size):
    """Return a batch of which only the first 8 characters of segments count, but for each row's first segment."""
    ids, targets = batch
    places = np.arange(ids.shape[1])
    return ids, np.where((places % size < FIRST) & (places >= size), targets, NextToken.ignored)


def measure(model, prepared):
    """Return (losses with and without the memory, and what counting triples of characters reaches; None).

    ``first_loss`` is of the first 8 characters of segments, ``forgetful_loss`` of all characters without the memory,
    and ``forgetful_first_loss`` of the first 8 without it.
    """
    text, size, whole = prepared.kept, model.config.segment, prepared.validation
    first = [firsts(batch, size) for batch in whole]
    return {
        "first_loss": model.mean_loss(first),
        "forgetful_loss": model.mean_loss([by_segments(batch, size) for batch in whole]),
        "forgetful_first_loss": model.mean_loss([by_segments(batch, size) for batch in first]),
        "trigram_loss": ngram_loss(text.train, text.validation, text.tokenizer.vocab_size),
    }, None


def report(run, prepared, measured, examples):
    """Print the losses with and without the memory, and a sample; return commands to try next."""
    settings = run.settings
    print(f"Interpolated trigrams: {measured['trigram_loss']:.4f} nats")
    print(f"{'Nats per character':<18} {'all':>9} {'first':>9} {FIRST} of a segment")
    rows = {f"memory of {settings.memory}": ("val_loss", "first_loss")} if settings.memory else {}
    rows["memory taken away" if settings.memory else "no memory"] = ("forgetful_loss", "forgetful_first_loss")
    for name, measures in rows.items():
        print(f"{name:<18}", *(f"{measured[measure]:9.3f}" for measure in measures))
    data = [] if settings.data is None else ["--data", settings.data]
    other = command("train", "transformer_xl", *data, "--memory", 0 if settings.memory else 2 * settings.segment)
    return [print_sample(run, prepared), other] if settings.memory else [other]  # a sample is read character by character


RECIPE = Recipe(
    system="Transformer-XL",
    paper="Dai et al. 2019",
    learns="built-in text, or --data FILE",
    model=TransformerXL,
    config=TransformerXLConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data={"data": SHAKESPEARE},
    expect=Expect(val_loss=(1.87, 0.03), step=1000, minutes=0.5, settings={"data": SHAKESPEARE}),
    about="Train a transformer that reads a text in segments and remembers those before. Without flags: built-in text.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --segment 64 --memory 128 --out runs/book",
)
