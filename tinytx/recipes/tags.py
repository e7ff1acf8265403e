"""tags: a small encoder learns which part of speech each word of a sentence is, or the tags of your sentences."""

from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.data import BERT_SPECIAL, IGNORE_INDEX, LabelledBatches, Tokenizer, WordTokenizer, framed
from tinytx.data.texts.tagged import read_tagged, tagged_sentences
from tinytx.models import Bert, BertConfig
from tinytx.pipelines.tag import Tagger
from tinytx.progress import tracked
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import Tags
from tinytx.tasks.heads import TagSettings
from tinytx.wording import command, counted

FROM_DATA = ("vocab_size", "n_segments", "pad_id", "n_classes")  # settings of model and task that the data decides


class TaggedSettings(Settings):
    """Which sentences are learned from, and which of their words."""

    tagged: str | None = setting(
        None, "UTF-8 text file: a word, a tab and its tag on each line, an empty line after each sentence (if not given, "
        "sentences are generated)", file=True,
    )  # fmt: skip
    valid: str | None = setting(None, "another such file, to validate on", file=True)
    sentences: int = setting(2000, "sentences to generate", minimum=10, maximum=1_000_000, fixed=True, only={"tagged": (None,)})
    held_out: int = setting(
        10, "one sentence in so many validates, and is not trained on", minimum=2, fixed=True, only={"valid": (None,)}
    )
    max_words: int = setting(40_000, "words of the vocabulary, at most", minimum=1, fixed=True)
    min_count: int = setting(1, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    batch_size: int = setting(32, "sentences in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, TaggedSettings, BertConfig, TagSettings, without=FROM_DATA,
    max_len=64, d_model=64, n_heads=4, n_layers=2, dropout=0.1, lr=2e-3, steps=1000,
)  # fmt: skip


class Kept(NamedTuple):
    """What measures and report need: the tokenizer, the tags, how often each word has each (V, n_tags), and the sentences."""

    tokenizer: Tokenizer
    tags: list
    counts: np.ndarray
    held_out: list


def tagged_parts(settings):
    """Return the sentences to train on, and those that are held out, as `TaggedSettings` say."""
    sentences = read_tagged(settings.tagged) if settings.tagged else tagged_sentences(settings.sentences, settings.seed)
    if settings.valid:
        train, held_out = sentences, read_tagged(settings.valid)
    else:
        every = settings.held_out
        train, held_out = ([s for i, s in enumerate(sentences) if (i % every == every - 1) == part] for part in (False, True))
    if not held_out:
        raise ValueError(f"--held-out is {settings.held_out}, of {counted(len(sentences), 'sentence')} none is held out: give a smaller one")
    return train, held_out


def vocabulary(train, settings):
    """Return the tokenizer of the words of sentences."""
    options = {"special": BERT_SPECIAL, "min_count": settings.min_count}
    return WordTokenizer.from_texts([" ".join(word for word, _ in s) for s in train], settings.max_words, **options)


def prepare(settings, before):
    """Return what is `Prepared`: sentences with a tag for each word, of which a part is held out."""
    train, held_out = tagged_parts(settings)
    if before:
        tokenizer, tags = Tagger.of(before.model, before.meta, before.folder)[1:]
    else:
        tokenizer, tags = vocabulary(train, settings), sorted({tag for sentence in train for _, tag in sentence})
    new = sorted({tag for s in (*train, *held_out) for _, tag in s} - set(tags))
    if new:
        raise ValueError(f"the tags {', '.join(new):.80} occur where the model is judged, and it has not learned them: it has {tags}")

    rows = [[tagged_row(sentence, tokenizer, tags, settings.max_len) for sentence in part] for part in (train, held_out)]
    batches = [
        LabelledBatches(*zip(*part), batch_size=size, pad_id=tokenizer.pad_id, seed=settings.seed)
        for part, size in zip(rows, (settings.batch_size, 64))
    ]
    counts = counts_of(rows[0], tokenizer.vocab_size, len(tags))
    words = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "n_segments": 0}
    source = settings.tagged or "generated"
    return Prepared(
        config=BertConfig(**settings.fields_of(BertConfig) | words),
        task_settings=settings.fields_of(TagSettings) | {"n_classes": len(tags)},
        batch=batches[0],
        validation=list(batches[1].epoch()),
        digests={"sentences": sentences_digest(train, held_out)},
        tokenizers={"tokenizer": tokenizer.to_dict(), "labels": tags},
        lines=[
            f"Sentences: {source}, {len(train):,} to train on, {len(held_out):,} to validate; "
            f"{tokenizer.vocab_size:,} words, {counted(len(tags), 'tag')}"
        ],
        kept=Kept(tokenizer, tags, counts, held_out),
    )


def sentences_digest(train, held_out):
    """Return the digest of sentences and their tags."""
    return digest(*(f"{word}\t{tag}\n" for s in (*train, [], *held_out) for word, tag in [*s, ("", "")]))


def counts_of(rows, vocab_size, n_tags):
    """Return how often each word has each tag (V, n_tags), in rows of ids and labels."""
    counts = np.zeros((vocab_size, n_tags), np.int64)
    for ids, labels in rows:
        np.add.at(counts, (ids[labels >= 0], labels[labels >= 0]), 1)
    return counts


def tagged_row(sentence, tokenizer, tags, max_len=None):
    """Return ids and labels (n,) of a sentence in its frame: each word's first piece has its tag, all else -100."""
    ids, labels = [], []
    for word, tag in sentence:
        pieces = tokenizer.encode(word).tolist()
        ids += pieces
        labels += [tags.index(tag), *[IGNORE_INDEX] * len(pieces)][: len(pieces)]
    frame = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id, "max_len": max_len}
    row, _ = framed(ids, **frame)
    return row, np.array([IGNORE_INDEX, *labels[: len(row) - 2], IGNORE_INDEX])


def measure(model, prepared):
    """Return the accuracy, that of each word's most frequent tag, and both for words that had several tags in training."""
    counts = prepared.kept.counts
    usual = (counts + counts.sum(axis=0) / (counts.sum() + 1)).argmax(axis=1)  # (V,); of an unknown word the most frequent of all

    def told(batch):
        ids, labels = batch
        several = (counts[ids] > 0).sum(axis=-1) > 1  # (B, T)
        found = np.stack([model(ids).argmax(axis=-1) == labels, usual[ids] == labels, several], axis=-1)
        return found[labels != IGNORE_INDEX]

    right = workers.each(told, tracked(prepared.validation, "batch of the measures"))
    model_right, usual_right, several = np.concatenate(right).T
    share = {"accuracy": model_right.mean(), "most_frequent": usual_right.mean()}
    if several.any():
        share |= {"accuracy_several": model_right[several].mean(), "most_frequent_several": usual_right[several].mean()}
    return {name: float(value) for name, value in share.items()}, None


def report(run, prepared, measured, examples, n=3):
    """Print the accuracies beside those of the most frequent tag, and some tagged sentences; return commands to try next."""
    kept, said = prepared.kept, measured
    print(f"Tagged right: {said['accuracy']:.1%} of words (each word's most frequent tag: {said['most_frequent']:.1%})")
    if "accuracy_several" in said:
        print(f"Words with several tags: {said['accuracy_several']:.1%} (most frequent tag: {said['most_frequent_several']:.1%})")
    tagger, text = Tagger(run.trainer.model, kept.tokenizer, kept.tags), None
    fitting = [" ".join(w for w, _ in s) for s in kept.held_out if len(s) <= run.settings.max_len // 2]
    for text in fitting[:n]:
        print(f"\n{' '.join(f'{tag.word}/{tag.entity}' for tag in tagger.tags(text))}")
    if text is not None:
        print(f'\nIn Python: tinytx.pipeline("token-classification", model={str(run.folder)!r})({text!r})\n')
    return [command("profile", run.folder), command(*"train tags --tagged FILE --valid FILE".split())]


RECIPE = Recipe(
    system="tagger",
    paper="arXiv:1810.04805, section 5.3",
    learns="generated sentences, or --tagged FILE",
    model=Bert,
    config=BertConfig,
    task=Tags,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(accuracy=(0.999, 0.004), step=1000, minutes=0.5),
    about="Train an encoder to tag words: parts of speech, names, or what your file has. Without flags it learns generated "
    "sentences in which forty words are nouns or verbs, by what stands around them.",
    usage="[--tagged FILE] [--valid FILE]",
    example="--tagged train.tsv --valid dev.tsv --out runs/names",
)
