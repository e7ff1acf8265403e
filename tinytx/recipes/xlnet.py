"""xlnet: characters of a text are predicted in random orders, from what stands on both sides of them.

Of each row of 48 characters the last sixth of a random order is predicted, each from all before it in the order. Such a
character costs 1.58 nats after 1,000 steps, the mean of three seeds from 1.55 to 1.61. The same model costs 1.90 if it
learns and predicts from left to right (``--order left --one-in 1``, one seed): the right side is worth 0.3 nats. With
``--steps 4000`` a character costs 1.25 (one seed).

A gap of 8 characters in a row is harder than 8 that are scattered: 2.28 nats with what is on both sides known, 2.46 and
2.44 with what is before or after it (means of the three seeds). Nothing is trained for gaps: any order will do.
"""

import numpy as np

from tinytx.data import CharTokenizer, random_batch
from tinytx.metrics import ngram_loss
from tinytx.models import XLNet, XLNetConfig
from tinytx.pipelines import Filler
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.texts import ROWS, SHAKESPEARE, TextSettings, prepare_text
from tinytx.settings import extended, setting
from tinytx.tasks import PermutedWords
from tinytx.tasks.permuted_words import PermutedWordsSettings
from tinytx.terminal import visible
from tinytx.wording import command, counted

MASK = "<mask>"
LEARNED, HELD_OUT = 1, 2  # streams of random orders
SIDES = {"both": "what is on both sides known", "left": "what is before it known", "right": "what is after it known"}
CANDIDATES, GAP = 1000, 4  # rows among which examples are, characters that they hide


class OrderSettings(TextSettings):
    """Which text is learned, and in which orders its characters are predicted."""

    order: str = setting(
        "random", "in which order a row is predicted; left is from left to right", choices=("random", "left")
    )


SETTINGS = extended(
    RunSettings, OrderSettings, PermutedWordsSettings, XLNetConfig, without=("vocab_size", "memory"),
    segment=48, d_model=64, n_layers=2, batch_size=32, steps=1000, lr=4e-3, optimizer="adam", weight_decay=0.0,
)  # fmt: skip


def with_mask(train, validation):
    """Return the tokenizer of the characters of two texts, and of a mark that stands for a hidden one."""
    return CharTokenizer.from_text(train + validation, special=(MASK,))


def orders(kind, shape, *stream):
    """Return an order for each row, (B, T): random ones, of a stream of random numbers, or from left to right."""
    left = np.tile(np.arange(shape[1]), (shape[0], 1))
    return left if kind == "left" else np.random.default_rng(stream).permuted(left, axis=1)


def prepare(settings, before):
    """Return what is `Prepared`: rows of a text, and the orders in which they are predicted."""
    size = settings.segment

    def batch(ids, step):
        rows, _ = random_batch(ids, max_len=size, batch_size=settings.batch_size, seed=settings.seed, step=step)
        return rows, orders(settings.order, rows.shape, LEARNED, settings.seed, step)

    prepared = prepare_text(settings, before, XLNetConfig, batch, size=size, vocabulary=with_mask)
    ids = prepared.kept.validation
    rows = ids[: len(ids) // size * size].reshape(-1, size)
    if not len(rows):
        facts = f"the text to validate has {len(ids)} characters, a row {size}"
        raise ValueError(f"{facts}: take a longer text, or a smaller --segment")
    order, n = orders(settings.order, rows.shape, HELD_OUT), -(-len(rows) // ROWS)
    validation = [(rows[i::n], order[i::n]) for i in range(n)]
    return prepared._replace(validation=validation, task_settings={"one_in": settings.one_in})


def gap_order(side, size, n):
    """Return an order (T,) whose last n places are a gap in the row; all others are on one side of it, or on both.

    The gap is filled from the side that is known, or from the left.
    """
    first = {"both": (size - n) // 2, "left": size - n, "right": 0}[side]
    places, gap = np.arange(size), np.arange(first, first + n)
    return np.concatenate([np.delete(places, gap), gap[::-1] if side == "right" else gap])


def gaps(model, side, shape):
    """Return the `gap_order` for each row, (B, T), of a gap as large as what the model predicts."""
    return np.tile(gap_order(side, shape[1], model.count(np.zeros((1, shape[1])), None)), (shape[0], 1))


def measure(model, prepared):
    """Return (losses of a gap in each row, by what is known, and what counting triples of characters reaches; None)."""
    text, losses = prepared.kept, {}
    for side in SIDES:
        batches = [(ids, gaps(model, side, ids.shape)) for ids, _ in prepared.validation]
        losses[f"{side}_loss"] = model.mean_loss(batches)
    return losses | {"trigram_loss": ngram_loss(text.train, text.validation, text.tokenizer.vocab_size)}, None


def examples(model, tokenizer, rows, seed, n=3):
    """Return n rows with a gap: (ids with the gap, the filled text, the row's ids, where the gap begins).

    Rows without the end of a line come first.
    """
    filler, shown = Filler(model, tokenizer), []
    drawn = np.random.default_rng([seed, n]).permutation(len(rows))[:CANDIDATES]
    for i in sorted(drawn, key=lambda i: "\n" in tokenizer.decode(rows[i]))[:n]:
        ids, first = rows[i].copy(), max(0, (rows.shape[1] - GAP) // 2)
        ids[first : first + GAP] = tokenizer.mask_id
        shown.append((ids, filler.filled(ids, 1).text, rows[i], first))
    return shown


def report(run, prepared, measured, _):
    """Print the losses of gaps, and filled rows; return commands to try next."""
    model, tokenizer, settings = run.trainer.model, prepared.kept.tokenizer, run.settings
    rows = np.concatenate([ids for ids, _ in prepared.validation])
    print(f"Interpolated trigrams: {measured['trigram_loss']:.4f} nats")
    n = model.count(rows[:1], None)
    if n < rows.shape[1]:
        print(f"Nats per character of a gap of {counted(n, 'character')}:")
        for side in SIDES:
            print(f"  {SIDES[side]:<27} {measured[side + '_loss']:6.3f}")
    print("\n--- gaps, and what the model says ---")
    shown = examples(model, tokenizer, rows, settings.seed)
    for _, said, ids, first in shown:
        parts = (said[:first], said[first : first + GAP], said[first + GAP :])
        print("{}[{}]{}".format(*(visible(part) if part else "" for part in parts)), end="")
        print(f"   (it was: {visible(tokenizer.decode(ids[first : first + GAP]))})")
    print("-------------------------------------\n")
    data = [] if settings.data is None else ["--data", settings.data]
    other = ["--order", "left", "--one-in", 1] if settings.order == "random" else []
    return [command("fill", run.folder, tokenizer.decode(shown[0][0])), command("train", "xlnet", *data, *other)]


RECIPE = Recipe(
    system="XLNet",
    paper="Yang et al. 2019",
    learns="built-in text, or --data FILE",
    model=XLNet,
    config=XLNetConfig,
    task=PermutedWords,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    data={"data": SHAKESPEARE},
    expect=Expect(val_loss=(1.58, 0.06), step=1000, minutes=0.5, settings={"data": SHAKESPEARE}),
    about="Train an XLNet, which predicts characters in any order, from both sides. Without flags: built-in text.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --segment 64 --one-in 4 --out runs/book",
)
