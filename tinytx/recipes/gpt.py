"""gpt: a character-level GPT learns a text, by nanoGPT's recipe for a laptop."""

import numpy as np

from tinytx.data import CharTokenizer, builtin_corpus, random_batch, read_text, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.pipelines import Writer
from tinytx.pipelines.texts import encode_known
from tinytx.progress import tracked
from tinytx.recipes import DataFile, Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest, origin
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import NextToken
from tinytx.wording import command, counted


class TextSettings(Settings):
    """Which text is learned, and in which pieces."""

    data: str | None = setting(
        None, "UTF-8 text file to learn from; without it, Python's own language reference", file=True
    )
    valid: str | None = setting(None, "UTF-8 text file that validates, in place of the end of the text", file=True)
    batch_size: int = setting(12, "sequences in a step", minimum=1, maximum=MOST_ROWS)
    train_fraction: float = setting(
        0.9, "share of the text that is trained on; the rest validates", minimum=0, only={"valid": (None,)}
    )
    eval_windows: int = setting(256, "sequences of a validation on the way; the last one reads all", minimum=1)


SETTINGS = extended(  # nanoGPT's recipe for a laptop
    RunSettings, TextSettings, GPTConfig, without=("vocab_size",),
    min_lr=1e-4, beta2=0.99, weight_decay=0.1,
)  # fmt: skip
ROWS = 64  # sequences of a validation's batch


def prepare(settings, before):
    """Return what is `Prepared`: characters of a text, in windows."""
    texts = _read(settings)
    text = "".join(texts)
    tokenizer = CharTokenizer.from_dict(before.meta.get("tokenizer")) if before else CharTokenizer.from_text(text)
    places = [settings.data or "the text", settings.valid]
    ids = [encode_known(tokenizer, text, place) for text, place in zip(texts, places, strict=False)]
    train, validation = ids if settings.valid else split(*ids, settings.train_fraction)
    shape = {"max_len": settings.max_len, "batch_size": settings.batch_size, "seed": settings.seed}
    _check_lengths(settings, len(train), len(validation))
    inputs, targets = windows(validation, settings.max_len)

    def rows(every=1):
        ins, outs = inputs[::every], targets[::every]
        return [(ins[i : i + ROWS], outs[i : i + ROWS]) for i in range(0, len(ins), ROWS)]

    named = origin(settings, before, "data", "valid")
    line = (
        f"Text: {settings.data or 'the Python language reference'}{named}, {counted(len(text), 'character')}, "
        f"{tokenizer.vocab_size} distinct; {len(train):,} to train on, {len(validation):,} to validate"
    )
    return Prepared(
        config=GPTConfig(vocab_size=tokenizer.vocab_size, **settings.fields_of(GPTConfig)),
        batch=lambda step: random_batch(train, **shape, step=step),
        tokens=settings.batch_size * settings.max_len,
        some=lambda: rows(max(1, len(inputs) // settings.eval_windows)),
        whole=rows,
        digests={"text": digest(*texts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[line],
        kept=tokenizer,
    )


def _check_lengths(settings, n_train, n_validation):
    """Raise ValueError where a text is too short for one row."""
    if n_train <= settings.max_len:
        needs = f"a row of --max-len {settings.max_len} needs {settings.max_len + 1}"
        remedy = "take a longer text, a smaller --max-len or a larger --train-fraction"
        raise ValueError(f"there are {counted(n_train, 'character')} to train on, and {needs}: {remedy}")
    if n_validation < 2:
        remedy = "take a longer text or a smaller --train-fraction, or name another text by --valid"
        raise ValueError(f"there are {counted(n_validation, 'character')} to validate, expected 2: {remedy}")


def measure(model, prepared):
    """Return ({}, None): the loss is all that is measured."""
    return {}, None


def _read(settings):
    """Return the text; and if it has a file of its own, the text that validates."""
    text = builtin_corpus() if settings.data is None else read_text(settings.data)
    return [text] if settings.valid is None else [text, read_text(settings.valid)]


def report(run, prepared, measured, examples):
    """Print the loss and a sample of a finished run; return commands to try next."""
    tokenizer = prepared.kept
    rng = np.random.default_rng(run.settings.seed)
    writing = Writer(run.trainer.model, tokenizer).write(n_tokens=300, temperature=0.8, rng=rng)
    _, *texts = tracked(writing, "character", 301)
    print(f"\n--- a sample ---\n{''.join(texts).strip()}\n----------------\n")
    prompt = ["--prompt", "The "] if set("The ") <= set(tokenizer.characters) else []
    return [
        command("sample", run.folder, *prompt),
        command(*"train gpt --data FILE --dropout 0.1 --n-layers 6".split()),
    ]


SHAKESPEARE = DataFile(
    name="tinyshakespeare.txt",
    address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    licence="public domain",
    size=1_115_394,
    checksum="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
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
    expect=Expect(val_loss=(1.4, 0.04), step=2000, minutes=1.5),
    about="Train a character-level GPT. Without flags: nanoGPT's laptop recipe on built-in text, a minute or two.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --steps 5000 --dropout 0.1 --out runs/book",
)
