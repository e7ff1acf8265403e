"""Trains a model by a recipe, from its settings to the report."""

import contextlib
import dataclasses

import numpy as np

from tinytx.progress import progress, say
from tinytx.recipes.rates import check_rates, make_optimizer
from tinytx.recipes.run import Run
from tinytx.recipes.settings import begin, files_of, named_by, notes_on_data
from tinytx.settings import flag_of
from tinytx.state import State
from tinytx.training import Trainer, load_state
from tinytx.training.checkpoint import differences, fingerprint
from tinytx.wording import counted
from tinytx.workers import ranks


def train(name, recipe, flags, *, out=None, resume=None):
    """Train a recipe's model, and return its `Run`: its ``folder``, its ``trainer``, and what was ``measured``.

    Parameters
    ----------
    name : str
        As `tinytx.recipes.load_recipe` takes it; the run's folder and the commands to try next are named by it.
    recipe : Recipe
    flags : dict
        Settings given now. They win over those of the run that goes on, which win over the recipe's defaults.
    out : str, optional
        The run's folder; the next free one of runs/NAME, runs/NAME-2, ... if not given.
    resume : str, optional
        The folder of the run to go on with.

    Raises
    ------
    ValueError
        If settings, data, or the run to go on with do not fit; nothing is written then.
    """
    with contextlib.ExitStack() as held:  # gives back the locks, however the run ends
        settings, before = begin(recipe, flags, out, resume, held)
        prepared = recipe.prepare(settings, before)
        _check_ranks(name, settings, prepared)
        model = build(recipe, prepared, settings, before)
        trainer = make_trainer(recipe, model, settings, prepared, before)
        meta = prepared.digests | prepared.tokenizers
        state = (load_state(before.folder) if before else State()) if prepared.carries else None
        run = Run(name, recipe, settings, trainer, before, out, held, state=state, **meta)
        run.announce([*named_by(before, settings), *prepared.lines], notes_on_data(before, prepared.digests))
        some = prepared.validation[:: max(1, len(prepared.validation) // settings.eval_batches)]
        if run.fit(prepared.batch, evaluate=lambda: run.evaluate(some)):
            run.conclude(prepared)
        return run


def _check_ranks(name, settings, prepared):
    """Raise ValueError unless all ranks have one recipe, the same settings, and the same data; files may lie in different places."""
    world = ranks.current()
    if world.size > 1:
        values = dataclasses.asdict(settings)
        files = files_of(type(settings))
        world.check_same("the recipe", name)
        for field, value in values.items():
            if field not in files:
                world.check_same(flag_of(field), value)
        for data, digest in prepared.digests.items():
            world.check_same(f"checksum of the {data}", digest[:12], f"give all ranks the same files: {', '.join(map(flag_of, files))}")


def trained(recipe, flags, label=""):
    """Train a recipe's model without a folder, for a comparison of several; return (the trainer, what is `Prepared`).

    Parameters
    ----------
    recipe : Recipe
    flags : dict
        Settings other than the recipe's defaults.
    label : str
        What the progress calls the run.
    """
    settings = recipe.settings(**flags)
    prepared = recipe.prepare(settings, None)
    model = build(recipe, prepared, settings, None)
    trainer = make_trainer(recipe, model, settings, prepared, None)
    state = State() if prepared.carries else None
    with contextlib.closing(progress(settings.steps)) as bar:
        for step in range(settings.steps):
            bar.update(f"{label or recipe.system}: loss {trainer.step(*prepared.batch(step), state=state):.2f}")
    return trainer, prepared


def build(recipe, prepared, settings, before):
    """Return the task around its model, new or with the weights of the run that goes on.

    Raises ValueError if anything but the ``free`` settings of its config has changed since, or the dtype.
    """
    dtype, config = np.dtype(settings.dtype), prepared.config
    if before:
        then = vars(before.model.config) | {"dtype": before.model.parameters()[0].data.dtype}
        now = vars(config) | {"dtype": dtype}
        free = {field.name for field in dataclasses.fields(config) if field.metadata.get("free")}
        changed = [name for name in now if name not in free and now[name] != then[name]]
        if changed:
            raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    rng = np.random.default_rng(settings.seed)
    model = recipe.task.around(recipe.model, config, rng=rng, settings=prepared.task_settings, dtype=dtype)
    if before:
        model.load_state_dict(before.model.state_dict())
    return model


def make_trainer(recipe, model, settings, prepared, before):
    """Return the trainer, with the optimiser's state of the run that goes on; note why last digits will differ from it."""
    rates = {"peak": prepared.peak, "scale": prepared.rate_scale, "schedule": prepared.schedule}
    optimizer = make_optimizer(model, settings, **rates, groups=prepared.groups(model) if prepared.groups else [])
    if before:
        optimizer.load_state_dict(before.optimizer_state)
        optimizer.go_on()
        if optimizer.t >= settings.steps:
            raise ValueError(f"the run has taken its {counted(optimizer.t, 'step')}: give a larger --steps to train on")
    check_rates(optimizer.lr, settings, optimizer.t)
    options = {"clip": settings.clip or None, "threads": settings.threads, "accumulate": settings.accumulate}
    trainer = (recipe.trainer or Trainer)(model, optimizer, seed=settings.seed, **options)
    changed = differences(before.meta.get("fingerprint"), fingerprint(trainer.n_shards)) if before else ""
    if changed:
        say(f"Note: results will equal an uninterrupted run's up to rounding only: {changed}")
    return trainer
