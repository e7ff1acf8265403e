"""ntm: a Neural Turing Machine learns to copy short sequences of bits, and copies sequences of twice the length.

A mark says that a sequence begins, and another one that it is to be copied. The second mark stays on until the copy ends.
If it went out after one step, an element of zeros would look like the empty input of a step that copies. The controller is
feed-forward, so only what it read in the step before could tell it which of the two it sees, and training is unstable:
after some thousand steps a loss near 0 jumps up again, and again.

There is no warm-up. With small steps at first, heads often learn to stay on one row, and do not leave it any more.
"""

import numpy as np

from tinytx.data import copies
from tinytx.models import NTM, NTMConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import Bits
from tinytx.viz import attention_maps
from tinytx.wording import command

LEARNED, HELD_OUT = 0, 1  # streams of random numbers
ROWS = 64  # of each length, to validate


class CopySettings(Settings):
    """What is copied."""

    n_bits: int = setting(6, "bits in an element of a sequence", minimum=1, maximum=64, fixed=True)
    longest: int = setting(8, "elements in the longest sequence of training", minimum=1, maximum=1000, fixed=True)
    batch_size: int = setting(16, "sequences in a step, all of one length", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, CopySettings, NTMConfig, without=("d_in",),
    d_controller=64, n_rows=32, d_row=12, steps=3000, eval_every=500, lr=3e-3, min_lr=1e-3, warmup=0, weight_decay=0.0, clip=10.0,
)  # fmt: skip


def copied(rng, n_rows, length, n_bits, dtype):
    """Return a batch of sequences to copy: `tinytx.data.copies` says which arrays."""
    return copies(rng.integers(0, 2, (n_rows, length, n_bits)), dtype)


def prepare(settings, before):
    """Return what is `Prepared`: each step copies new sequences of a length that is drawn."""
    longest = settings.longest

    def batch(step):
        rng = np.random.default_rng((LEARNED, settings.seed, step))
        return copied(rng, settings.batch_size, int(rng.integers(1, longest + 1)), settings.n_bits, settings.dtype)

    def held_out(length):
        return copied(np.random.default_rng((HELD_OUT, length)), ROWS, length, settings.n_bits, settings.dtype)

    return Prepared(
        config=NTMConfig(settings.n_bits + 2, **settings.fields_of(NTMConfig)),
        task_settings={"n_bits": settings.n_bits},
        batch=batch,
        validation=[held_out(longest)],
        lines=[f"Sequences of 1 to {longest} elements of {settings.n_bits} bits; judged at {longest} and {2 * longest}"],
        kept=held_out(2 * longest),
    )


def measure(model, prepared):
    """Return the task's measures at the longest length of training, and at twice this length."""
    twice = model.measure([prepared.kept])
    return model.measure(prepared.validation) | {f"{name}_at_twice": value for name, value in twice.items()}, None


def report(run, prepared, measured, examples):
    """Print the measures, and the rows that the heads visit in one sequence; return commands to try next."""
    for length, end in ((run.settings.longest, ""), (2 * run.settings.longest, "_at_twice")):
        cost, wrong = measured[f"bits_per_element{end}"], measured[f"wrong_bits{end}"]
        print(f"Length {length}: {cost:.4f} bits per element, {wrong:.2%} of bits wrong")
    x, _ = prepared.validation[0]
    (weights,) = attention_maps(run.trainer.model, x[:1]).values()
    *_, reads, writes = weights[0].argmax(-1)  # (T,) each
    n = run.settings.longest + 1
    print(f"Rows it writes while it reads the sequence: {' '.join(map(str, writes[1:n]))}")
    print(f"Rows it reads from the second mark on:      {' '.join(map(str, reads[n:]))}")
    element = ("10" * run.settings.n_bits)[: run.settings.n_bits]
    return [command("explain", run.folder, f"{element} {element[::-1]}"), command(*"train ntm --longest 12 --n-reads 2".split())]


RECIPE = Recipe(
    system="Neural Turing Machine",
    paper="Graves et al. 2014",
    learns="copies of sequences of bits",
    model=NTM,
    config=NTMConfig,
    task=Bits,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(bits_per_element=(0, 0.01), step=3000, minutes=0.5),
    about="Train a controller with a memory to copy sequences of random bits, and judge it on sequences of twice the length.",
    usage="[--longest N]",
    example="--longest 12 --n-rows 64 --out runs/ntm",
)
