"""Settings of a run. Flags given now win over settings of the run that goes on, and these win over defaults.

A checkpoint holds what was chosen and nothing that follows from it: what is worked out from other settings (the step
at which the cosine ends, the paper's learning rate, ...) stays open there, and is worked out where it is used.
"""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tinytx.arguments import INT64
from tinytx.core import Layer
from tinytx.lock import locked
from tinytx.recipes import RECIPES
from tinytx.recipes.best import FOLDER
from tinytx.recipes.rates import OptimizerSettings, RateSettings
from tinytx.settings import Flags, flag_of, setting
from tinytx.training import load_checkpoint
from tinytx.wording import command
from tinytx.workers import processors, ranks

MOST_THREADS = max(64, 4 * processors())  # a stranger's checkpoint may ask for all memory there is
MOST_ROWS = 2**16  # of a batch
MOST_TOKENS = 2**22  # of a batch
RENAMED = {"eps": "adam_eps"}  # settings that had another name in checkpoints of earlier versions
FORGOTTEN = {"recipe", "eval_windows", "eval_rows", "eval_pairs"}  # settings of earlier versions


class DescentSettings(RateSettings, Flags):
    """The settings that every run has; one by plain gradient descent, example after example, has no others.

    A recipe's class adds those of its data and its model by `tinytx.settings.extended`. Beside what
    `tinytx.settings.setting` lists, a setting may have ``fixed=True``: a run that goes on cannot change it;
    ``file=True``: it is the path of a file that is read; ``only={other: (value, ...)}``: it has an effect only where
    the other setting has one of these values; ``within=other``: it makes sense up to the value of the other setting.
    """

    command = "train"
    clip, accumulate, threads = 0.0, 1, 1  # no settings: `RunSettings` makes them such
    steps: int = setting(2000, "optimiser steps in all", minimum=1)
    eval_every: int = setting(250, "steps between validations and checkpoints", minimum=1, within="steps")
    eval_batches: int = setting(4, "batches of a validation on the way; the last one reads all", minimum=1)
    keep_best: bool = setting(False, f"keep the checkpoint of the best validation, too, in DIR/{FOLDER}")
    patience: int = setting(
        0, "end after so many validations in a row without a better one, and keep the best; 0: never", minimum=0
    )
    log_every: int = setting(10, "steps between lines of metrics.jsonl", minimum=1, within="steps")
    seed: int = setting(1337, "seed of weights, batches and dropout", minimum=0, maximum=INT64[1])
    dtype: str = setting("float32", "precision", choices=("float32", "float64"))

    def fields_of(self, config):
        """Return {field: value} of the settings that a config's class has too."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(config) if hasattr(self, f.name)}

    @property
    def keeps_best(self):
        """Whether the best checkpoint is kept: if it is asked for, and with ``patience``."""
        return self.keep_best or self.patience > 0

    @property
    def watches(self):
        """Whether anything depends on the validations on the way: a checkpoint that is kept, the end, an average's begin."""
        return self.keeps_best or self.average > 0


class RunSettings(OptimizerSettings, DescentSettings):
    """The settings of a run whose steps are those of `tinytx.training.Trainer`."""

    clip: float = setting(1.0, "largest norm of the gradient; 0 for no clipping", minimum=0)
    accumulate: int = setting(
        1, "parts that a batch is cut into to save memory", minimum=1, maximum=MOST_ROWS, within="batch_size"
    )
    threads: int | None = setting(
        None,
        "shards of a batch that run side by side; processors, or OMP_NUM_THREADS if fewer, if not given",
        minimum=1,
        maximum=MOST_THREADS,
    )


class Before(NamedTuple):
    """The run that ``--resume`` goes on with: its folder, what `load_checkpoint` returned, and the flags given now."""

    folder: Path
    model: Layer
    optimizer_state: dict
    meta: dict
    flags: dict


def without_effect(settings):
    """Return a line for each chosen setting that has no effect beside another, by fields' ``only`` and ``within``."""
    lines = []
    for field in dataclasses.fields(settings):
        flag, value, within = flag_of(field.name), getattr(settings, field.name), field.metadata.get("within")
        if value == field.default:
            continue
        for other, values in field.metadata.get("only", {}).items():
            beside = getattr(settings, other)
            if beside not in values:
                lines.append(f"{flag} has no effect where {flag_of(other)} is {beside}")
        if within and value > (most := getattr(settings, within, value)):
            lines.append(f"{flag} is {value}, and {flag_of(within)} only {most}")
    return lines


def begin(recipe, flags, out, resume, held):
    """Return (settings, Before or None): flags win over settings of the run that goes on, and these over defaults.

    Parameters
    ----------
    recipe : Recipe
    flags : dict
    out, resume : str, or None
    held : contextlib.ExitStack
        Holds the lock of the folder of the run that goes on.
    """
    settings = recipe.settings
    fields = dataclasses.fields(settings)
    files = files_of(settings)
    flags = flags | {name: os.path.abspath(flags[name]) for name in files if flags.get(name)}  # found from any folder
    if resume is None:
        return settings(**flags), None
    if out is not None:
        raise ValueError("--resume writes into the folder it names: leave out --out")
    if Path(resume).is_dir() and ranks.current().is_first:  # before its checkpoint is read: another run would replace it
        held.enter_context(locked(resume))
    before = Before(Path(resume), *load_checkpoint(resume, own=recipe.own), flags)
    kind, task = before.meta["model"], type(before.model)
    body = type(getattr(before.model, "body", None))
    if (task, body) != (recipe.task, recipe.model):
        expected = f"expected {recipe.model.__name__} for {recipe.task.__name__}"
        facts = f"{before.folder} holds {body.__name__} for {task.__name__}, {expected}"
        go_on = f"; to go on with it: {command('train', kind, '--resume', before.folder)}" if kind in RECIPES else ""
        raise ValueError(f"--resume: {facts}{go_on}")
    old = _settings_of(before.meta, {field.name for field in fields})
    if old is None:
        kept = before.meta.get("settings")
        raise ValueError(f"--resume: the checkpoint has settings {kept!r:.80}, expected those of a {recipe.system}")
    fixed = [field.name for field in fields if field.metadata.get("fixed")]
    changed = [name for name in fixed if name in flags and flags[name] != old.get(name, flags[name])]
    if changed:
        raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    try:
        now = settings(**old | flags)
    except TypeError as error:  # a checkpoint may hold anything
        raise ValueError(f"--resume: {error}") from error
    for name in files:
        path = getattr(now, name)
        if name not in flags and path is not None and not Path(path).is_file():
            flag = flag_of(name)
            raise ValueError(f"--resume: the run read {path}, and no file is there now: {flag} FILE tells where it is")
    return now, before


def _settings_of(meta, known):
    """Return the settings in a checkpoint by their present names, or None if some of them are unknown."""
    old = meta.get("settings")
    if not isinstance(old, dict):
        return None
    old = {name if name in known else RENAMED.get(name, name): old[name] for name in old if name not in FORGOTTEN}
    return old if old.keys() <= known else None


def files_of(settings):
    """Return the names of the settings, of a class or of an instance, that are paths of files to read."""
    return [field.name for field in dataclasses.fields(settings) if field.metadata.get("file")]


def named_by(before, settings):
    """Return a line for each file that is read because the checkpoint names it: it may be a stranger's."""
    names = [name for name in files_of(settings) if before and name not in before.flags and getattr(settings, name)]
    return [f"{flag_of(name)} {getattr(settings, name)} (named by the checkpoint)" for name in names]


def notes_on_data(before, digests):
    """Return a list of at most one line: that the run goes on with other data than it began with."""
    if before is None or all(before.meta.get(name) == value for name, value in digests.items()):
        return []
    return [f"not the {', '.join(digests)} that this run began with"]


def digest(*texts):
    """Return a text that is equal for equal texts in equal order: it tells the data of one run from another's."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass"))
        total.update(b"\xff" if len(texts) > 1 else b"")  # no byte of UTF-8: it tells ab, c from a, bc
    return total.hexdigest()
