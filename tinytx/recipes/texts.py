"""What recipes share whose model says the next character, or word, of a text."""

from typing import NamedTuple

import numpy as np

from tinytx.data import CharTokenizer, Tokenizer, builtin_corpus, read_text, split, tokenizer_from_dict, windows
from tinytx.pipelines import Writer
from tinytx.pipelines.texts import encode_known
from tinytx.progress import tracked
from tinytx.recipes.data_files import DataFile
from tinytx.recipes.recipe import Prepared
from tinytx.recipes.settings import MOST_ROWS, digest
from tinytx.settings import Settings, setting
from tinytx.wording import command, counted

ROWS = 64  # sequences of a validation's batch
SHAKESPEARE = DataFile(
    name="tinyshakespeare.txt",
    address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    licence="public domain",
    size=1_115_394,
    checksum="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


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


class Text(NamedTuple):
    """A text as ids of its characters or words.

    Attributes
    ----------
    tokenizer : Tokenizer
    train, validation : integers (n,)
    """

    tokenizer: Tokenizer
    train: np.ndarray
    validation: np.ndarray


def all_characters(train, validation):
    """Return the tokenizer of the characters of two texts."""
    return CharTokenizer.from_text(train + validation)


def prepare_text(settings, before, config, make_batch, *, size, length=None, vocabulary=all_characters, **options):
    """Return what is `tinytx.recipes.Prepared`, ``kept`` being a `Text`.

    Parameters
    ----------
    settings : RunSettings
        With those of `TextSettings`.
    before : Before, or None
    config : class
        Of the model's config.
    make_batch : function (ids, step) -> (inputs, targets)
        Of the ids that are trained on.
    size : int
        Tokens in a row of a batch.
    length : int, optional
        Tokens in a row of a validation, if it is not ``size``.
    vocabulary : function (train, validation) -> Tokenizer
        Of the text that is trained on, and of the text that validates.
    **options
        Other fields of `Prepared`: ``carries``.

    Raises
    ------
    ValueError
        If the text to train on, or the text to validate on, is too short.
    """
    texts, parts = read_parts(settings)
    places = [settings.data or "the text", settings.valid or settings.data or "the text"]
    tokenizer = tokenizer_from_dict(before.meta.get("tokenizer")) if before else vocabulary(*parts)
    text = Text(tokenizer, *(encode_known(tokenizer, part, place) for part, place in zip(parts, places, strict=True)))
    make_batch(text.train, 0)  # raises an error where the text is too short
    inputs, targets = windows(text.validation, length or size)
    n = -(-len(inputs) // ROWS)
    line = (
        f"Text: {settings.data or 'the Python language reference'}, {counted(len(text.train) + len(text.validation), tokenizer.unit)}, "
        f"{tokenizer.vocab_size} distinct; {len(text.train):,} to train on, {len(text.validation):,} to validate"
    )
    return Prepared(
        config=config(vocab_size=tokenizer.vocab_size, **settings.fields_of(config)),
        batch=lambda step: make_batch(text.train, step),
        validation=[(inputs[i::n], targets[i::n]) for i in range(n)],  # each of windows from the whole text
        digests={"text": digest(*texts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[line],
        kept=text,
        **options,
    )


def read_parts(settings):
    """Return the texts that `TextSettings` name, and [the text to train on, the text that validates]."""
    texts = [builtin_corpus() if settings.data is None else read_text(settings.data)]
    if settings.valid:
        texts.append(read_text(settings.valid))
        return texts, texts
    n_train = len(split(np.arange(len(texts[0])), settings.train_fraction)[0])
    return texts, [texts[0][:n_train], texts[0][n_train:]]


def print_sample(run, prepared, n_tokens=300, prompt=None):
    """Print a text that the trained model writes; return the command that lets it write another."""
    tokenizer, rng = prepared.kept.tokenizer, np.random.default_rng(run.settings.seed)
    writing = Writer(run.trainer.model, tokenizer).write(prompt, n_tokens, temperature=0.8, rng=rng)
    _, *texts = tracked(writing, tokenizer.unit, n_tokens + 1)
    print(f"\n--- a sample ---\n{''.join(texts).strip()}\n----------------\n")
    prompt = [] if tokenizer.unknown("The ") else ["--prompt", "The "]
    recipe = ["--recipe", run.name] if run.name.endswith(".py") else []
    return command("sample", run.folder, *prompt, *recipe)
