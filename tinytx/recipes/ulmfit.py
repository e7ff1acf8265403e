"""ulmfit: a language model of general text, then of the task's texts, becomes a classifier that learns from few labels.

Howard and Ruder 2018 (arXiv:1801.06146). One run goes through the three stages, and its batches say which it is in:
texts without labels are asked for their next words, and texts with labels for their class alone. In the last stage
rates fall with depth, and layers are thawed one after the other, the head first.

What differs from the paper: Adam takes the steps of all stages, with one rate for all layers in the first two; a row
is read from a state of zeros; the classifier has no hidden layer and no batch norm; the net and the texts are small.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data import BERT_SPECIAL, LabelledBatches, Tokenizer, WordTokenizer, framed, read_text, windows
from tinytx.models import AwdLSTM, AwdLSTMConfig
from tinytx.pipelines.classify import Classifier
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.rates import schedule_of
from tinytx.recipes.reviews import NEGATIVE, POSITIVE, divided
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.recipes.wordpieces import WIKITEXT
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import TextClassesNextToken
from tinytx.tasks.text_classes_next_token import AuxiliarySettings
from tinytx.training.optimizers.groups import by_depth
from tinytx.wording import command, counted

CLASSES = {"order": ("shuffled", "written"), "file": ("negative", "positive")}
UNKNOWN = "\ue000"  # a character that no text has: what it stands for is not in the vocabulary
FROM_DATA = ("n_classes", "pad_id", "vocab_size", "unlabelled", "weight")  # settings that the recipe decides


class StageSettings(Settings):
    """Which texts are read in which stage, what is asked of them, and how long each stage is."""

    general: str | None = setting(None, "UTF-8 text file of general text, which is read first", file=True)
    positive: str | None = setting(None, "UTF-8 text file, a text of the task on each line", file=True)
    negative: str | None = setting(None, "another such file", file=True)
    asks: str = setting(
        "order", "the class of a text: whether its words stand in their order or are shuffled; or which file it is of",
        choices=tuple(CLASSES), fixed=True,
    )  # fmt: skip
    labelled: int = setting(500, "texts whose class is learned", minimum=2, fixed=True)
    held_out: int = setting(10, "one text in so many validates, and is read in no stage", minimum=2, fixed=True)
    max_words: int = setting(3000, "words of the vocabulary, at most", minimum=1, fixed=True)
    max_len: int = setting(40, "words of a row, at most", minimum=4, fixed=True)
    batch_size: int = setting(32, "rows in a step", minimum=1, maximum=MOST_ROWS)
    general_steps: int = setting(400, "steps of the first stage, on general text; 0: none", minimum=0, fixed=True)
    text_steps: int = setting(400, "steps of the second, on the task's texts; 0: none", minimum=0, fixed=True)
    class_lr: float = setting(2e-2, "largest learning rate of the last stage, all other steps", minimum=0)
    depth_factor: float = setting(2.6, "by how much the last stage's rate falls from layer to layer", minimum=1)
    thaw_every: int = setting(
        16, "steps of the last stage after which one layer more learns; 0: all learn from its beginning", minimum=0
    )


SETTINGS = extended(
    RunSettings, StageSettings, AwdLSTMConfig, AuxiliarySettings, without=FROM_DATA,
    d_model=64, d_hidden=96, n_layers=2, word_dropout=0.05, input_dropout=0.2, hidden_dropout=0.1, dropout=0.2,
    weight_drop=0.2, alpha=1.0, beta=0.5, pooling="concat", steps=1056, lr=8e-3, optimizer="adam", weight_decay=0.0,
    schedule="slanted-triangular",
)  # fmt: skip


class Kept(NamedTuple):
    """What the report needs: the tokenizer, and the rows that are held out with their classes."""

    tokenizer: Tokenizer
    rows: list
    labels: np.ndarray


def shuffled(row, rng):
    """Return a text's row with its words in random order, but for the first and the last, and [CLS] and [SEP]."""
    return np.concatenate([row[:2], rng.permutation(row[2:-2]), row[-2:]])


def asked(texts, settings, tokenizer, rng):
    """Return the rows of some texts, as they are asked for their class, and the classes.

    Parameters
    ----------
    texts : list of (text, the file it is of: 0 or 1)
    settings : StageSettings
    tokenizer : Tokenizer
    rng : numpy.random.Generator
        Draws the orders of words, in every second text.
    """
    rows, labels = [], []
    for n, (text, label) in enumerate(texts):
        row = row_of(tokenizer, text, settings)
        if settings.asks == "order":
            label = n % 2
            row = row if label else shuffled(row, rng)
        rows.append(row)
        labels.append(label)
    return rows, np.array(labels)


def row_of(tokenizer, text, settings):
    """Return the ids of a text between [CLS] and [SEP], cut to ``max_len``."""
    frame = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id, "max_len": settings.max_len}
    return framed(tokenizer.encode(text), **frame)[0]


def stages_of(settings, general, texts, tokenizer):
    """Return the three stages, a list of (steps, the largest learning rate, batches)."""
    options = {"pad_id": tokenizer.pad_id, "seed": settings.seed, "batch_size": settings.batch_size}

    def unlabelled(rows):
        return LabelledBatches(rows, np.full(len(rows), TextClassesNextToken.ignored), **options)

    stream = np.concatenate([tokenizer.encode(line) for line in general.replace("<unk>", UNKNOWN).split("\n")])
    rng = np.random.default_rng([settings.seed, 0])
    classes = LabelledBatches(*asked(texts[: settings.labelled], settings, tokenizer, rng), **options)
    read = settings.general_steps, settings.text_steps
    return [
        (read[0], settings.lr, unlabelled([*windows(stream, settings.max_len)[0]])),
        (read[1], settings.lr, unlabelled([row_of(tokenizer, text, settings) for text, _ in texts])),
        (max(1, (settings.decay_steps or settings.steps) - sum(read)), settings.class_lr, classes),
    ]


def in_stage(stages, step):
    """Return (the number of the stage that a step belongs to: 0, 1, 2; the step's number in its stage)."""
    first = np.cumsum([0, *(steps for steps, _, _ in stages[:-1])])
    stage = int(np.searchsorted(first, step, side="right")) - 1
    return stage, step - int(first[stage])


def groups_of(model, settings):
    """Return the optimiser's groups: in the last stage, deeper layers learn slower and begin later."""
    first = settings.general_steps + settings.text_steps

    def factor(depth):
        begins, slower = first + depth * settings.thaw_every, settings.depth_factor**-depth
        return lambda step: 1.0 if step < first else slower if step >= begins else 0.0

    return [(path, {"lr_factor": factor(depth)}) for depth, paths in enumerate(by_depth(model)) for path in paths]


def prepare(settings, before):
    """Return what is `Prepared`: rows of general text, then of the task's texts, then some texts with their classes."""
    paths = settings.general, settings.negative, settings.positive
    if None in paths:
        raise ValueError(
            "texts are missing: give --general FILE, --negative FILE and --positive FILE, such as those of data ulmfit"
        )
    general, *files = (read_text(path) for path in paths)
    lines = [(line, label) for label, text in enumerate(files) for line in text.split("\n")]
    texts, held_out = divided(lines, settings.held_out)
    texts = [texts[i] for i in np.random.default_rng(settings.seed).permutation(len(texts))]
    if before:
        tokenizer = Classifier.of(before.model, before.meta, before.folder).tokenizer
    else:
        words = [general.replace("<unk>", " "), *(text for text, _ in texts)]
        tokenizer = WordTokenizer.from_texts(words, settings.max_words, special=BERT_SPECIAL, lower=True)
    stages = stages_of(settings, general, texts, tokenizer)

    def batch(step):
        stage, step = in_stage(stages, step)
        return stages[stage][-1](step)

    def schedule(step):
        stage, step = in_stage(stages, step)
        steps, peak, _ = stages[stage]
        return schedule_of(settings, peak, steps)(step)

    rows, labels = asked(held_out, settings, tokenizer, np.random.default_rng([settings.seed, 1]))
    validation = LabelledBatches(rows, labels, pad_id=tokenizer.pad_id, seed=settings.seed, batch_size=64)
    return Prepared(
        config=AwdLSTMConfig(vocab_size=tokenizer.vocab_size, **settings.fields_of(AwdLSTMConfig)),
        task_settings=settings.fields_of(AuxiliarySettings)
        | {"n_classes": 2, "pad_id": tokenizer.pad_id, "unlabelled": True, "weight": 1.0},
        batch=batch,
        validation=[*validation.epoch()],
        digests={"texts": digest(general, *files)},
        tokenizers={"tokenizer": tokenizer.to_dict(), "labels": list(CLASSES[settings.asks])},
        lines=[
            f"General text: {settings.general}, {len(stages[0][-1].rows):,} rows of {settings.max_len} words. "
            f"Texts: {settings.negative} and {settings.positive}, {counted(len(texts), 'text')} to read, "
            f"{len(stages[2][-1].rows):,} of them with their class; {len(rows):,} to validate; "
            f"{tokenizer.vocab_size:,} words",
            f"Steps: {stages[0][0]:,} on general text, {stages[1][0]:,} on the texts, {stages[2][0]:,} on classes",
        ],
        kept=Kept(tokenizer, rows, labels),
        schedule=schedule,
        groups=lambda model: groups_of(model, settings),
    )


def measure(model, prepared):
    """Return ({"accuracy": the share of held-out texts whose class is told}, None)."""
    return {"accuracy": model.measure(prepared.validation)["accuracy"]}, None


def report(run, prepared, measured, examples, n=4):
    """Print the accuracy, and what the model says of some texts; return commands to try next."""
    tokenizer, rows, labels = prepared.kept
    classes = CLASSES[run.settings.asks]
    print(f"Told right: {measured['accuracy']:.1%} of {counted(len(rows), 'text')} (by chance: about half)\n")
    for i in np.random.default_rng([run.settings.seed, n]).permutation(len(rows))[:n]:
        said = classes[run.trainer.model(rows[i][None])[0].argmax()]
        print(f"{said:8} (it is {classes[labels[i]]}): {tokenizer.decode(rows[i][1:-1])}")
    steps = run.settings.steps - run.settings.general_steps - run.settings.text_steps
    scratch = f"--steps {max(1, steps)} --general-steps 0 --text-steps 0 --thaw-every 0 --depth-factor 1 --class-lr 6e-3"
    files = "--general FILE --positive FILE --negative FILE"
    return [
        command("classify", run.folder, "the story is told with wit ."),
        command(*f"train {run.name} {files} {scratch}".split()),
        command(*f"train {run.name} {files} --asks file".split()),
    ]


DATA = {"general": WIKITEXT, "positive": POSITIVE, "negative": NEGATIVE}
RECIPE = Recipe(
    system="ULMFiT",
    paper="arXiv:1801.06146",
    learns="word order of film reviews, or your two files",
    model=AwdLSTM,
    config=AwdLSTMConfig,
    task=TextClassesNextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data=DATA,
    expect=Expect(accuracy=(0.92, 0.03), step=1056, minutes=0.5, settings=DATA),
    about="Train a language model on general text, then on the texts of a task, then a classifier of these texts from a "
    "few that have a label: whether a text's words stand as written or are shuffled, or which of two files it is of.",
    usage="--general FILE --positive FILE --negative FILE",
    example="--general wikitext2.valid.txt --positive rt-polarity.pos --negative rt-polarity.neg --out runs/ulmfit",
)
