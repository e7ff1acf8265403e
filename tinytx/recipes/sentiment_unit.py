"""sentiment_unit: a recurrent net that only learns to continue reviews, and a unit of its state that says if they praise.

Radford, Jozefowicz and Sutskever 2017 (1704.01444) had a net of 4,096 units say the next byte of 82 million reviews. The
reviews here are generated (`tinytx.data.polar_texts`), or a few thousand of your own, and the net says the next word. On few
real reviews nothing of the kind appears: after 800 steps on 9,596 sentences about films the best of 256 units tells 53 % of
others apart, and all units with the L1 penalty 51 %, which is chance. Nor does it where ten sentences of one polarity follow
each other, so that it pays to remember it, and units begin with long memories: after 2,000 steps the best of 64 units
tells 50 % of single sentences apart, and 55 % of 106 documents of ten. There is little to gain: frequencies of words that
are counted for each polarity say a held-out word by 0.015 nats better than those counted in all; the net's loss is 4.8.

Nor does it help to look at a unit all along a sentence. Units of nets of words (64 units, 1,500 and 2,000 steps), and of a net
of bytes with weight normalisation as in the paper (256 units, 1,000 steps), were chosen on the sentences of training, by the
mean, the largest and the smallest value, the mean of the last half, the last value, and that before the full stop, of c, tanh c and
h. The best tell 55 to 57 % of these sentences apart and 51 to 55 % of others; together, by the means of h, with the L1 penalty,
the units of words tell 57 to 61 % of others apart, the 256 of bytes 62 %. Before the first step of training, the same nets have
units of 54 and 56 %, with 55 % of others, and 59 % for all together: what their states tell is which words occur, such as "and", and
not what was learned. A unit with 60 % would hold what all hold. A counter of words says what that takes
(``examples/sentiment_unit.py``): "and" alone reaches 55 %, the right signs of 30 words 59 %, and of 100 words 62 %.
"""

from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.data import Tokenizer, WordTokenizer, polar_texts, read_text, stream_batch, tokenizer_from_dict, windows
from tinytx.metrics import Unit, best_unit, logistic_regression
from tinytx.models import CharRNN, CharRNNConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.reviews import NEGATIVE, POSITIVE, divided
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.recipes.texts import print_sample
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import NextToken
from tinytx.viz.attention import watched
from tinytx.wording import command, counted

MOST = 5000  # reviews that units are judged on
AT_ONCE = 64  # reviews that are read side by side
VALIDATION = 256  # words of a row that validates
PENALTIES = (0.03, 0.01, 0.003, 0.001)  # of the regression on all units; a fifth of the reviews chooses


class PolarSettings(Settings):
    """Which reviews are learned from, and which of their words."""

    positive: str | None = setting(None, "UTF-8 text file, a review of this class on each line; without, reviews are generated", file=True)
    negative: str | None = setting(None, "the same for the other class", file=True)
    n_reviews: int = setting(6000, "generated reviews", minimum=2, only={"positive": (None,)}, fixed=True)
    held_out: int = setting(10, "one review in so many validates, and is not trained on", minimum=2, fixed=True)
    min_count: int = setting(5, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    batch_size: int = setting(32, "streams that read the reviews side by side", minimum=1, maximum=MOST_ROWS, fixed=True)
    length: int = setting(64, "words of a stream in a step: how far back a gradient reaches", minimum=1, fixed=True)


SETTINGS = extended(
    RunSettings, PolarSettings, CharRNNConfig, without=("vocab_size",),
    steps=1200, lr=2e-2, min_lr=0.0, optimizer="adam", weight_decay=0.0, beta2=0.999, cell="mlstm", d_model=32, d_embedding=16,
)  # fmt: skip


class Kept(NamedTuple):
    """What is measured: the tokenizer, and the reviews as (text, label), those to train on and those held out."""

    tokenizer: Tokenizer
    train: list
    held_out: list


class Reading(NamedTuple):
    """What the report shows: the unit, and its values after each held-out review (N,)."""

    unit: Unit
    values: np.ndarray


def encoded(tokenizer, text):
    """Return a review's ids: a mark of where reviews begin and end, and then its words."""
    return np.concatenate([[tokenizer.stop_id], tokenizer.encode(text)])


def prepare(settings, before):
    """Return what is `Prepared`: words of the reviews in random order, in streams."""
    paths = settings.negative, settings.positive
    if (None in paths) != (paths == (None, None)):
        raise ValueError("one file of reviews is given: give --positive FILE and --negative FILE, or neither")
    if None in paths:
        texts = polar_texts(settings.n_reviews, settings.seed)
    else:
        texts = [(line, label) for label, path in enumerate(paths) for line in read_text(path).split("\n")]
    train, held_out = divided(texts, settings.held_out)
    train = [train[i] for i in np.random.default_rng(settings.seed).permutation(len(train))]
    if before:
        tokenizer = tokenizer_from_dict(before.meta.get("tokenizer"))
    else:
        options = {"min_count": settings.min_count, "special": ("<stop>", "<unk>"), "lower": True}
        tokenizer = WordTokenizer.from_texts([text for text, _ in train], **options)
    ids, validation = (np.concatenate([encoded(tokenizer, text) for text, _ in part]) for part in (train, held_out))
    inputs, targets = windows(validation, min(VALIDATION, len(validation) - 1))
    n = -(-len(inputs) // AT_ONCE)
    return Prepared(
        config=CharRNNConfig(vocab_size=tokenizer.vocab_size, **settings.fields_of(CharRNNConfig)),
        batch=lambda step: stream_batch(ids, length=settings.length, batch_size=settings.batch_size, step=step),
        validation=[(inputs[i::n], targets[i::n]) for i in range(n)],
        digests={"reviews": digest(*(text for text, _ in texts))},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[
            f"Reviews: {settings.positive or 'generated'}, {counted(len(train), 'review')} of {len(ids):,} words to train on, "
            f"{len(held_out):,} to validate; {tokenizer.vocab_size:,} words. Nothing says which of them praise"
        ],
        kept=Kept(tokenizer, train, held_out),
        carries=True,
    )


def cells_after(body, rows):
    """Return the last layer's cell state (N, R) after each of some rows of ids."""

    def cells(start):
        some = rows[start : start + AT_ONCE]
        mask = np.arange(max(map(len, some))) < np.array([[len(row)] for row in some])
        ids = np.array([np.pad(row, (0, mask.shape[1] - len(row))) for row in some])
        _, *states = body.recurrent(body.token(ids), mask=mask, final=True)
        return states[-1]

    return np.concatenate(workers.each(cells, range(0, len(rows), AT_ONCE)))


def cells_along(body, row):
    """Return the last layer's cell state (T, R) after each id of a row."""
    carried = [*watched(body, "carried", row[None]).values()][-1]
    return [*carried.states.values()][-1][0]


def measure(model, prepared):
    """Return (accuracies on the held-out reviews, by the best unit alone and by all units with an L1 penalty; a `Reading`)."""
    tokenizer, *parts = prepared.kept
    (learned, t), (held_out, t_held_out) = (
        (cells_after(model.body, [encoded(tokenizer, text) for text, _ in part]), np.array([label for _, label in part]))
        for part in (parts[0][:MOST], parts[1])
    )
    unit = best_unit(learned, t)
    mean, spread = learned.mean(axis=0), learned.std(axis=0) + 1e-6
    x, n_dev = (learned - mean) / spread, -(-len(t) // 5)
    fits = [logistic_regression(x[n_dev:], t[n_dev:], penalty=c, tolerance=1e-4) for c in PENALTIES]
    best = max(fits, key=lambda fit: np.mean(fit.says(x[:n_dev]) == t[:n_dev]))
    measures = {
        "unit_accuracy": float(np.mean(unit.says(held_out) == t_held_out)),
        "accuracy": float(np.mean(best.says((held_out - mean) / spread) == t_held_out)),
        "units": int(np.count_nonzero(best.weight)),
    }
    return measures, Reading(unit, held_out[:, unit.unit])


def along(model, tokenizer, unit, text):
    """Return [(word, the unit's value after it)] of a text."""
    ids = encoded(tokenizer, text)
    return [*zip(tokenizer.tokens(ids), cells_along(model.body, ids)[:, unit.unit].tolist())][1:]


def report(run, prepared, measured, reading):
    """Print what the unit knows, and what it says along one review of each class; return commands to try next."""
    tokenizer, _, held_out = prepared.kept
    n, unit = len(held_out), reading.unit
    print(f"Told apart, of {counted(n, 'review')} held out: {measured['unit_accuracy']:.1%} by unit {unit.unit} alone,")
    print(f"{measured['accuracy']:.1%} by {measured['units']} of {run.settings.d_model} units (L1 penalty); by chance about half\n")
    for name, label in (("blame", 0), ("praise", 1)):
        text = next((text for text, own in held_out if own == label), "")
        words = along(run.trainer.model, tokenizer, unit, text)
        print(f"{name}: {' '.join(f'{word}{value - unit.threshold:+.1f}' for word, value in words)}")
    bigger = f"train {run.name} --positive FILE --negative FILE --d-model 256".split()
    return [print_sample(run, prepared, 60), command(*bigger)]


RECIPE = Recipe(
    system="sentiment unit",
    paper="Radford, Jozefowicz and Sutskever 2017",
    learns="generated reviews, or --positive FILE --negative FILE",
    model=CharRNN,
    config=CharRNNConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data={"positive": POSITIVE, "negative": NEGATIVE},
    expect=Expect(unit_accuracy=(0.97, 0.05), step=1200, minutes=0.5),
    about="Train a multiplicative LSTM to say the next word of reviews, and look for a unit that says whether they praise.",
    usage="[--positive FILE --negative FILE]",
    example="--positive rt-polarity.pos --negative rt-polarity.neg --d-model 256 --out runs/unit",
)
