"""What a recipe is: a trained thing in one value. Every command that trains, lists, compares or fetches data reads it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinytx.progress import tracked


class Expect:
    """The figure to expect of a run.

    Parameters
    ----------
    step : int
        Steps that the run takes.
    minutes : float
        That they take on two cores.
    settings : dict, optional
        Those that differ from the recipe's defaults; a `DataFile` stands for its path.
    **measure : (value, tolerance)
        Exactly one: ``val_loss``, a measure of the recipe, or ``train_loss``, the mean over the last 21 lines of
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

    def is_met(self, measured):
        """Return whether a dict of measures has the expected one, within the tolerance."""
        return abs(measured[self.measure] - self.value) <= self.tolerance


class Prepared(NamedTuple):
    """What a recipe made of its settings.

    Attributes
    ----------
    config : of the model
    batch : function (int) -> tuple of arrays
        The batch of a step: what the task's ``loss`` takes. It depends on the step alone.
    some : function () -> list of batches
        Of a validation on the way.
    whole : function () -> list of batches
        Of the last validation.
    tokens : int
        In a batch, for the speed that is shown.
    lines : list of str
        What is learned from.
    task_settings : dict
        Of the task, beside its body.
    digests : dict
        {name: `tinytx.recipes.settings.digest`} of the data.
    tokenizers : dict
        {name in the checkpoint: state}.
    kept : any
        What ``measure`` and ``report`` need besides.
    carries : bool
        Whether the model remembers the batch before: each row of a batch goes on where that of the last one ended.
    peak : float, optional
        The largest learning rate, in place of the setting ``lr``.
    """

    config: Any
    batch: Callable
    some: Callable
    whole: Callable
    tokens: int
    lines: list = ()
    task_settings: dict = {}
    digests: dict = {}
    tokenizers: dict = {}
    kept: Any = None
    carries: bool = False
    peak: float | None = None


def measures_of_the_task(model, prepared):
    """Return (the task's measures over the whole validation, None): what a recipe measures if it says nothing else."""
    return model.measure(tracked(prepared.whole(), "batch of the measures")), None


def numbers(run, prepared, measured, examples):
    """Print each measure on a line; return no commands: what a recipe reports if it says nothing else."""
    for name, value in measured.items():
        print(f"{name}: {value:.4f}")
    return []


@dataclass(frozen=True)
class Recipe:
    """A trained thing: a model, what it is asked, its settings, its data, and the figure to expect.

    A recipe's file holds it as ``RECIPE``. `dataclasses.replace` makes another one of it.

    Attributes
    ----------
    system, paper, learns : str
        What `python -m tinytx recipes` lists; ``learns`` says on which data.
    model, config : classes
        Of the body, as in `tinytx.models.MODELS`, or your own.
    task : class
        One of `tinytx.tasks.TASKS`, or your own.
    settings : class of RunSettings
        Made by `tinytx.settings.extended`.
    prepare : function (settings, before) -> Prepared
        Reads the data. ``before`` is None, or the run that goes on: its ``meta`` holds the tokenizers.
    expect : Expect, optional
    measure : function (model, prepared) -> (dict of measures, examples)
    report : function (run, prepared, measured, examples) -> list of commands to try next
        Prints what a finished run is to show.
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
    data: dict = field(default_factory=dict)
    about: str = ""
    usage: str = ""
    example: str = ""

    @property
    def own(self):
        """Model and task by the names of their classes, as `tinytx.training.load_checkpoint` takes those in no table."""
        return {self.model.__name__: (self.model, self.config), self.task.__name__: self.task}
