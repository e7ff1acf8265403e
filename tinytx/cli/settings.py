"""Settings of a run: flags given now, over those of the run that goes on, over defaults.

A checkpoint holds what was chosen and nothing that follows from it: what is worked out from other settings (the step
at which the cosine ends, the paper's learning rate, ...) stays open there, and is worked out where it is used.
"""

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tinytx.arguments import INT64
from tinytx.cli.best import FOLDER
from tinytx.cli.options import Flags, add_options, flag_of, given, without_effect
from tinytx.core import Layer
from tinytx.lock import locked
from tinytx.progress import say
from tinytx.settings import setting
from tinytx.training import load_checkpoint
from tinytx.wording import command
from tinytx.workers import processors

MOST_THREADS = max(64, 4 * processors())  # a checkpoint may be a stranger's, and ask for all memory there is
MOST_ROWS = 2**16  # of a batch
MOST_TOKENS = 2**22  # of a batch
RENAMED = {"eps": "adam_eps"}  # settings that had another name in checkpoints of earlier versions


class RunSettings(Flags):
    """The settings that every run has.

    A recipe's class adds those of its data, its model and its optimiser by `tinytx.settings.extended`. Beside what
    `tinytx.settings.setting` lists, a setting may have ``fixed=True``: a run that goes on cannot change it;
    ``file=True``: it is the path of a file that is read; ``only={other: (value, ...)}``: it has an effect only where
    the other setting has one of these values.
    """

    command = "train"
    steps: int = setting(2000, "optimiser steps in all", minimum=1)
    clip: float = setting(1.0, "largest norm of the gradient; 0 for no clipping", minimum=0)
    accumulate: int = setting(1, "parts that a batch is cut into to save memory", minimum=1, maximum=MOST_ROWS)
    eval_every: int = setting(250, "steps between validations and checkpoints", minimum=1)
    keep_best: bool = setting(False, f"keep the checkpoint of the best validation, too, in DIR/{FOLDER}")
    patience: int = setting(
        0, "end after so many validations in a row without a better one, and keep the best; 0: never", minimum=0
    )
    log_every: int = setting(10, "steps between lines of metrics.jsonl", minimum=1)
    seed: int = setting(1337, "seed of weights, batches and dropout", minimum=0, maximum=INT64[1])
    threads: int | None = setting(
        None,
        "shards of a batch that run side by side; processors, or OMP_NUM_THREADS if fewer, if not given",
        minimum=1,
        maximum=MOST_THREADS,
    )
    dtype: str = setting("float32", "precision", choices=("float32", "float64"))

    def fields_of(self, config):
        """Return {field: value} of the settings that a config's class has too."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(config) if hasattr(self, f.name)}

    def notes(self):
        """Return a line for each of the settings that has no effect: it is longer than the run, or beside another."""
        longer = f"and the run ends at step {self.steps}"
        notes = without_effect(self)
        if self.eval_every > self.steps:
            notes.append(f"--eval-every is {self.eval_every}, {longer}: it validates and saves at its end only")
        if self.log_every > self.steps:
            notes.append(f"--log-every is {self.log_every}, {longer}: metrics.jsonl gets its validation only")
        rows = getattr(self, "batch_size", None)
        if rows is not None and self.accumulate > rows:
            notes.append(f"--accumulate is {self.accumulate}, and a batch has {rows} rows: it is cut into {rows} parts")
        if self.patience > self.steps // self.eval_every:
            many = f"{self.steps // self.eval_every} validations, one in --eval-every {self.eval_every} steps"
            notes.append(f"--patience is {self.patience}, and the run has {many}: it does not end early")
        return notes

    @property
    def keeps_best(self):
        """Whether the best checkpoint is kept: a run that ends late because it waited is of no use without."""
        return self.keep_best or self.patience > 0


class Before(NamedTuple):
    """The run that ``--resume`` goes on with: its folder, what `load_checkpoint` found there, and flags given now."""

    folder: Path
    model: Layer
    optimizer_state: dict
    meta: dict
    flags: dict


def add_train_arguments(parser, name, settings, run, *, data, description, example, others=None):
    """Add the arguments of ``train NAME``.

    Parameters
    ----------
    parser : Parser
    name : str
    settings : class of RunSettings
        Its fields become flags.
    run : function (arguments) -> exit code
    data : str
        The flags that name the data, for the usage line.
    description, example : str
        What it does; an example's arguments.
    others : dict, optional
        {name: class} of settings with other defaults.
    """
    parser.usage = f"%(prog)s [--out DIR | --resume DIR] {data} [--FLAG VALUE ...]"
    parser.description = f"{description} Ctrl-C saves; --resume goes on."
    parser.epilog = f"Example: python -m tinytx train {name} {example}"
    folder = f"folder for the run's files (default: the next free runs/{name}, runs/{name}-2, ...)"
    parser.add_argument("--out", metavar="DIR", help=folder)
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; flags given now win over its own")
    add_options(parser, settings, others)
    parser.set_defaults(run=_holding(run))


def _holding(run):
    """Return a command that gives back the folder that ``run`` locked, however ``run`` ends."""

    def command(arguments):
        with contextlib.ExitStack() as arguments.held:
            return run(arguments)

    return command


def begin(arguments, settings, name):
    """Return (settings, Before or None): flags given now, over those of the run that goes on, over defaults.

    Parameters
    ----------
    arguments : argparse.Namespace
    settings : function (dict) -> class of RunSettings
        The class for the settings that are given, whose defaults the others have; all have the same fields.
    name : str
        Of the model, as in ``train NAME`` and in `tinytx.models.MODELS`.
    """
    fields = dataclasses.fields(settings({}))
    flags = given(arguments, settings({}))
    files = [field.name for field in fields if field.metadata.get("file")]
    flags |= {name: os.path.abspath(flags[name]) for name in files if flags.get(name)}  # found from any folder
    if arguments.resume is None:
        return settings(flags)(**flags), None
    if arguments.out is not None:
        raise ValueError("--resume writes into the folder it names: leave out --out")
    if Path(arguments.resume).is_dir():  # before its checkpoint is read: another run would replace it
        arguments.held.enter_context(locked(arguments.resume))
    before = Before(Path(arguments.resume), *load_checkpoint(arguments.resume), flags)
    kind = before.meta["model"]
    if kind != name:
        go_on = command("train", kind, "--resume", before.folder)
        raise ValueError(f"--resume: {before.folder} holds a {kind}, expected a {name}; to go on with it: {go_on}")
    old = _settings_of(before.meta, {field.name for field in fields})
    if old is None:
        kept = before.meta.get("settings")
        raise ValueError(f"--resume: the checkpoint has settings {kept!r:.80}, expected those of train {name}")
    fixed = [field.name for field in fields if field.metadata.get("fixed")]
    changed = [name for name in fixed if name in flags and flags[name] != old.get(name, flags[name])]
    if changed:
        raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    try:
        now = settings(old | flags)(**old | flags)
    except TypeError as error:  # a checkpoint may hold anything
        raise ValueError(f"--resume: {error}") from error
    for name in files:
        path = getattr(now, name)
        if name not in flags and path is not None and not Path(path).is_file():
            flag = flag_of(name)
            raise ValueError(f"--resume: the run read {path}, and no file is there now: {flag} FILE tells where it is")
    return now, before


def _settings_of(meta, known):
    """Return the settings in a checkpoint by their names of today, or None if they are not those that are known."""
    old = meta.get("settings")
    if not isinstance(old, dict):
        return None
    old = {name if name in known else RENAMED.get(name, name): value for name, value in old.items()}
    return old if old.keys() <= known else None


def origin(settings, before, *names):
    """Return " (named by the checkpoint)" where a run reads files that it was not told of now, and "" elsewhere.

    A checkpoint may be a stranger's: people must see what it makes them read.
    """
    unasked = before and any(getattr(settings, name) and name not in before.flags for name in names)
    return " (named by the checkpoint)" if unasked else ""


def compare_data(before, **digests):
    """Note where a run goes on with other data than it began with."""
    if before and any(before.meta.get(name) != value for name, value in digests.items()):
        say(f"Note: not the {', '.join(digests)} that this run began with")


def digest(*texts):
    """Return what tells the data of one run from another's: equal for equal texts in equal order."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass"))
        total.update(b"\xff" if len(texts) > 1 else b"")  # no byte of UTF-8: it tells ab, c from a, bc
    return total.hexdigest()
