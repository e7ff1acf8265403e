"""reformer: a Reformer of one block says a word of 127 letters once more, and is asked again with other rounds of hashing.

A row is 0w0w (Kitaev et al. 2020, section 5): a 0, a word w of letters drawn anew, a 0 and the same word. The letters of the
second w are judged. The letter to say stands 127 places before, and in a round a place sees at most 31 others. So each place
has to learn a direction that only the right place of the first w has too: then a hash mostly puts both into one bucket. A
round loses some of these pairs, where a rotation or the end of a chunk parts them; another round finds them.
"""

from dataclasses import replace

import numpy as np

from tinytx.data import CharTokenizer
from tinytx.models import Reformer, ReformerConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import NextToken
from tinytx.wording import command, counted

LETTERS = "0abcdefghijklmnopqrstuvwxyz"
LEARNED, HELD_OUT = 0, 1  # streams of random numbers
ROUNDS = 1, 2, 4, 8
SHOWN = 40  # letters of a word


class CopySettings(Settings):
    """What is copied."""

    length: int = setting(127, "letters of the word", minimum=1, maximum=2**16, fixed=True)
    batch_size: int = setting(8, "rows in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, CopySettings, ReformerConfig, without=("vocab_size", "max_len"),
    d_model=64, n_heads=1, n_layers=1, chunk=16, n_buckets=32, steps=800, lr=2e-3, beta2=0.95, weight_decay=0.0,
)  # fmt: skip


def rows(rng, n_rows, length):
    """Return ids and targets (B, 2 length + 1): 0w0w without its last letter, and the letters of the second w."""
    word = rng.integers(1, len(LETTERS), (n_rows, length))
    ids = np.tile(np.pad(word, ((0, 0), (1, 0))), 2)
    targets = ids[:, 1:].copy()
    targets[:, : length + 1] = NextToken.ignored
    return ids[:, :-1], targets


def prepare(settings, before):
    """Return what is `Prepared`: each step has new words; those that validate are none of them."""
    n, tokenizer = settings.length, CharTokenizer(LETTERS)
    return Prepared(
        config=ReformerConfig(len(LETTERS), max_len=2 * n + 2, **settings.fields_of(ReformerConfig)),
        batch=lambda step: rows(np.random.default_rng((LEARNED, settings.seed, step)), settings.batch_size, n),
        validation=[rows(np.random.default_rng((HELD_OUT, i)), 8, n) for i in range(4)],
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[f"Words of {n} letters, said once more; a place sees at most {2 * settings.chunk - 1} others in a round"],
        kept=tokenizer,
    )


def read_with(model, **changed):
    """Return the task with the same weights, whose body has some other settings."""
    config, made = replace(model.config, **changed), {"rng": np.random.default_rng(0), "dtype": model.head.weight.data.dtype}
    other = NextToken.around(Reformer, config, **made)
    other.load_state_dict(model.state_dict())
    return other


def said(model, batch, tokenizer):
    """Return the beginning of the first row's second word, with a dot for each letter that the model says wrong."""
    ids, targets = (array[:1] for array in batch)
    right, letters = (model(ids).argmax(-1) == targets)[0], targets[0]
    shown = np.flatnonzero(letters != NextToken.ignored)[:SHOWN]
    word = tokenizer.decode(letters[shown])
    return "".join(letter if right[t] else "." for t, letter in zip(shown, word, strict=True))


def measure(model, prepared):
    """Return (the task's measures and the accuracies with other rounds and where all is seen, what these models say)."""
    models = {f"rounds_{n}": read_with(model, n_rounds=n) for n in ROUNDS}
    models["seen_whole"] = read_with(model, n_rounds=1, chunk=model.config.max_len)
    shares = {name: other.measure(prepared.validation)["accuracy"] for name, other in models.items()}
    examples = {name: said(other, prepared.validation[0], prepared.kept) for name, other in models.items()}
    return model.measure(prepared.validation) | shares, examples


def report(run, prepared, measured, examples):
    """Print the accuracies with other rounds of hashing; return commands to try next."""
    trained = counted(run.settings.n_rounds, "round")
    print(f"Letters said right, and the first {SHOWN} of one word; it was trained with {trained}:")
    names = [*(counted(n, "round") for n in ROUNDS), "all words seen"]
    for name, (key, word) in zip(names, examples.items(), strict=True):
        print(f"{name:<14}  {measured[key]:.3f}  {word}")
    return [command("profile", run.folder), command("train", run.name, "--n-rounds", 2)]


RECIPE = Recipe(
    system="Reformer",
    paper="Kitaev et al. 2020",
    learns="copies of long words",
    model=Reformer,
    config=ReformerConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(accuracy=(0.98, 0.02), step=800, minutes=0.5),
    about="Train a Reformer of one block to say a word of random letters once more, and judge it with other rounds of hashing.",
    usage="[--length N]",
    example="--chunk 32 --n-buckets 16 --out runs/reformer",
)
