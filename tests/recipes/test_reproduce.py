"""``python -m tinytx reproduce``: a recipe is trained as its figure says; met is exit code 0, missed is 1."""

import re

import pytest

from tinytx.recipes import RECIPES, Expect, load_recipe

EXPECTING = """
from dataclasses import replace
import letters
from tinytx.recipes import DataFile, Expect
RECIPE = replace(letters.RECIPE, expect=Expect({}))
"""
FEW = "settings={'max_len': 8, 'log_every': 1, 'threads': 1}"


@pytest.fixture
def reproduced(tinytx, letters, no_pictures):
    """Reproduce a recipe that expects something, and return what the command returned and printed."""

    def reproduce(expected, *flags):
        (letters / "expecting.py").write_text(EXPECTING.format(expected))
        return tinytx("reproduce expecting.py", *flags)

    return reproduce


@pytest.mark.parametrize(
    "expected, code, verdict",
    [
        ("val_loss=(2.96, 0.1), step=3, minutes=0.1", 0, "met"),
        ("val_loss=(2.5, 0.05), step=3, minutes=0.1", 1, "missed"),
        ("val_loss=(3.3, 0.05), step=3, minutes=0.1", 1, "missed"),
        ("train_loss=(3.02, 0.1), step=3, minutes=0.1", 0, "met"),
        ("accuracy=(0.9, 0.1), step=3, minutes=0.1", 1, "missed"),
    ],
)
def test_a_figure_is_met_or_missed(reproduced, expected, code, verdict):
    """Catches an exit code that says the opposite, a figure that is not the one named, and a tolerance on one side."""
    result = reproduced(f"{expected}, {FEW}")
    assert (result.code, f"The figure is {verdict}" in result.out) == (code, True), result.err
    measure, value, tolerance = re.match(r"(\w+)=\((.*), (.*)\), step", expected).groups()
    assert f"Expected: {measure} {value} within {tolerance}, after 3 steps in 0.1 minutes on two cores" in result.out
    measured = float(re.search(rf"Measured: {measure} ([\d.]+), in [\d.]+ minutes", result.out)[1])
    assert (abs(measured - float(value)) <= float(tolerance)) == (code == 0)


def test_the_run_is_as_the_figure_says(reproduced, letters):
    """Catches settings and steps of the recipe's own where the figure has others."""
    result = reproduced(f"val_loss=(2.9, 9), step=4, minutes=1, {FEW}", "--out run")
    assert result.code == 0 and "after 4 steps" in result.out
    assert len((letters / "run/metrics.jsonl").read_text().splitlines()) == 5  # each step, and what was measured
    assert "the run has taken its 4 steps" in reproduced("val_loss=(2.9, 9), step=4, minutes=1", "--resume run").err


def test_a_measure_that_nothing_measures(reproduced):
    result = reproduced(f"bleu=(30, 1), step=1, minutes=1, {FEW}")
    assert result.code == 2 and "measured only val_loss, perplexity, accuracy, train_loss" in result.err


def test_missing_data_says_what_to_put_where(reproduced, letters):
    """Catches a run on other data than the figure's, and a message that leaves the user alone."""
    file = "DataFile('tale.txt', 'http://here/tale.txt', 'CC0', 3, '{}')".format("0" * 64)
    result = reproduced(f"val_loss=(2, 1), step=1, minutes=1, settings={{'data': {file}}}")
    assert result.code == 2 and "there is no data/tale.txt (licence: CC0): fetch it with " in result.err
    assert "python -m tinytx data expecting.py" in result.err
    (letters / "tale.txt").write_text("abc")
    result = reproduced(f"val_loss=(2, 1), step=1, minutes=1, settings={{'data': {file}}}", "--data .")
    assert result.code == 2 and "tale.txt is another file than the recipe's: its SHA-256 is ba7816bf" in result.err


@pytest.mark.parametrize("name", [name for name in RECIPES if load_recipe(name).data])
def test_recipes_without_their_data(tinytx, letters, name):
    """Catches a figure on data that is not here, and is measured on something else."""
    if load_recipe(name).expect.settings:
        result = tinytx("reproduce", name)
        assert result.code == 2 and f"{name}: there is no data/" in result.err and not (letters / "runs").exists()


def test_an_expectation_has_one_measure():
    with pytest.raises(ValueError):
        Expect(loss=(1, 1), bleu=(1, 1), step=1, minutes=1)
