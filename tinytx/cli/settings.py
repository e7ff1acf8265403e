"""Settings of a run: flags given now, over those of the run that goes on, over defaults.

A checkpoint holds what was chosen and nothing that follows from it: what is worked out from other settings (the step
at which the cosine ends, the paper's learning rate, ...) stays open there, and is worked out where it is used.
"""

import contextlib
import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tinytx.cli.advice import command
from tinytx.cli.best import FOLDER
from tinytx.cli.options import add_options, check, flag_of, given, option, without_effect
from tinytx.core import Layer
from tinytx.lock import locked
from tinytx.progress import say
from tinytx.training import load_checkpoint
from tinytx.training.threads import processors

MOST_THREADS = max(64, 4 * processors())  # a checkpoint may be a stranger's, and ask for all memory there is
MOST_ROWS = 2**16  # of a batch
MOST_TOKENS = 2**22  # of a batch
LEAST_EPS = 1e-30  # of an optimiser: smaller ones are 0 in float32, or nearly, and 0 / 0 is NaN


@dataclass(frozen=True)
class RunSettings:
    """The settings that every run has; a model's own class inherits them and may give other defaults."""

    steps: int = option(2000, "optimiser steps in all", minimum=1)
    clip: float = option(1.0, "largest norm of the gradient; 0 for no clipping", minimum=0.0)
    accumulate: int = option(1, "parts that a batch is cut into to save memory", minimum=1, maximum=MOST_ROWS)
    eval_every: int = option(250, "steps between validations and checkpoints", minimum=1)
    keep_best: bool = option(False, f"keep the checkpoint of the best validation, too, in DIR/{FOLDER}")
    patience: int = option(
        0, "end after so many validations in a row without a better one, and keep the best; 0: never", minimum=0
    )
    log_every: int = option(10, "steps between lines of metrics.jsonl", minimum=1)
    seed: int = option(1337, "of weights, batches and dropout", minimum=0)
    threads: int | None = option(
        None,
        "shards of a batch that run side by side; processors, or OMP_NUM_THREADS if fewer, if not given",
        minimum=1,
        maximum=MOST_THREADS,
    )
    dtype: str = option("float32", "precision", choices=("float32", "float64"))

    def __post_init__(self):
        check(self)

    def fields_of(self, config):
        """Return {field: value} of the settings that a config's class has too."""
        names = [field.name for field in dataclasses.fields(config)]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

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


def add_train_parser(commands, name, settings, run, *, data, help, description, example):
    """Add ``train NAME`` to the command line.

    Parameters
    ----------
    commands : what ``add_subparsers`` returned
    name : str
    settings : dataclass
        Its fields become flags.
    run : function (arguments) -> exit code
    data : str
        The flags that name the data, for the usage line.
    help, description, example : str
        One line; what it does; an example's arguments.
    """
    parser = commands.add_parser(
        name,
        help=help,
        usage=f"%(prog)s [--out DIR | --resume DIR] {data} [--FLAG VALUE ...]",
        description=f"{description} Ctrl-C saves; --resume goes on.",
        epilog=f"Example: python -m tinytx train {name} {example}",
    )
    folder = f"folder for the run's files (default: the next free runs/{name}, runs/{name}-2, ...)"
    parser.add_argument("--out", metavar="DIR", help=folder)
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; flags given now win over its own")
    add_options(parser, settings)
    parser.set_defaults(run=_holding(run))


def _holding(run):
    """Return a command that gives back the folder that ``run`` locked, however ``run`` ends."""

    def command(arguments):
        with contextlib.ExitStack() as arguments.held:
            return run(arguments)

    return command


def begin(arguments, settings, name, defaults=None):
    """Return (settings, Before or None): flags given now, over those of the run that goes on, over ``defaults``.

    Parameters
    ----------
    arguments : argparse.Namespace
    settings : class
        The model's own, derived from `RunSettings`.
    name : str
        Of the model, as in ``train NAME`` and in `tinytx.models.MODELS`.
    defaults : dict, optional
        What a new run takes in place of the class's own defaults.
    """
    flags = given(arguments, settings)
    files = [field.name for field in dataclasses.fields(settings) if field.metadata.get("file")]
    flags |= {name: os.path.abspath(flags[name]) for name in files if flags.get(name)}  # found from any folder
    if arguments.resume is None:
        return settings(**(defaults or {}) | flags), None
    if arguments.out is not None:
        raise ValueError("--resume writes into the folder it names: leave out --out")
    if Path(arguments.resume).is_dir():  # before its checkpoint is read: another run would replace it
        arguments.held.enter_context(locked(arguments.resume))
    before = Before(Path(arguments.resume), *load_checkpoint(arguments.resume), flags)
    kind = before.meta["model"]
    if kind != name:
        go_on = command("train", kind, "--resume", before.folder)
        raise ValueError(f"--resume: {before.folder} holds a {kind}, expected a {name}; to go on with it: {go_on}")
    old, known = before.meta.get("settings"), [field.name for field in dataclasses.fields(settings)]
    if not isinstance(old, dict) or not old.keys() <= set(known):
        raise ValueError(f"--resume: the checkpoint has settings {old!r:.80}, expected those of train {name}")
    fixed = [field.name for field in dataclasses.fields(settings) if field.metadata.get("fixed")]
    changed = [name for name in fixed if name in flags and flags[name] != old.get(name, flags[name])]
    if changed:
        raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    now = settings(**old | flags)
    for name in files:
        path = getattr(now, name)
        if name not in flags and path is not None and not Path(path).is_file():
            flag = flag_of(name)
            raise ValueError(f"--resume: the run read {path}, and no file is there now: {flag} FILE tells where it is")
    return now, before


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
