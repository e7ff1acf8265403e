"""gpt: a character-level GPT learns a text, by nanoGPT's recipe for a laptop."""

from tinytx.data import random_batch
from tinytx.models import GPT, GPTConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.texts import SHAKESPEARE, TextSettings, prepare_text, print_sample
from tinytx.settings import extended
from tinytx.tasks import NextToken
from tinytx.wording import command

SETTINGS = extended(  # nanoGPT's recipe for a laptop
    RunSettings, TextSettings, GPTConfig, without=("vocab_size",),
    min_lr=1e-4, beta2=0.99, weight_decay=0.1,
)  # fmt: skip


def prepare_windows(settings, before, config):
    """Return what is `Prepared`: characters of a text, in windows; ``config`` is the class of the model's."""
    shape = {"max_len": settings.max_len, "batch_size": settings.batch_size, "seed": settings.seed}

    def batch(ids, step):
        return random_batch(ids, **shape, step=step)

    return prepare_text(settings, before, config, batch, size=settings.max_len)


def prepare(settings, before):
    """Return what is `Prepared`, for a GPT."""
    return prepare_windows(settings, before, GPTConfig)


def measure(model, prepared):
    """Return ({}, None): the loss is all that is measured."""
    return {}, None


def report(run, prepared, measured, examples):
    """Print a sample; return commands to try next."""
    bigger = "--data FILE --dropout 0.1 --n-layers 6".split()
    return [print_sample(run, prepared), command("train", run.name, *bigger)]


RECIPE = Recipe(
    system="GPT",
    paper="nanoGPT; Radford et al. 2019",
    learns="built-in text, or --data FILE",
    model=GPT,
    config=GPTConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data={"data": SHAKESPEARE},
    expect=Expect(val_loss=(1.4, 0.04), step=2000, minutes=1),
    about="Train a character-level GPT. Without flags: nanoGPT's laptop recipe on built-in text, a minute or two.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --steps 5000 --dropout 0.1 --out runs/book",
)
