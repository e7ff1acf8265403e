"""A run: its folder, the training loop with validations and checkpoints, and the report at the end."""

import contextlib
import dataclasses
import itertools
import re
import shlex
import sys
import time
from contextlib import closing
from pathlib import Path

from tinytx.data import tokenizer_from_dict
from tinytx.extras import MissingExtra, require
from tinytx.files import append_json, atomic_write, sweep
from tinytx.lock import locked
from tinytx.paths import check_folder
from tinytx.progress import progress, say
from tinytx.recipes.best import FOLDER, Best
from tinytx.recipes.rates import goes_on_with, rates_in_words
from tinytx.recipes.settings import without_effect
from tinytx.terminal import Copied, one_line
from tinytx.training import fit, save_checkpoint
from tinytx.training.checkpoint import NAME, fingerprint
from tinytx.training.loop import METRICS, read_metrics
from tinytx.training.trainer import NotFiniteError
from tinytx.viz import loss_curve
from tinytx.wording import command, counted
from tinytx.workers import processors, ranks

PICTURE = "loss.png"  # of one run, in its folder
REPORT = "report.txt"  # what a finished run printed of its results: samples, translations, examples
SIZE = re.compile(r"n_(\w+_)?(layers|heads)|d_\w+")  # names of a config's fields that say how large a model is


class Run:
    """A run, from its first step to the report at its end.

    Parameters
    ----------
    name : str
        The recipe's name, as `tinytx.recipes.load_recipe` takes it.
    recipe : Recipe
    settings : RunSettings
    trainer : Trainer
    before : Before, or None
    out : str, or None
        The folder that the user asked for.
    held : contextlib.ExitStack
        Holds the folder's lock.
    state : State, optional
        What the model remembers from one step to the next.
    **meta : values of JSON's types
        Each checkpoint holds them beside model, optimiser and settings: tokenizers, the data's `digest`.

    Attributes
    ----------
    folder : Path
    finished : bool
        Whether all steps were taken.
    seconds : float
        The time that `fit` took.
    measured : dict, or None
        The measures of a finished run: ``val_loss``, and those of the recipe.
    """

    def __init__(self, name, recipe, settings, trainer, before, out, held, *, state=None, **meta):
        self.name, self.recipe = name, recipe
        self.finished, self.measured, self._ranks = False, None, ranks.current()
        self.settings, self.trainer, self.state, self.meta = settings, trainer, state, meta
        self.resumed, self.seconds = before is not None, 0.0
        self.best = Best.of(before.meta) if before and settings.watches else Best()
        if self._is_over():
            since = f"no validation of the last {self.best.waited} was better than that of step {self.best.step}"
            raise ValueError(f"{since}: give a larger --patience than {settings.patience}, or 0, to train on")
        make = not before and self._ranks.is_first
        self.folder = Path(self._ranks.share(str(_new_folder(out, Path(name).stem, held) if make else before and before.folder)))
        for folder in (self.folder, self.folder / FOLDER):
            if folder.is_dir() and self._ranks.is_first:
                sweep(folder)

    def announce(self, lines, notes):
        """Print lines about the data, what learns from it and how fast; then notes, also on settings without effect."""
        model = self.trainer.model
        n_parameters = sum(parameter.data.size for parameter in model.parameters())
        sizes = {name: value for name, value in vars(model.config).items() if value and SIZE.fullmatch(name)}
        size = f"{', '.join(f'{name} {value}' for name, value in sizes.items())}: {counted(n_parameters, 'parameter')}"
        rates = rates_in_words(self.trainer.optimizer.lr, self.settings, self.trainer.optimizer.t)
        print(*lines, f"Model: {self.recipe.system}, {size}; {self._threads()}", rates, sep="\n")
        print(f"Writing to {self.folder}; Ctrl-C saves and stops", flush=True)
        for note in [*notes, *without_effect(self.settings)]:
            say(f"Note: {note}")

    def _threads(self):
        """Return the number of threads; if a missing library keeps it small, also how to install that library."""
        threads = counted(self.trainer.threads, "thread")
        if self._ranks.size > 1:
            threads = f"{counted(self._ranks.size, 'rank')} of {threads}"
        if self.settings.threads is None and self.trainer.threads < processors():
            try:
                require("threadpoolctl", "train", f"training in {processors()} threads")
            except MissingExtra as error:
                return f"{threads} ({error})"
        return threads

    def save(self, folder=None):
        """Write the checkpoint, or one in another folder: with the weights that the model is to be used with.

        Of several ranks the first writes it, as it does all files.
        """
        optimizer = self.trainer.optimizer
        if not self._ranks.is_first:
            if optimizer.owners is not None:
                optimizer.state_dict()  # sends what this rank has of it
            return
        with optimizer.averaged():
            save_checkpoint(
                folder or self.folder,
                self.trainer.model,
                optimizer=optimizer,
                state=self.state,
                settings=dataclasses.asdict(self.settings),
                step=optimizer.t,
                fingerprint=fingerprint(self.trainer.n_shards),
                best=self.best.to_dict() if self.settings.watches else None,
                **self.meta,
            )

    def fit(self, batch, evaluate):
        """Train; return whether the run was finished. Parameters as for `tinytx.training.fit`."""
        if not self.resumed:
            self.save()  # a run killed before its first evaluation can be resumed, and a full disk shows at once
        began, settings = time.perf_counter(), self.settings
        try:
            if self.resumed:
                self._catch_up(evaluate)
            self.finished = fit(
                self.trainer,
                batch,
                steps=settings.steps,
                out=self.folder if self._ranks.is_first else None,
                evaluate=lambda: self._validate(evaluate),
                save=self.save,
                state=self.state,
                stop=self._is_over,
                eval_every=settings.eval_every,
                log_every=settings.log_every,
            )
            if self.finished:
                self._catch_up(evaluate)
        except Exception:
            self._remove_if_untrained()
            raise
        finally:
            self.seconds = time.perf_counter() - began
            if not self.finished:
                self.draw()
        if not self.finished:
            with contextlib.suppress(OSError):  # the terminal may be gone
                stopped = f"Stopped after step {self.trainer.optimizer.t}; saved."
                print(f"\n{stopped} Go on: {command('train', self.name, '--resume', self.folder)}", flush=True)
        if self.finished and self._is_over():
            since = f"no validation of {settings.patience} in a row was better than that of step {self.best.step}"
            with contextlib.suppress(OSError):
                print(f"Ended after step {self.trainer.optimizer.t} of {settings.steps}: {since}", flush=True)
        return self.finished

    def _remove_if_untrained(self):
        """Remove the checkpoint of a new run that failed before its first step, and the folder if it is empty then."""
        if not self.resumed and not self.trainer.optimizer.t and self._ranks.is_first:
            (self.folder / NAME).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files are there
                self.folder.rmdir()

    def _validate(self, evaluate):
        """Return the loss of a validation on the way; keep the checkpoint if none was better."""
        val_loss, step = evaluate(), self.trainer.optimizer.t
        if self.settings.watches:
            self.best = self.best.after(val_loss, step)
            if self.settings.keeps_best and self.best.step == step:
                if self._ranks.is_first:
                    (self.folder / FOLDER).mkdir(exist_ok=True)
                self.save(self.folder / FOLDER)
        return val_loss

    def _catch_up(self, evaluate):
        """Validate where `fit` did not: after its last step, or because a signal came before a validation was due."""
        step = self.trainer.optimizer.t
        if self.settings.watches and step % self.settings.eval_every == 0 and step not in (0, self.best.seen):
            self.trainer.optimizer.observe(self._validate(evaluate))
            self.save()

    def _is_over(self):
        """Return whether ``patience`` validations in a row were not better than the best one."""
        return 0 < self.settings.patience <= self.best.waited

    def evaluate(self, batches):
        """Return the mean loss over batches, as `Trainer.evaluate` does, and show the progress."""
        with closing(progress(len(batches), unit="validation batch", stays=False)) as bar:
            return self.trainer.evaluate(batches, update=bar.update)

    def conclude(self, prepared):
        """Measure the trained model, write the measures, draw the losses and print the report.

        The checkpoint is written by now. So an error in measuring, drawing or printing does not end the run: one line
        says what failed.

        Parameters
        ----------
        prepared : Prepared

        Raises
        ------
        NotFiniteError
            If the trained model's loss is NaN or infinite.
        """
        examples = None
        try:
            with self._harmless("Not measured"):
                val_loss = self.evaluate(prepared.validation)
                measures, examples = self._measures(prepared)
                self.measured = {"val_loss": val_loss, **measures}
                if self._ranks.is_first:
                    append_json(self.folder / METRICS, {"step": self.trainer.optimizer.t, **self.measured})
        finally:
            drawn = self.draw()
        if not self._ranks.is_first:
            return
        with ranks.use(ranks.Alone()):  # the others make no report
            self._say_results(prepared, examples, drawn)

    def _measures(self, prepared):
        """Return what the recipe measures, on all ranks: an error of one of them is that of all."""
        found = []
        with self.trainer.measuring():
            self._ranks.outcomes(lambda: found.append(self.recipe.measure(self.trainer.model, prepared)))
        return found[0]

    def _say_results(self, prepared, examples, drawn):
        """Print the report, the files of the folder, and commands to try next."""
        commands = []
        if self.measured is not None:
            with self._harmless("No report"):
                with self._kept_report() as kept:
                    self._print_loss()
                    with self.trainer.optimizer.averaged():
                        commands = self.recipe.report(self, prepared, self.measured, examples)
                drawn += kept
        with self._harmless("No summary"):
            print(f"Wrote {', '.join(str(self.folder / name) for name in (NAME, METRICS, *drawn))}")
            if self.settings.keeps_best and self.best.val_loss is not None:
                kept = f"its checkpoint is in {self.folder / FOLDER}"
                print(f"Best validation {self.best.val_loss:.4f} after step {self.best.step}: {kept}")
            longer = goes_on_with(self.trainer.optimizer.lr, self.settings)
            if self._is_over():
                longer += ["--patience", 2 * self.settings.patience]
            commands = [*commands, command("train", self.name, "--resume", self.folder, *longer)]
            print("Try next:", "\n          ".join(commands))
            print(f"Every flag: {command('train', self.name, '--help')}", flush=True)

    @contextlib.contextmanager
    def _kept_report(self):
        """Write what a block prints into the folder, too; yield a list that holds the file's name afterwards."""
        kept, both = [], Copied(sys.stdout)
        try:
            with contextlib.redirect_stdout(both):
                yield kept
        finally:
            with atomic_write(self.folder / REPORT) as file:
                file.write("".join(both.texts).strip("\n").encode("utf-8", "backslashreplace") + b"\n")
            kept.append(REPORT)

    def _print_loss(self):
        """Print the loss of the last validation, and after how many steps it is reached."""
        details = self._details()
        smoothed = f" (with label smoothing {details['label_smoothing']:g})" if "label_smoothing" in details else ""
        steps = counted(self.trainer.optimizer.t, "step")
        loss = f"{self.measured['val_loss']:.4f} {details['quantity']} per {details['unit']}{smoothed}"
        print(f"\nValidation loss {loss} after {steps}, {self.seconds:.0f} s")

    def _details(self):
        return curve_details(type(self.trainer.model), dataclasses.asdict(self.settings), self.meta)

    def draw(self):
        """Draw the losses so far; return the list of pictures that were drawn."""
        title = self.recipe.system
        if self.measured:
            title += f", validation loss {self.measured['val_loss']:.3f}"
        if not self._ranks.is_first or not (self.folder / METRICS).exists():
            return []
        with self._harmless("No picture"):
            details = self._details()
            loss_curve(read_metrics(self.folder / METRICS), self.folder / PICTURE, title, **details)
            return [PICTURE]
        return []

    @contextlib.contextmanager
    def _harmless(self, failed):
        """Print one line for any error in a block that only measures or reports."""
        try:
            yield
        except NotFiniteError:
            raise
        except Exception as error:
            with contextlib.suppress(OSError):  # of standard output itself
                print(one_line(f"{failed}: {str(error) or type(error).__name__}"))


def _new_folder(asked, name, held):
    """Make, lock and return the folder of a new run; one that holds a run already is never written to."""
    if asked is None:
        folder = _next_free(name)
        held.enter_context(locked(folder))
        return folder
    check_folder("--out", asked)
    folder = Path(asked)
    folder.mkdir(parents=True, exist_ok=True)
    held.enter_context(locked(folder))
    if (folder / NAME).exists() or (folder / METRICS).exists():
        go_on = f"go on with --resume {shlex.quote(asked)}"
        raise ValueError(f"{folder} holds a run already: choose another --out, or {go_on}")
    return folder


def _next_free(name):
    """Make and return the next free folder of runs/name, runs/name-2, ...; two processes never get the same one."""
    for i in itertools.count(1):
        folder = Path("runs") / (name if i == 1 else f"{name}-{i}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def curve_details(task, settings, meta):
    """Return what `loss_curve` shows of a run beside its losses: ``unit``, ``quantity``, ``dropout`` and ``label_smoothing``.

    Parameters
    ----------
    task : class of Task
    settings : dict
    meta : dict
        The checkpoint's, with its tokenizers.
    """
    state = meta.get("target_tokenizer", meta.get("tokenizer"))
    unit = task.unit.format(tokenizer_from_dict(state).unit if state else "token")
    raised = {key: settings[key] for key in ("dropout", "label_smoothing") if settings.get(key)}
    return {"unit": unit, "quantity": task.quantity} | raised
