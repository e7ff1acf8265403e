"""Texts with noise, and a model that restores them: what the recipes of T5's and of BART's pre-training share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytx.data import NoisedBatches, Tokenizer, WordTokenizer, packed
from tinytx.data.tokenizers.tokenizer import SPECIAL
from tinytx.metrics import corpus_bleu
from tinytx.pipelines import Translator
from tinytx.recipes.bert_rows import hold_out, read_documents
from tinytx.recipes.pair_texts import shorten
from tinytx.recipes.recipe import Prepared, measures_of_the_task
from tinytx.recipes.settings import MOST_ROWS, digest
from tinytx.settings import Settings, setting
from tinytx.tasks.sequence_to_sequence import LossSettings
from tinytx.wording import command, counted

WIDTH = 200  # characters of an example, at most


class NoisedTextSettings(Settings):
    """Which text is learned, what its words are, and how much of it is hidden."""

    data: str | None = setting(None, "UTF-8 text file; without it, Python's own language reference", file=True)
    valid: str | None = setting(None, "UTF-8 text file that validates, in place of a part of the text", file=True)
    lines: int | None = setting(None, "read only so many lines of it", minimum=1)
    layout: str | None = setting(
        None, "a sentence on each line, or paragraphs; if not given, lines for a file", choices=("lines", "prose")
    )
    vocab_size: int = setting(40_000, "words, at most", minimum=1, fixed=True)
    min_count: int = setting(2, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    lower: bool = setting(True, "read in lower case", fixed=True)
    row_len: int = setting(62, "words in a row of whole sentences, at most", minimum=2, fixed=True, within="max_len")
    rate: float = setting(0.15, "share of words that are hidden", minimum=0, maximum=1, fixed=True)
    mean_length: float = setting(3.0, "words in a hidden span, on average", minimum=1, fixed=True)
    batch_size: int = setting(32, "rows in a step", minimum=1, maximum=MOST_ROWS)
    train_fraction: float = setting(
        0.9, "share of the text to train on; the rest validates", minimum=0, only={"valid": (None,)}
    )
    report_rows: int = setting(256, "rows of the text that validates that are restored at the end, at most", minimum=1)


class Noise(NamedTuple):
    """What is done to a row, and undone."""

    noised: Callable  # (list of sentences' ids, rng) -> (source, target), without start and stop
    restored: Callable  # (source, target or what a model said in its place) -> the row's ids


class Kept(NamedTuple):
    """What measures and examples need: the tokenizer, and rows that validate, (source, target) without start and stop."""

    tokenizer: Tokenizer
    rows: list
    restored: Callable  # (source, what a model said) -> the text


def prepare_noised(settings, before, make_config, make_noise, special):
    """Return what is `Prepared`: rows of whole sentences, and the same with noise; ``kept`` is what is `Kept`.

    Parameters
    ----------
    settings : RunSettings
        With those of `NoisedTextSettings` and `LossSettings`, and a ``max_len``.
    before : Before, or None
    make_config : function (settings, tokenizer) -> config of the model
    make_noise : function (settings, tokenizer) -> Noise
    special : tuple of str
        Special tokens of the noise, beside start, stop and padding.

    Raises
    ------
    ValueError
        If a part of the text is empty.
    """
    texts, (whole, *valid) = read_documents(settings)
    parts = (whole, *valid) if valid else hold_out(whole, settings.train_fraction)
    sentences = [[sentence for document in part for sentence in document] for part in parts]
    if not all(sentences):
        raise ValueError("--train-fraction is 1, and no text validates: give a smaller one, or --valid FILE")
    if before:
        tokenizer = Translator.of(before.model, before.meta, before.folder).source_tokenizer
    else:
        options = {"min_count": settings.min_count, "lower": settings.lower, "special": (*SPECIAL, *special)}
        tokenizer = WordTokenizer.from_texts(sentences[0], settings.vocab_size, **options)
    most = min(settings.row_len, settings.max_len - 1)  # the start token has a place, too
    train, held_out = (
        [row for row in packed([tokenizer.encode(text) for text in part], most) if sum(map(len, row)) > 1]
        for part in sentences
    )
    shape = {"batch_size": settings.batch_size, "seed": settings.seed}
    shape |= {name: getattr(tokenizer, name) for name in ("pad_id", "start_id", "stop_id")}
    noise = make_noise(settings, tokenizer)
    batches, validation = (
        NoisedBatches(part, noise.noised, **shape, dynamic=part is train) for part in (train, held_out)
    )
    validation = list(validation.epoch())
    rows = [pair for batch in validation for pair in zip(*(_without_frame(tokenizer, side) for side in batch))]
    n_words = sum(len(sentence) for row in train for sentence in row)
    return Prepared(
        config=make_config(settings, tokenizer),
        task_settings=settings.fields_of(LossSettings),
        batch=batches,
        validation=validation,
        digests={"text": digest(*texts)},
        tokenizers=dict.fromkeys(("source_tokenizer", "target_tokenizer"), tokenizer.to_dict()),
        lines=[
            f"Text: {settings.data or 'the Python language reference'}, {counted(len(train), 'row')} of {n_words:,} words to "
            f"train on, {len(held_out):,} to validate; {tokenizer.vocab_size:,} words in the vocabulary",
            *(f"{side}: {shorten(tokenizer.decode(ids), WIDTH)}" for side, ids in zip(("Such as", "it is"), rows[0])),
        ],
        kept=Kept(tokenizer, rows[: settings.report_rows], noise.restored),
    )


def _without_frame(tokenizer, ids):
    """Return the rows (n,) of ids (B, T), without start, stop and padding."""
    frame = tokenizer.pad_id, tokenizer.start_id, tokenizer.stop_id
    return [row[~np.isin(row, frame)] for row in ids]


def measure_restored(model, prepared):
    """Return (perplexity, accuracy, and BLEU of restored and of noised texts; restored texts)."""
    measured, _ = measures_of_the_task(model, prepared)
    tokenizer, rows, restored = prepared.kept
    translations = Translator(model, tokenizer, tokenizer).best([source for source, _ in rows])
    said = [translation.ids[: len(translation.ids) - translation.ended] for translation in translations]
    marks = [tokenizer.special_id(name) for name in tokenizer.special if name not in SPECIAL]
    given, left, texts, whole = (
        [tokenizer.decode(ids) for ids in some]
        for some in (
            [source for source, _ in rows],
            [source[~np.isin(source, marks)] for source, _ in rows],
            [restored(source, ids) for (source, _), ids in zip(rows, said)],
            [restored(*row) for row in rows],
        )
    )
    bleu = {"bleu": corpus_bleu(texts, whole).score, "noised_bleu": corpus_bleu(left, whole).score}
    return measured | bleu, list(zip(given, texts, whole))


def report_restored(run, prepared, measured, examples, n=3):
    """Print the measures and some restored texts; return commands to try next."""
    print(f"Perplexity {measured['perplexity']:.2f} per word; {measured['accuracy']:.1%} of words said right after right ones")
    print(f"BLEU on {counted(len(examples), 'row')}: {measured['bleu']:.1f} restored, {measured['noised_bleu']:.1f} with noise")
    print("\n--- noised, restored, and as it was ---")
    for example in examples[:n]:
        print("\n".join(shorten(text, WIDTH) for text in example), end="\n\n")
    noised = min((noised for noised, *_ in examples), key=lambda text: ("'" in text, text[:1] == "-", len(text)))
    return [command("translate", run.folder, noised), command("train", run.name, "--data", "FILE")]
