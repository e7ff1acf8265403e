"""A recipe in one value: all commands that train, list, compare or fetch data read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinytx.progress import tracked
from tinytx.wording import counted


class Expect:
    """The figure to expect of a run.

    Parameters
    ----------
    step : int
        Steps that the run takes.
    minutes : float
        The time that they take on two cores.
    settings : dict, optional
        The settings that differ from the recipe's defaults; a `DataFile` stands for its path.
    **measure : (value, tolerance)
        Exactly one of: ``val_loss``; a measure of the recipe; ``train_loss``, the mean over the last 21 lines of
        metrics.

    Examples
    --------
    >>> expect = Expect(accuracy=(0.26, 0.02), step=2000, minutes=4)
    >>> print(expect, expect.is_met({"accuracy": 0.25}), expect.is_met({"accuracy": 0.29}))
    accuracy 0.26 within 0.02 True False
    """

    def __init__(self, *, step, minutes, settings=None, **measure):
        ((self.measure, (self.value, self.tolerance)),) = measure.items()
        self.step, self.minutes, self.settings = step, minutes, settings or {}

    def __str__(self):
        return f"{self.measure} {self.value:g} within {self.tolerance:g}"

    @property
    def took(self):
        """How long the run took, such as "1.5 minutes"."""
        return counted(self.minutes, "minute")

    def is_met(self, measured):
        """Return whether a dict of measures has the expected one, within the tolerance."""
        return abs(measured[self.measure] - self.value) <= self.tolerance


class Prepared(NamedTuple):
    """What a recipe made of its settings.

    Attributes
    ----------
    config : config of the model
    batch : function (int) -> tuple of arrays
        Returns the batch of a step, which the task's ``loss`` takes. It depends on the step alone.
    validation : list of tuples of arrays
        The batches that validate at the end; on the way, only some of them do (the setting ``eval_batches``). So each is
        to be like the others.
    lines : list of str
        What the run prints about its data.
    task_settings : dict
        The task's settings.
    digests : dict
        {name: `tinytx.recipes.settings.digest` of the data}. A run that goes on says where they differ.
    tokenizers : dict
        {name in the checkpoint: state}.
    kept : any
        What ``measure`` and ``report`` need.
    carries : bool
        Whether the model remembers the batch before: each row goes on where it ended in the last batch.
    peak : float, optional
        The largest learning rate, in place of the setting ``lr``.
    rate_scale : function (int) -> float, optional
        Multiplies the learning rate of a step.
    schedule : function (int) -> float, optional
        The learning rate of a step, in place of that which the settings describe.
    groups : function (task) -> list, optional
        The optimiser's groups: `tinytx.training.optimizers.groups`.
    """

    config: Any
    batch: Callable
    validation: list
    lines: list = ()
    task_settings: dict = {}
    digests: dict = {}
    tokenizers: dict = {}
    kept: Any = None
    carries: bool = False
    peak: float | None = None
    rate_scale: Callable | None = None
    schedule: Callable | None = None
    groups: Callable | None = None


def measures_of_the_task(model, prepared):
    """Return (the task's measures over the whole validation, None): the default of ``Recipe.measure``."""
    return model.measure(tracked(prepared.validation, "batch of the measures")), None


def numbers(run, prepared, measured, examples):
    """Print each measure on a line; return no commands: the default of ``Recipe.report``."""
    for name, value in measured.items():
        print(f"{name}: {value:.4f}")
    return []


@dataclass(frozen=True)
class Recipe:
    """Everything that one training needs: a model, its task, settings and data, and the figure to expect.

    A recipe's file holds it as ``RECIPE``. `dataclasses.replace` makes another one of it.

    Attributes
    ----------
    system, paper, learns : str
        What `python -m tinytx recipes` lists; ``learns`` says on which data.
    model, config : classes
        The body's class and its config's, as in `tinytx.models.MODELS`, or your own.
    task : class
        One of `tinytx.tasks.TASKS`, or your own.
    settings : class of RunSettings, or of DescentSettings
        Made by `tinytx.settings.extended`.
    prepare : function (settings, before) -> Prepared
        Reads the data. ``before`` is None, or the run that goes on: its ``meta`` holds the tokenizers.
    expect : Expect, optional
    measure : function (model, prepared) -> (dict of measures, examples)
    report : function (run, prepared, measured, examples) -> list of commands to try next
        Prints the results of a finished run.
    trainer : class, optional
        A subclass of `tinytx.training.Trainer`, if its steps are not those of this class itself.
    data : dict
        {setting: DataFile} of files that are not part of tinytx.
    about, usage, example : str
        What ``train NAME --help`` says: a description, the flags of its data, and flags of an example.
    """

    system: str
    paper: str
    learns: str
    model: type
    config: type
    task: type
    settings: type
    prepare: Callable
    expect: Expect | None = None
    measure: Callable = measures_of_the_task
    report: Callable = numbers
    trainer: type | None = None
    data: dict = field(default_factory=dict)
    about: str = ""
    usage: str = ""
    example: str = ""

    @property
    def own(self):
        """Model and task by the names of their classes, as `tinytx.training.load_checkpoint` takes those in no table."""
        return {self.model.__name__: (self.model, self.config), self.task.__name__: self.task}
