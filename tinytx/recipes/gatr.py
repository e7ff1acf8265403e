"""gatr: a Geometric Algebra Transformer says where planets will be, also 200 away from all that it has seen."""

import numpy as np

from tinytx.data import planetary_systems
from tinytx.models import Gatr, GatrConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import Motion
from tinytx.wording import command, counted

LEARNED, HELD_OUT, STEP = 0, 1, 2  # streams of random numbers
FAR = 200.0  # how far test systems are moved


class SystemSettings(Settings):
    """Which systems are learned from."""

    n_systems: int = setting(1000, "stars with planets to learn from", minimum=1, maximum=1_000_000, fixed=True)
    n_planets: int = setting(3, "planets of each star", minimum=1, maximum=100, fixed=True)
    time: float = setting(0.5, "time between the two moments; a planet takes 2 to 11 for its orbit", above=0, below=100, fixed=True)
    batch_size: int = setting(64, "systems in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, SystemSettings, GatrConfig, without=("n_in", "n_out"), n_channels=8, n_heads=4, n_layers=2,
    steps=600, lr=5e-3, min_lr=0.0, warmup=50, weight_decay=0.0, beta2=0.99, clip=1.0,
)  # fmt: skip


def systems(seed, n, settings):
    """Return n systems and how far their bodies move, in the run's dtype."""
    made = planetary_systems(n, n_planets=settings.n_planets, time=settings.time, rng=np.random.default_rng(seed))
    return tuple(array.astype(settings.dtype) for array in made)


def prepare(settings, before):
    """Return what is `Prepared`: some systems to learn from, and others."""
    bodies, moved = systems((LEARNED, settings.seed), settings.n_systems, settings)

    def batch(step):
        rows = np.random.default_rng((STEP, settings.seed, step)).integers(0, len(bodies), settings.batch_size)
        return bodies[rows], moved[rows]

    return Prepared(
        config=GatrConfig(n_in=3, n_out=1, **settings.fields_of(GatrConfig)),
        batch=batch,
        validation=[systems((HELD_OUT, i), 128, settings) for i in range(8)],
        lines=[f"{counted(len(bodies), 'star')} with {counted(settings.n_planets, 'planet')}, turned and placed at random"],
        kept=settings,
    )


def measure(model, prepared):
    """Return the ``error`` on systems that were not learned, and ``error_far``, that on the same ones far away."""
    far = [(bodies + np.eye(7, dtype=bodies.dtype)[1] * bodies.dtype.type(FAR), moved) for bodies, moved in prepared.validation]
    return model.measure(prepared.validation) | {"error_far": model.measure(far)["error"]}, None


def report(run, prepared, measured, examples):
    """Print the errors beside those of two simple answers; return commands to try next."""
    bodies, moved = (np.concatenate(arrays) for arrays in zip(*prepared.validation))
    straight = ((moved - prepared.kept.time * bodies[..., 4:]) ** 2).sum(axis=2).mean()
    print("Mean squared distance from where a body is afterwards, in systems not learned from:")
    print(f"  if it stayed               {(moved**2).sum(axis=2).mean():.4f}")
    print(f"  if it went straight on     {straight:.4f}")
    print(f"  as the model says          {measured['error']:.4f}")
    print(f"  the same systems, {FAR:.0f} away  {measured['error_far']:.4f}")
    return [command("profile", run.folder), command("train", run.name, "--n-systems", 100, "--steps", prepared.kept.steps)]


RECIPE = Recipe(
    system="Geometric Algebra Transformer",
    paper="Brehmer, de Haan, Behrends and Cohen 2023",
    learns="planets' motions",
    model=Gatr,
    config=GatrConfig,
    task=Motion,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(error=(0.0038, 0.0012), step=600, minutes=0.5),
    about="Train a transformer whose layers commute with rotations and translations to say where planets go.",
    usage="[--n-systems N]",
    example="--n-systems 100 --out runs/gatr",
)
