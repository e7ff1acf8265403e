"""pointer: a pointer network learns to sort numbers, of which it says only where they stand."""

import numpy as np

from tinytx.models import PointerConfig, PointerNetwork
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import Pointers
from tinytx.wording import command

LEARNED, HELD_OUT, FURTHER = 0, 1, 2  # streams of random numbers


class SortSettings(Settings):
    """How many numbers there are."""

    shortest: int = setting(5, "numbers in the shortest list", minimum=1, maximum=1000, fixed=True)
    longest: int = setting(10, "numbers in the longest list, on which it is judged", minimum=1, maximum=1000, fixed=True)
    batch_size: int = setting(128, "lists in a step, all of one length", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, SortSettings, PointerConfig, without=("n_features",),
    steps=2400, lr=3e-3, min_lr=0.0, weight_decay=0.0, beta2=0.999, clip=2.0,
)  # fmt: skip


def lists(rng, n_lists, length, dtype):
    """Return lists of numbers from 0 to 1 (B, S, 1), and the positions of the numbers, from the smallest up (B, S)."""
    numbers = rng.random((n_lists, length, 1)).astype(dtype)
    return numbers, numbers[:, :, 0].argsort(axis=1)


def prepare(settings, before):
    """Return what is `Prepared`: each step has new lists, of a length of its own."""
    if settings.shortest > settings.longest:
        raise ValueError(f"--shortest is {settings.shortest}, expected at most --longest, {settings.longest}")

    def batch(step):
        rng = np.random.default_rng((LEARNED, settings.seed, step))
        length = int(rng.integers(settings.shortest, settings.longest + 1))
        return lists(rng, settings.batch_size, length, settings.dtype)

    return Prepared(
        config=PointerConfig(**settings.fields_of(PointerConfig)),
        batch=batch,
        validation=[lists(np.random.default_rng((HELD_OUT, i)), 128, settings.longest, settings.dtype) for i in range(8)],
        lines=[f"Lists of {settings.shortest} to {settings.longest} numbers from 0 to 1; the longest are judged"],
        kept=settings,
    )


def report(run, prepared, measured, examples):
    """Print a list and its order, and how many longer lists are right; return commands to try next."""
    settings, task = prepared.kept, run.trainer.model
    numbers, _ = prepared.validation[0]
    order = task.body.point(numbers[:1])[0]
    print(f"{' '.join(f'{x:.2f}' for x in numbers[0, :, 0])}  is taken as  {' '.join(f'{x:.2f}' for x in numbers[0, order, 0])}")
    print(f"Whole lists of {settings.longest} sorted right: {measured['exact']:.3f}")
    for length in (settings.longest * 3 // 2, settings.longest * 2):
        further = lists(np.random.default_rng((FURTHER, length)), 500, length, settings.dtype)
        print(f"Of {length}, longer than any in training: {task.measure([further])['exact']:.3f}")
    return [command("explain", run.folder, "0.7 0.2 0.5"), command("train", run.name, "--longest", 2 * settings.longest, "--steps", 2 * settings.steps)]


RECIPE = Recipe(
    system="pointer network",
    paper="Vinyals, Fortunato and Jaitly 2015",
    learns="numbers to be sorted",
    model=PointerNetwork,
    config=PointerConfig,
    task=Pointers,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    expect=Expect(exact=(0.98, 0.02), step=2400, minutes=0.5),
    about="Train two LSTMs to sort numbers: the second points at the elements that the first one read.",
    usage="[--longest N]",
    example="--longest 15 --out runs/pointer",
)
