"""reviews: a small encoder learns from scratch whether a sentence of a film review praises its film."""

from typing import NamedTuple

import numpy as np

from tinytx.data import LabelledBatches, Tokenizer, TutorialTokenizer, framed, read_text
from tinytx.data.tokenizers.tutorial import TUTORIAL_SPECIAL
from tinytx.models import Bert, BertConfig
from tinytx.pipelines.classify import Classifier
from tinytx.recipes import DataFile, Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import TextClasses
from tinytx.tasks.heads import ClassSettings
from tinytx.wording import command, counted

CLASSES = ("negative", "positive")
FROM_DATA = ("n_segments", "pad_id", "n_classes")  # settings of model and task that the data decides


class ReviewSettings(Settings):
    """Which texts are learned from, and which of their words."""

    positive: str | None = setting(None, "UTF-8 text file, a text of this class on each line", file=True)
    negative: str | None = setting(None, "the same for the other class", file=True)
    held_out: int = setting(10, "one text in so many validates, and is not trained on", minimum=2, fixed=True)
    vocab_size: int = setting(40_000, "words, at most", minimum=1, fixed=True)
    min_count: int = setting(2, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    batch_size: int = setting(32, "texts in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, ReviewSettings, BertConfig, ClassSettings, without=FROM_DATA,
    max_len=64, d_model=128, n_heads=4, n_layers=2, dropout=0.3, embedding_dropout=0.5, pooling="mean", steps=600,
)  # fmt: skip


class Kept(NamedTuple):
    """What the report needs: the tokenizer, and the texts that are held out with their classes."""

    tokenizer: Tokenizer
    held_out: list


def divided(texts, held_out):
    """Return [texts to train on, texts held out]: of each class's texts that are not empty, one in ``held_out`` is held out.

    Parameters
    ----------
    texts : list of (text, label)
    held_out : int
    """
    parts, seen = [[], []], [0] * len(CLASSES)
    for text, label in texts:
        if text.strip():
            seen[label] += 1
            parts[seen[label] % held_out == 0].append((text, label))
    if not parts[1]:
        raise ValueError(f"--held-out is {held_out}, and no class has so many texts: give a smaller one")
    return parts


def prepare(settings, before):
    """Return what is `Prepared`: texts of two classes, of which one in so many is held out."""
    paths = settings.negative, settings.positive
    if None in paths:
        raise ValueError("there are no texts: give --positive FILE and --negative FILE, such as the two of data reviews")
    texts = [read_text(path) for path in paths]
    parts = divided([(line, label) for label, text in enumerate(texts) for line in text.split("\n")], settings.held_out)
    if before:
        tokenizer = Classifier.of(before.model, before.meta, before.folder).tokenizer
    else:
        options = {"min_count": settings.min_count, "special": (*TUTORIAL_SPECIAL, "[CLS]", "[SEP]")}
        tokenizer = TutorialTokenizer.from_texts([text for text, _ in parts[0]], settings.vocab_size, **options)

    def batches(part, size):
        frame = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id, "max_len": settings.max_len}
        rows = [framed(tokenizer.encode(text), **frame)[0] for text, _ in part]
        labels = np.array([label for _, label in part])
        return LabelledBatches(rows, labels, batch_size=size, pad_id=tokenizer.pad_id, seed=settings.seed)

    train, held_out = parts
    words = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "n_segments": 0}
    return Prepared(
        config=BertConfig(**settings.fields_of(BertConfig) | words),
        task_settings=settings.fields_of(ClassSettings) | {"n_classes": len(CLASSES)},
        batch=batches(train, settings.batch_size),
        validation=list(batches(held_out, 64).epoch()),
        digests={"texts": digest(*texts)},
        tokenizers={"tokenizer": tokenizer.to_dict(), "labels": list(CLASSES)},
        lines=[
            f"Texts: {settings.positive} and {settings.negative}, {counted(len(train), 'text')} to train on, "
            f"{len(held_out):,} to validate; {tokenizer.vocab_size:,} words"
        ],
        kept=Kept(tokenizer, held_out),
    )


def report(run, prepared, measured, examples, n=4):
    """Print the accuracy, and what the model says of some texts; return commands to try next."""
    print(f"Told right: {measured['accuracy']:.1%} of {counted(len(prepared.kept.held_out), 'text')} (by chance: about half)\n")
    classifier = Classifier(run.trainer.model, prepared.kept.tokenizer, CLASSES)
    rng = np.random.default_rng([run.settings.seed, n])
    room = run.settings.max_len - 2  # beside [CLS] and [SEP]
    whole = [pair for pair in prepared.kept.held_out if len(classifier.tokenizer.encode(pair[0])) <= room]
    for i in rng.permutation(len(whole))[:n]:
        text, label = whole[i]
        logits = classifier.logits(text)
        print(f"{CLASSES[logits.argmax()]:8} (it is {CLASSES[label]}): {text.strip()}")
    print(f'\nIn Python: tinytx.pipeline("text-classification", model={str(run.folder)!r})("a fine film")\n')
    return [
        command("classify", run.folder, "a fine film"),
        command("profile", run.folder),
        command(*"train reviews --positive FILE --negative FILE --pooling concat".split()),
    ]


def review_file(name, size, checksum):
    """Return the `DataFile` of one class."""
    return DataFile(
        name=name,
        address="https://www.cs.cornell.edu/people/pabo/movie-review-data, sentence polarity dataset v1.0, as UTF-8",
        by_hand=True,
        licence="CC BY 4.0",
        size=size,
        checksum=checksum,
    )


POSITIVE = review_file("rt-polarity.pos", 626_395, "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58")
NEGATIVE = review_file("rt-polarity.neg", 612_506, "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd")
RECIPE = Recipe(
    system="text classifier",
    paper="Bloem 2019, Transformers from scratch",
    learns="film reviews, or your two classes",
    model=Bert,
    config=BertConfig,
    task=TextClasses,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    data={"positive": POSITIVE, "negative": NEGATIVE},
    expect=Expect(accuracy=(0.76, 0.03), step=600, minutes=0.5, settings={"positive": POSITIVE, "negative": NEGATIVE}),
    about="Train an encoder to tell two classes of texts apart, from scratch: positive and negative film reviews.",
    usage="--positive FILE --negative FILE",
    example="--positive rt-polarity.pos --negative rt-polarity.neg --out runs/reviews",
)
