"""bert: an encoder learns to fill in hidden words of a text, in a size that a laptop trains in minutes.

The recipes `tinytx.recipes.tutorial` and `tinytx.recipes.wordpieces` have other settings, and the rest from here.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data import Tokenizer
from tinytx.data.tokenizers.graphemes import count_letters
from tinytx.models import Bert, BertConfig
from tinytx.pipelines import Filler
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.bert_rows import (
    PAIRS,
    hold_out,
    make_batches,
    make_rows,
    make_tokenizer,
    read_documents,
    validation_batches,
)
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import HiddenWords
from tinytx.tasks.hidden_words import IGNORE, HeadSettings
from tinytx.terminal import visible
from tinytx.wording import command, counted

FROM_DATA = ("n_segments", "next_sentence", "pad_id")  # settings of model and task that the data decides


class MaskedTextSettings(Settings):
    """Which text is learned, what its tokens are, and which of them are hidden."""

    data: str | None = setting(None, "UTF-8 text file; without it, Python's own language reference", file=True)
    valid: str | None = setting(None, "UTF-8 text file that validates, in place of a part of the text", file=True)
    lines: int | None = setting(None, "read only so many lines of it", minimum=1)
    layout: str | None = setting(
        None, "a sentence on each line, or paragraphs; if not given, lines for a file", choices=("lines", "prose")
    )
    tokenizer: str = setting(
        "words", "what a token is; subwords are byte pairs", choices=("words", "wordpieces", "subwords"), fixed=True
    )
    vocab_size: int = setting(40_000, "words, or pieces of words, at most", minimum=1, fixed=True)
    min_count: int = setting(
        1, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True, only={"tokenizer": ("words",)}
    )
    lower: bool = setting(True, "read in lower case", fixed=True)
    pairs: str = setting(
        "none", "two sentences in a row: does the second follow, or are they swapped", choices=("none", *PAIRS),
        fixed=True,
    )  # fmt: skip
    full_sentences: bool = setting(
        False, "pack rows with whole sentences, each of them in one row; else each sentence begins a row",
        only={"pairs": ("none",), "tokenizer": ("wordpieces", "subwords")},
    )  # fmt: skip
    mask_rate: float = setting(0.15, "share of words that are asked for", minimum=0, maximum=1)
    always_mask: bool = setting(True, "hide them all; else 80 % are, 10 % become random words, 10 % stay")
    mask_unknown: bool = setting(False, "ask for words outside the vocabulary, too")
    static: bool = setting(False, "the same masks and pairs in every epoch, not new ones")
    whole_words: bool = setting(False, "choose all pieces of a word together", only={"tokenizer": ("wordpieces", "subwords")})
    batch_size: int = setting(64, "rows in a step", minimum=1, maximum=MOST_ROWS)
    drop_last: bool = setting(False, "leave out of an epoch what fills no whole batch")
    train_fraction: float = setting(
        0.9, "share of the text to train on, the rest validates; 1 for all, which validates on the same",
        minimum=0, only={"valid": (None,)},
    )  # fmt: skip


SETTINGS = extended(
    RunSettings, MaskedTextSettings, BertConfig, HeadSettings, without=FROM_DATA,
    max_len=20, d_model=128, n_heads=4, n_layers=4, norm_order="pre",
)  # fmt: skip


class Kept(NamedTuple):
    """What the examples need: the tokenizer, and encoded sentences."""

    tokenizer: Tokenizer
    sentences: list


def bert_config(settings, kind=BertConfig, **from_data):
    """Return the config of a BERT, or of another ``kind`` with its settings, whose texts have two parts or none."""
    return kind(**settings.fields_of(kind) | from_data, n_segments=2 if settings.pairs != "none" else 0)


def prepare(settings, before, config_of=bert_config):
    """Return what is `Prepared`: rows of sentences in which words are hidden.

    ``config_of(settings, vocab_size=V, pad_id=pad_id)`` returns the config of the model.
    """
    texts, (whole, *valid) = read_documents(settings)
    train, rest = (whole, *valid) if valid else hold_out(whole, settings.train_fraction)
    if before:
        tokenizer = Filler.of(before.model, before.meta, before.folder).tokenizer
    else:
        tokenizer = make_tokenizer(settings, train)
    rows = make_rows(settings, tokenizer, train)
    held_out = make_rows(settings, tokenizer, rest) if rest else rows
    batches = make_batches(settings, tokenizer, rows)
    validation = validation_batches(settings, tokenizer, held_out)
    if not any((batch[1] != IGNORE).any() for batch in validation):
        raise ValueError("no word is hidden in the rows that validate: take a longer text, or a larger --mask-rate")
    return Prepared(
        config=config_of(settings, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id),
        batch=batches,
        task_settings={"head": settings.head, "next_sentence": settings.pairs != "none"},
        validation=validation,
        digests={"text": digest(*texts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=_announcement(settings, whole, rows, held_out, tokenizer, batches),
        kept=Kept(tokenizer, held_out.sentences),
    )


def _announcement(settings, whole, rows, held_out, tokenizer, batches):
    """Return lines that describe the data."""
    n, n_documents = sum(map(len, whole)), len(whole)
    line = f"Text: {settings.data or 'the Python language reference'}, {counted(n, 'sentence')} in {counted(n_documents, 'document')}; "
    if held_out is rows:
        line += "all to train on, so validation reads what was trained on"
    else:
        line += f"{len(rows.sentences):,} to train on, {len(held_out.sentences):,} to validate"
    n_rows = counted(len(rows.parts[0]), "row" if settings.pairs == "none" else "pair")
    size = f"{n_rows} of at most {settings.max_len}, {counted(len(batches), 'batch', 'batches')} an epoch"
    ids = batches(0)[0][0]
    example = " ".join(tokenizer.tokens(ids[ids != tokenizer.pad_id]))
    n_cut = rows.n_cut + held_out.n_cut * (held_out is not rows)
    cut = f"Longer than a row, so that they lose their ends: {counted(n_cut, 'sentence')}; a larger --max-len keeps more"
    return [
        line,
        f"Vocabulary ({settings.tokenizer}): {tokenizer.vocab_size:,}; {size}",
        *([cut] if n_cut else []),
        f"Such as: {example}",
    ]


def examples(model, tokenizer, sentences, seed, n=3):
    """Return n texts with a hidden word, and the model's guesses: (ids with the hidden word, the word, guesses).

    Sentences that the model reads whole are preferred, and words of more than three letters.
    """
    filler, rng, shown = Filler(model, tokenizer), np.random.default_rng([seed, n]), []
    room = filler.room
    order = [i for i in rng.permutation(len(sentences)) if 6 <= len(sentences[i]) <= room] or range(len(sentences))
    for i in sorted(order, key=lambda i: tokenizer.unk_id in sentences[i])[:n]:
        ids = sentences[i][:room].copy()
        starts = tokenizer.word_starts(ids)
        whole = starts & np.append(starts[1:], True) & ~np.isin(ids, tokenizer.special_ids)
        names = tokenizer.tokens(ids)
        words = [t for t in np.flatnonzero(whole) if count_letters(names[t]) > 3]
        t = rng.choice(words or np.arange(len(ids)))
        word, ids[t] = int(ids[t]), tokenizer.mask_id
        shown.append((ids, word, filler.likely(ids, 3)[0]))
    return shown


def report(run, prepared, measured, shown):
    """Print the losses and filled sentences of a finished run; return commands to try next."""
    tokenizer, sentences = prepared.kept
    print(f"Perplexity {measured['perplexity']:.2f} per hidden {tokenizer.unit}; guessed right: {measured['accuracy']:.1%}")
    if "pair_accuracy" in measured:
        print(f"Pairs told right: {measured['pair_accuracy']:.1%} (by chance, about half)")
    shown = examples(run.trainer.model, tokenizer, sentences, run.settings.seed)
    print("\n--- hidden words, and what the model says ---")
    for ids, word, guesses in shown:
        print(tokenizer.decode(ids).strip())
        said = ", ".join(f"{visible(tokenizer.names[i])} {p:.0%}" for i, p in guesses)
        print(f"  -> {said}    (it was: {visible(tokenizer.names[word])})")
    print("----------------------------------------------\n")
    texts = [tokenizer.decode(ids).strip() for ids, _, _ in shown]
    example = min(texts, key=lambda text: (text[:1] == "-", "'" in text, len(text)))
    return [
        command("fill", run.folder, example),
        command("embeddings", run.folder, "--tsne", "map.html"),
        command(*"train tutorial --data FILE".split()),
    ]


RECIPE = Recipe(
    system="BERT",
    paper="arXiv:1810.04805",
    learns="built-in text, or --data FILE",
    model=Bert,
    config=BertConfig,
    task=HiddenWords,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    expect=Expect(accuracy=(0.26, 0.03), step=2000, minutes=2),
    about="Train BERT. Without flags: whole words, rows of 20, a small model, on built-in text, in a few minutes.",
    usage="[--data FILE] [--valid FILE]",
    example="--data europarl.fr --lines 2999 --steps 2000 --out runs/french",
)
