"""What every ``train MODEL`` has in common: a folder, a checkpoint to go on from, the loop, and what is left behind.

The file of a model holds what is its own: settings, data, model, evaluation and the closing words. Its ``run`` reads::

    settings, before = begin(arguments, Settings, "gpt")            # flags, over those of --resume
    ...                                                             # data, tokenizers, the model's config
    compare_data(before, text=digest(text))
    model = build(GPT, config, settings, before)
    trainer = make_trainer(AdamW(model, ...), model, settings, before)
    run = Run("gpt", settings, trainer, before, arguments.out, text=digest(text), tokenizer=...)
    run.announce("Text: ...", "Model: ...")                         # from here on there is a folder
    if not run.fit(batch, tokens=..., evaluate=...):
        return 130
    run.record(val_loss=...)
    ...                                                             # closing words
    run.conclude(title, "python -m tinytx sample ...")
"""

import dataclasses
import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinytx import kernel
from tinytx.cli.options import add_options, check, given, option
from tinytx.core import Layer
from tinytx.extras import MissingExtra
from tinytx.files import append_json, read_json_lines, sweep
from tinytx.training import Trainer, fit, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME, differences, fingerprint
from tinytx.training.loop import METRICS
from tinytx.training.progress import say
from tinytx.viz import loss_curve

PICTURE = "loss.png"


@dataclass(frozen=True)
class RunSettings:
    """The settings that every run has; a model's own class inherits them and may give other defaults."""

    steps: int = option(2000, "optimiser steps in all", minimum=1)
    clip: float = option(1.0, "largest norm of the gradient; 0 for no clipping", minimum=0.0)
    accumulate: int = option(1, "parts that a batch is cut into to save memory", minimum=1)
    eval_every: int = option(250, "steps between validations and checkpoints", minimum=1)
    log_every: int = option(10, "steps between lines of metrics.jsonl", minimum=1)
    seed: int = option(1337, "of weights, batches and dropout", minimum=0)
    threads: int | None = option(None, "shards of a batch that run side by side; processors if not given", minimum=1)
    dtype: str = option("float32", "precision", choices=("float32", "float64"))

    def __post_init__(self):
        check(self)

    def fields_of(self, config):
        """Return {field: value} of the settings that a config's class has too."""
        names = [field.name for field in dataclasses.fields(config)]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}


class Before(NamedTuple):
    """The run that ``--resume`` goes on with: its folder, and what `load_checkpoint` found there."""

    folder: Path
    model: Layer
    optimizer_state: dict
    meta: dict


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
    parser.set_defaults(run=run)


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
    if arguments.resume is None:
        return settings(**(defaults or {}) | flags), None
    if arguments.out is not None:
        raise ValueError("--resume writes into the folder it names: leave out --out")
    before = Before(Path(arguments.resume), *load_checkpoint(arguments.resume))
    kind = before.meta["model"]
    if kind != name:
        go_on = f"python -m tinytx train {kind} --resume {before.folder}"
        raise ValueError(f"--resume: {before.folder} holds a {kind}, expected a {name}; to go on with it: {go_on}")
    old, known = before.meta.get("settings"), [field.name for field in dataclasses.fields(settings)]
    if not isinstance(old, dict) or not old.keys() <= set(known):
        raise ValueError(f"--resume: the checkpoint has settings {old!r:.80}, expected those of train {name}")
    return settings(**old | flags), before


def build(cls, config, settings, before, *, free=("dropout",)):
    """Return a model of class ``cls``, new or with the weights of the run that goes on.

    Raises ValueError if anything but the ``free`` fields of its config has changed since, or the dtype.
    """
    dtype = np.dtype(settings.dtype)
    if before:
        then = vars(before.model.config) | {"dtype": before.model.parameters()[0].data.dtype}
        now = vars(config) | {"dtype": dtype}
        changed = [name for name in now if name not in free and now[name] != then[name]]
        if changed:
            raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    model = cls(config, rng=np.random.default_rng(settings.seed), dtype=dtype)
    if before:
        model.load_state_dict(before.model.state_dict())
    return model


def make_trainer(optimizer, model, settings, before):
    """Return the trainer, with the optimiser's state of the run that goes on; note what makes its last bits differ."""
    if before:
        optimizer.load_state_dict(before.optimizer_state)
        if optimizer.t >= settings.steps:
            raise ValueError(f"the run has taken its {optimizer.t} steps: give a larger --steps to train on")
    options = {"clip": settings.clip or None, "threads": settings.threads, "accumulate": settings.accumulate}
    trainer = Trainer(model, optimizer, seed=settings.seed, **options)
    changed = differences(before.meta.get("fingerprint"), fingerprint(trainer.threads)) if before else ""
    if changed:
        print(f"Note: results will equal an uninterrupted run's up to rounding only: {changed}", file=sys.stderr)
    return trainer


def compare_data(before, **digests):
    """Note where a run goes on with other data than it began with."""
    if before and any(before.meta.get(name) != value for name, value in digests.items()):
        print(f"Note: not the {', '.join(digests)} that this run began with", file=sys.stderr)


def digest(*texts):
    """Return what tells the data of one run from another's: equal for equal texts in equal order."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass"))
        total.update(b"\xff" if len(texts) > 1 else b"")  # no byte of UTF-8: it tells ab, c from a, bc
    return total.hexdigest()


class Run:
    """A run from its first step to its last words.

    Parameters
    ----------
    name : str
        Of the model.
    settings : RunSettings
    trainer : Trainer
    before : Before, or None
    out : str, or None
        The folder that was asked for.
    **meta : anything that JSON can say
        What each checkpoint holds beside model, optimiser and settings: tokenizers, the data's `digest`.

    Attributes
    ----------
    folder : Path
    seconds : float
        That `fit` took.
    """

    def __init__(self, name, settings, trainer, before, out, **meta):
        self.name, self.settings, self.trainer, self.meta = name, settings, trainer, meta
        self.resumed, self.seconds = before is not None, 0.0
        self.folder = before.folder if before else _new_folder(out, name)
        sweep(self.folder)

    def announce(self, *lines):
        """Say what is going to happen, and hook the message about compiling."""
        model = self.trainer.model
        n_parameters = sum(parameter.data.size for parameter in model.parameters())
        print(*lines[:-1], f"{lines[-1]}: {n_parameters:,} parameters; {self.trainer.threads} threads", sep="\n")
        print(f"Writing to {self.folder}; Ctrl-C saves and stops", flush=True)
        announce_compiling()

    def save(self):
        """Write the checkpoint."""
        optimizer = self.trainer.optimizer
        save_checkpoint(
            self.folder,
            self.trainer.model,
            optimizer=optimizer,
            settings=dataclasses.asdict(self.settings),
            step=optimizer.t,
            fingerprint=fingerprint(self.trainer.threads),
            **self.meta,
        )

    def fit(self, batch, *, tokens, evaluate):
        """Train; return whether the run was finished. Parameters as for `tinytx.training.fit`."""
        if not self.resumed:
            self.save()  # a run killed before its first evaluation can be resumed, and a full disk shows at once
        began, settings = time.perf_counter(), self.settings
        finished = fit(
            self.trainer,
            batch,
            steps=settings.steps,
            tokens=tokens,
            out=self.folder,
            evaluate=evaluate,
            save=self.save,
            eval_every=settings.eval_every,
            log_every=settings.log_every,
        )
        self.seconds = time.perf_counter() - began
        if not finished:
            stopped = f"Stopped after step {self.trainer.optimizer.t}; saved."
            print(f"\n{stopped} Go on: {self.command} --resume {self.folder}")
        return finished

    @property
    def command(self):
        """How this command is called."""
        return f"python -m tinytx train {self.name}"

    def record(self, **values):
        """Add the last validation to the metrics: ``val_loss``, and what else was measured."""
        append_json(self.folder / METRICS, {"step": self.trainer.optimizer.t, **values})

    def conclude(self, title, *commands):
        """Draw the loss, say which files were written, and what to try next."""
        wrote = [NAME, METRICS]
        try:
            loss_curve(read_json_lines(self.folder / METRICS), self.folder / PICTURE, title)
            wrote.append(PICTURE)
        except MissingExtra as error:
            print(f"No picture: {error}")
        print(f"Wrote {', '.join(str(self.folder / name) for name in wrote)}")
        commands = [*commands, f"{self.command} --resume {self.folder} --steps {2 * self.settings.steps}"]
        print("Try next:", "\n          ".join(commands))


def announce_compiling():
    """Hook the message about compiling: said once, and only where something is compiled."""

    def compiling(name):
        kernel.on_compile = None
        say("Compiling the kernels: once, on the first run, about ten seconds ...")

    kernel.on_compile = compiling


def _new_folder(asked, name):
    """Make and return the folder of a new run; one that holds a run already is never written to."""
    if asked == "":
        raise ValueError("--out is empty: name a folder, or leave it out")
    if asked:
        folder = Path(asked)
        if (folder / NAME).exists() or (folder / METRICS).exists():
            raise ValueError(f"{folder} holds a run already: choose another --out, or go on with --resume {folder}")
    else:
        names = (name if i == 1 else f"{name}-{i}" for i in range(1, 10_000))
        folder = next(Path("runs") / name for name in names if not (Path("runs") / name).exists())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
