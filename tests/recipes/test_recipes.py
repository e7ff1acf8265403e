"""The table of recipes: each is a file with all its parts, and the list shows what README says."""

import importlib
import inspect
from pathlib import Path

import pytest

import tinytx.recipes
from tinytx.models import MODELS
from tinytx.recipes import RECIPES
from tinytx.recipes.settings import RunSettings

FOLDER = Path(tinytx.recipes.__file__).parent
README = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_all_its_parts(name):
    """Catches a file that `train NAME` could not run, before somebody has trained for an hour."""
    recipe = importlib.import_module(f"tinytx.recipes.{name}")
    assert recipe.FAMILY in MODELS and set(recipe.HELP) == {"data", "description", "example"}
    settings = recipe.SETTINGS()
    assert isinstance(settings, RunSettings) and settings.notes() == []
    for function, names in (
        (recipe.prepare, ["settings", "before"]),
        (recipe.measure, ["model", "prepared"]),
        (recipe.report, ["run", "prepared", "measured"]),
    ):
        assert [*inspect.signature(function).parameters][: len(names)] == names


def test_every_file_that_is_a_recipe_is_in_the_table():
    """Catches a recipe that nobody can find."""
    files = {path.stem for path in FOLDER.glob("*.py") if "\nSETTINGS = " in path.read_text(encoding="utf-8")}
    assert files == set(RECIPES)


@pytest.mark.parametrize("family", sorted(MODELS))
def test_recipes_of_a_family_have_the_same_settings(family):
    """Catches a run that another recipe of its family could not go on with; the family's own name is a recipe."""
    own = [recipe for recipe in (importlib.import_module(f"tinytx.recipes.{name}") for name in RECIPES)
           if recipe.FAMILY == family]  # fmt: skip
    assert family in RECIPES and len({tuple(vars(recipe.SETTINGS())) for recipe in own}) == 1


def test_the_list_shows_what_readme_says(capsys):
    """Catches a figure in one place that the other does not know."""
    from tinytx.cli import main

    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train", *RECIPES]
    for line, recipe in zip(lines[1:], RECIPES.values(), strict=True):
        assert all(entry in line for entry in recipe[:5])
        assert "by the file" in recipe.expected or recipe.expected in README
