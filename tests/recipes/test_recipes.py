"""The table of recipes: each is a file with all its parts, and the list shows what README says."""

import inspect
from pathlib import Path

import pytest

import tinytx.recipes
from tinytx.models import MODELS
from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.settings import DescentSettings, without_effect
from tinytx.tasks import TASKS

FOLDER = Path(tinytx.recipes.__file__).parent
README = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_all_its_parts(name):
    """Catches a file that `train NAME` could not run, before somebody has trained for an hour."""
    recipe = load_recipe(name)
    assert (recipe.model, recipe.config) in MODELS.values() and recipe.task in TASKS.values()
    assert recipe.about and recipe.usage and recipe.example and recipe.expect
    settings = recipe.settings()
    assert isinstance(settings, DescentSettings) and without_effect(settings) == []
    assert all(hasattr(settings, setting) for setting in [*recipe.data, *recipe.expect.settings])
    for function, names in (
        (recipe.prepare, ["settings", "before"]),
        (recipe.measure, ["model", "prepared"]),
        (recipe.report, ["run", "prepared", "measured"]),
    ):
        assert [*inspect.signature(function).parameters][: len(names)] == names


def test_every_file_that_is_a_recipe_is_in_the_table():
    """Catches a recipe that nobody can find."""
    files = {path.stem for path in FOLDER.glob("*.py") if "\nRECIPE = " in path.read_text(encoding="utf-8")}
    assert files == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_of_a_model_and_task_have_the_same_settings_or_refuse_each_others_runs(name):
    """Catches a run that another recipe of its kind could not go on with, or goes on with as something else."""
    own, mine = load_recipe(name), tuple(vars(load_recipe(name).settings()))
    for other in map(load_recipe, RECIPES):
        theirs = tuple(vars(other.settings()))
        if (other.model, other.task) == (own.model, own.task) and theirs != mine:
            assert set(mine) - set(theirs) and set(theirs) - set(mine)


def test_the_list_shows_what_readme_says(capsys):
    """Catches a figure in one place that the other does not know."""
    from tinytx.cli import main

    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train", *RECIPES]
    for name, line in zip(RECIPES, lines[1:], strict=True):
        recipe = load_recipe(name)
        assert all(entry in line for entry in (recipe.system, recipe.paper, recipe.learns, str(recipe.expect)))
        (row,) = [row for row in README.splitlines() if row.startswith(f"| `python -m tinytx reproduce {name}` |")]
        figure = f"{recipe.expect.step:,} steps, {recipe.expect.took} | {recipe.expect} |"
        assert row.endswith(figure)
