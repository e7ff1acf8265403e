"""Training by a recipe, from its settings to its last words.

A recipe is a file with ``FAMILY``, the name of its model in `tinytx.models.MODELS`; ``SETTINGS``, a class of
`RunSettings`; ``HELP``, what ``train NAME --help`` says: its data's flags, a description and an example; and three
functions::

    prepare(settings, before) -> Prepared                   # data, tokenizers, the model's config
    measure(model, prepared) -> (dict of measures, examples)
    report(run, prepared, measured, examples) -> commands   # prints; what to try next
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinytx.progress import say
from tinytx.recipes.rates import check_rates, make_optimizer
from tinytx.recipes.run import Run
from tinytx.recipes.settings import begin, compare_data
from tinytx.training import Trainer
from tinytx.training.checkpoint import differences, fingerprint
from tinytx.wording import counted


class Prepared(NamedTuple):
    """What a recipe made of its settings."""

    make: Callable  # (config, rng=, dtype=) -> task
    config: Any  # of the model
    batch: Callable  # (step) -> tuple of arrays
    tokens: int  # in a batch
    some: Callable  # () -> list of batches of a validation on the way
    whole: Callable  # () -> list of batches of the last validation
    digests: dict  # {name: `digest`} of the data
    tokenizers: dict  # {name in the checkpoint: state}
    lines: list  # of str: what is learned from, and what learns it; the last is about the model
    kept: Any  # what ``measure`` and ``report`` need besides
    peak: float | None = None  # the largest learning rate, in place of the settings' ``lr``


def train(name, recipe, asked):
    """Train, and return the exit code: 0, or 130 where the run was interrupted.

    Parameters
    ----------
    name : str
        Of the recipe.
    recipe : module
    asked : Asked
    """
    settings, before = begin(asked, recipe.SETTINGS, recipe.FAMILY)
    prepared = recipe.prepare(settings, before)
    compare_data(before, **prepared.digests)
    model = build(prepared.make, prepared.config, settings, before)
    trainer = make_trainer(make_optimizer(model, settings, peak=prepared.peak), model, settings, before)
    meta = prepared.digests | prepared.tokenizers
    run = Run(name, recipe.FAMILY, settings, trainer, before, asked, **meta)
    run.announce(*prepared.lines)
    if not run.fit(prepared.batch, tokens=prepared.tokens, evaluate=lambda: run.evaluate(prepared.some())):
        return 130
    examples = []

    def measure():
        val_loss = run.evaluate(prepared.whole())
        measures, shown = recipe.measure(model, prepared)
        examples.append(shown)
        return {"val_loss": val_loss, **measures}

    run.conclude(measure, lambda measured: recipe.report(run, prepared, measured, *examples))
    return 0


def build(make, config, settings, before):
    """Return ``make(config, rng=, dtype=)``, new or with the weights of the run that goes on.

    Raises ValueError if anything but the ``free`` settings of its config has changed since, or the dtype.
    """
    dtype = np.dtype(settings.dtype)
    if before:
        then = vars(before.model.config) | {"dtype": before.model.parameters()[0].data.dtype}
        now = vars(config) | {"dtype": dtype}
        free = {field.name for field in dataclasses.fields(config) if field.metadata.get("free")}
        changed = [name for name in now if name not in free and now[name] != then[name]]
        if changed:
            raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    model = make(config, rng=np.random.default_rng(settings.seed), dtype=dtype)
    if before:
        model.load_state_dict(before.model.state_dict())
    return model


def make_trainer(optimizer, model, settings, before):
    """Return the trainer, with the optimiser's state of the run that goes on; note what makes its last bits differ."""
    if before:
        optimizer.load_state_dict(before.optimizer_state)
        if optimizer.t >= settings.steps:
            raise ValueError(f"the run has taken its {counted(optimizer.t, 'step')}: give a larger --steps to train on")
    check_rates(optimizer.lr, settings, optimizer.t)
    options = {"clip": settings.clip or None, "threads": settings.threads, "accumulate": settings.accumulate}
    trainer = Trainer(model, optimizer, seed=settings.seed, **options)
    changed = differences(before.meta.get("fingerprint"), fingerprint(trainer.threads)) if before else ""
    if changed:
        say(f"Note: results will equal an uninterrupted run's up to rounding only: {changed}")
    return trainer
