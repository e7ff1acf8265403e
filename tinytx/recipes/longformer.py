"""longformer: a Longformer finds a needle: a colour that it was told to remember 1,000 words before it is asked.

A text ends with "[MASK]", and what is hidden there is the colour behind the word "remember" (`tinytx.data.texts.needles`); other
colours stand in the text, too. A word sees two words on each side. In the first block, the window tells a colour, or the word
"remember", what its neighbour is; in the second the hidden word, which is global, finds it, however far away it is.

Without a global word (``--global-words none``) the model says any of the eight colours: 14 % of its answers are right, as by
chance. Its two blocks see four words on each side.

Training has texts of all lengths, as many from 10 to 100 words as from 100 to 1,000, and so costs less than a quarter of what the
longest alone would. A short text is also easier to begin with: a global word first looks at all words alike, and the needle is a
small part of what it sees in a long one.
"""

import numpy as np

from tinytx.data import WordTokenizer
from tinytx.data.texts.needles import COLOURS, CUE, WORDS, needle_rows
from tinytx.models import Longformer, LongformerConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import HiddenWords
from tinytx.tasks.hidden_words import IGNORE
from tinytx.wording import command

LEARNED, HELD_OUT, NEARER = 0, 1, 2  # streams of random numbers
ROWS, LEAD = 64, 16  # texts in a batch that validates; words before and behind the needle, beside those of the distance
ASKED = f"{CUE} {COLOURS[2]} we walk over the long road to a house by the river and sing with you so it is [MASK]"


class NeedleSettings(Settings):
    """How far away the needle is."""

    distance: int = setting(
        1000, "words from the needle to the question, at least; the most in training", minimum=1, maximum=2**20, fixed=True
    )
    nearest: int = setting(8, "the same in the shortest text of training", minimum=1, within="distance")
    batch_size: int = setting(32, "texts in a step, all of one length", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, NeedleSettings, LongformerConfig, without=("vocab_size", "max_len", "pad_id", "mark_id", "n_segments"),
    d_model=32, n_heads=2, n_layers=2, windows="4", global_words="marked", init="fan_in", dropout=0.0,
    steps=600, lr=3e-3, weight_decay=0.0, beta2=0.99,
)  # fmt: skip


def prepare(settings, before):
    """Return what is `Prepared`: each step has new texts, all of one length, which is drawn."""
    tokenizer = WordTokenizer(WORDS, special=("[PAD]", "[UNK]", "[MASK]"))
    first = tokenizer.vocab_size - len(WORDS)  # the id of the first word

    def asked(rng, n_rows, distance):
        """Return (ids, targets): texts with the question at their end."""
        words, colours = needle_rows(rng, n_rows, distance, LEAD)
        ids = np.pad(words + first, ((0, 0), (0, 1)), constant_values=tokenizer.mask_id)
        targets = np.full(ids.shape, IGNORE)
        targets[:, -1] = colours + first
        return ids, targets

    def batch(step):
        rng = np.random.default_rng((LEARNED, settings.seed, step))
        nearest = min(settings.nearest, settings.distance)
        return asked(rng, settings.batch_size, round(nearest * (settings.distance / nearest) ** rng.random()))

    config = LongformerConfig(
        tokenizer.vocab_size, max_len=LEAD + 3 + settings.distance, pad_id=tokenizer.pad_id, mark_id=tokenizer.mask_id, n_segments=1,
        **settings.fields_of(LongformerConfig),
    )  # fmt: skip
    nearer = [n for n in (1, 10, 100, 1000, 10_000) if n < settings.distance]
    return Prepared(
        config=config,
        batch=batch,
        validation=[asked(np.random.default_rng((HELD_OUT, i)), ROWS, settings.distance) for i in range(8)],
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[f"Texts of {settings.distance:,} words between what is to be remembered and the question, in training of fewer, too"],
        kept={n: [asked(np.random.default_rng((NEARER, n)), ROWS, n)] for n in nearer},
    )


def report(run, prepared, measured, examples):
    """Print how often the needle is found, near and far; return commands to try next."""
    found = {n: run.trainer.model.measure(batches)["accuracy"] for n, batches in prepared.kept.items()}
    found[run.settings.distance] = measured["accuracy"]
    print("Found over so many words: " + ", ".join(f"{n:,}: {share:.2f}" for n, share in found.items()))
    print(f"By chance: {1 / len(COLOURS):.2f}")
    return [command("fill", run.folder, ASKED), command("train", run.name, "--global-words", "none")]


RECIPE = Recipe(
    system="Longformer",
    paper="arXiv:2004.05150",
    learns="a word to be remembered over 1,000 others",
    model=Longformer,
    config=LongformerConfig,
    task=HiddenWords,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    expect=Expect(accuracy=(1, 0.03), step=600, minutes=1),
    about="Train a Longformer to say a colour that it was told to remember 1,000 words before. The question is a global word; "
    "all other words see two words on each side.",
    usage="[--distance N]",
    example="--global-words none --out runs/window",
)
