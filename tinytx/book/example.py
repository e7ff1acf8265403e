"""What the page of a recipe is drawn from: its task with new weights, and the first row of the first batch of its own data.

Where the data is a file, which is not part of tinytx, some lines written for this page stand for it (`stand_ins`).
"""

import dataclasses
import inspect
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from tinytx.book.stand_ins import STAND_INS
from tinytx.data import tokenizer_from_dict
from tinytx.recipes import load_recipe
from tinytx.recipes.rates import schedule_of

FEW = {"dates": 1000, "examples": 500}  # settings that say how much is generated, of which a page needs little
SIZE_OF_WORDS = "vocab_size"  # what names of fields contain that say how many words there are


class Example(NamedTuple):
    """A recipe, ready for its first step.

    Attributes
    ----------
    recipe : Recipe
    settings : RunSettings
        Its defaults.
    prepared : Prepared
    task : Task
        With new weights.
    batch : tuple of arrays
        The first row of the first batch.
    n_rows : int
        Rows of the whole batch.
    names : list of str
        What the task's loss calls the arrays.
    tokenizers : dict
        {name in a checkpoint: tokenizer}.
    is_stand_in : bool
        Whether lines of `stand_ins` stand for the recipe's data.
    is_cut : bool
        Whether less is generated than in a run.
    """

    recipe: object
    settings: object
    prepared: object
    task: object
    batch: tuple
    n_rows: int
    names: list
    tokenizers: dict
    is_stand_in: bool
    is_cut: bool

    @property
    def n_words(self):
        """The number of words where those of other data have another; None where it is the run's."""
        sizes = {value for name, value in vars(self.prepared.config).items() if SIZE_OF_WORDS in name}
        return max(sizes) if self.is_stand_in and sizes else None

    def rate(self, step):
        """Return the learning rate of a step."""
        prepared, settings = self.prepared, self.settings
        peak = settings.lr if prepared.peak is None else prepared.peak
        schedule = prepared.schedule or schedule_of(settings, peak, settings.decay_steps or settings.steps)
        return schedule(step) * (1 if prepared.rate_scale is None else prepared.rate_scale(step))


def example_of(name):
    """Return the `Example` of a recipe.

    Parameters
    ----------
    name : str
        One of `tinytx.recipes.RECIPES`.
    """
    recipe = load_recipe(name)
    fields = {field.name for field in dataclasses.fields(recipe.settings)}
    few = {name: value for name, value in FEW.items() if name in fields}
    try:
        settings, is_stand_in = recipe.settings(**few), False
        prepared = recipe.prepare(settings, None)
    except ValueError:  # there is no data without a file
        with TemporaryDirectory() as folder:
            settings, is_stand_in = recipe.settings(**few, **_written(recipe, Path(folder))), True
            prepared = recipe.prepare(settings, None)
    task = recipe.task.around(
        recipe.model, prepared.config, rng=np.random.default_rng(settings.seed), settings=prepared.task_settings,
        dtype=np.dtype(settings.dtype),
    )  # fmt: skip
    batch = tuple(map(np.asarray, prepared.batch(0)))
    return Example(
        recipe, settings, prepared, task, tuple(array[:1] for array in batch), len(batch[0]), _names(task, len(batch)),
        _tokenizers(prepared.tokenizers), is_stand_in, bool(few),
    )  # fmt: skip


def _written(recipe, folder):
    """Write what stands for a recipe's files; return {setting: path}."""
    paths = {setting: folder / file.name for setting, file in recipe.data.items()}
    for path in paths.values():
        path.write_text(STAND_INS[path.name], encoding="utf-8")
    return {setting: str(path) for setting, path in paths.items()}


def _names(task, n):
    """Return the names of the first n arguments of a task's loss."""
    found = inspect.signature(task.loss).parameters.values()
    names = [one.name for one in found if one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in ("tape", "count")]
    return (names + [f"input {i + 1}" for i in range(n)])[:n]


def _tokenizers(states):
    """Return {name: tokenizer} of those states that are a tokenizer's; others are labels, or what is done with pictures."""
    return {name: tokenizer_from_dict(state) for name, state in states.items() if name.endswith("tokenizer")}
