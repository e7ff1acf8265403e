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
    run.conclude(title, command("sample", run.folder))
"""

import dataclasses
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from tinytx import kernel
from tinytx.cli.advice import command
from tinytx.cli.rates import check_rates, goes_on_with, rate_notes
from tinytx.extras import MissingExtra
from tinytx.files import append_json, read_json_lines, sweep
from tinytx.training import Trainer, fit, save_checkpoint
from tinytx.training.checkpoint import NAME, differences, fingerprint
from tinytx.training.loop import METRICS
from tinytx.training.progress import say
from tinytx.viz import loss_curve

PICTURE = "loss.png"


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
    check_rates(optimizer.lr, settings, optimizer.t)
    options = {"clip": settings.clip or None, "threads": settings.threads, "accumulate": settings.accumulate}
    trainer = Trainer(model, optimizer, seed=settings.seed, **options)
    changed = differences(before.meta.get("fingerprint"), fingerprint(trainer.threads)) if before else ""
    if changed:
        print(f"Note: results will equal an uninterrupted run's up to rounding only: {changed}", file=sys.stderr)
    return trainer


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
        self._then = before.meta["settings"] if before else None
        self.resumed, self.seconds = before is not None, 0.0
        self.folder = before.folder if before else _new_folder(out, name)
        sweep(self.folder)

    def announce(self, *lines):
        """Say what is going to happen, and what of the settings is not; hook the message about compiling."""
        model = self.trainer.model
        n_parameters = sum(parameter.data.size for parameter in model.parameters())
        print(*lines[:-1], f"{lines[-1]}: {n_parameters:,} parameters; {self.trainer.threads} threads", sep="\n")
        print(f"Writing to {self.folder}; Ctrl-C saves and stops", flush=True)
        for note in self.settings.notes() + rate_notes(self.trainer.optimizer.lr, self.settings, self._then):
            print(f"Note: {note}", file=sys.stderr, flush=True)
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
            print(f"\n{stopped} Go on: {command('train', self.name, '--resume', self.folder)}")
        return finished

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
        longer = goes_on_with(self.trainer.optimizer.lr, self.settings)
        commands = [*commands, command("train", self.name, "--resume", self.folder, *longer)]
        print("Try next:", "\n          ".join(commands))
        print(f"Every flag: {command('train', self.name, '--help')}")


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
            go_on = f"go on with --resume {shlex.quote(asked)}"
            raise ValueError(f"{folder} holds a run already: choose another --out, or {go_on}")
    else:
        names = (name if i == 1 else f"{name}-{i}" for i in range(1, 10_000))
        folder = next(Path("runs") / name for name in names if not (Path("runs") / name).exists())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
