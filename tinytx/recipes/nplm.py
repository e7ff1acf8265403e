"""nplm: a network reads the last four words of a text and says the next, better than an n-gram model of three words."""

import math

from tinytx.data import WordTokenizer, random_batch
from tinytx.metrics import ngram_loss
from tinytx.models import NPLM, NPLMConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.recipes.texts import TextSettings, prepare_text, print_sample
from tinytx.settings import extended, setting
from tinytx.tasks import NextToken
from tinytx.wording import command

STRENGTHS = (5, 10, 20, 50, 100, 200)  # of the trigram model's interpolation; the best one on the validation text counts


class WordSettings(TextSettings):
    """Which text is learned, and which of its words."""

    batch_size: int = setting(32, "rows in a step", minimum=1, maximum=MOST_ROWS)
    length: int = setting(16, "words of a row", minimum=1, fixed=True)
    min_count: int = setting(3, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    lower: bool = setting(True, "whether the text is read in lower case", fixed=True)


SETTINGS = extended(
    RunSettings, WordSettings, NPLMConfig, without=("vocab_size",),
    steps=2500, lr=4e-3, direct=False, d_hidden=128, dropout=0.3,
)  # fmt: skip


def vocabulary_of(settings):
    """Return the function that makes a tokenizer of the frequent words of the text that is trained on."""

    def vocabulary(train, validation):
        options = {"min_count": settings.min_count, "lower": settings.lower}
        return WordTokenizer.from_texts([train], special=("<unk>",), **options)

    return vocabulary


def prepare(settings, before):
    """Return what is `Prepared`: words of a text, in random rows."""
    shape = {"max_len": settings.length, "batch_size": settings.batch_size, "seed": settings.seed}
    return prepare_text(
        settings, before, NPLMConfig, lambda ids, step: random_batch(ids, **shape, step=step),
        size=settings.length, length=8 * settings.length, vocabulary=vocabulary_of(settings),
    )  # fmt: skip


def measure(model, prepared):
    """Return ({"perplexity": the model's, "trigram_perplexity": that of counting, on the same words}, None)."""
    text = prepared.kept
    counting = [ngram_loss(text.train, text.validation, text.tokenizer.vocab_size, strength=s) for s in STRENGTHS]
    perplexity = model.measure(prepared.validation)["perplexity"]
    return {"perplexity": perplexity, "trigram_perplexity": math.exp(min(counting))}, None


def report(run, prepared, measured, examples):
    """Print both perplexities and a sample; return commands to try next."""
    print(f"Perplexity {measured['perplexity']:.1f}; interpolated trigrams: {measured['trigram_perplexity']:.1f}")
    prompt = None if prepared.kept.tokenizer.unknown("the") else "the"  # not the most frequent word, a dash in tables
    return [print_sample(run, prepared, 60, prompt), command(*"train nplm --data FILE --n 6 --direct".split())]


RECIPE = Recipe(
    system="NPLM",
    paper="Bengio et al. 2003",
    learns="built-in text, or --data FILE",
    model=NPLM,
    config=NPLMConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(perplexity=(19.2, 0.7), step=2500, minutes=0.5),
    about="Train a neural probabilistic language model on the words of a text. Without flags: built-in text.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --n 6 --direct --out runs/book",
)
