"""Runs of the reader's own in the book: each on the page of its recipe, with a page that is the report's."""

import json
import re

import pytest

from tinytx.book.runs import run_section, runs_of, write_run_pages
from tinytx.recipes.run_folder import Checkpoint, RunFolder

RECORDS = [
    {"step": 1, "train_loss": 4.0, "learning_rate": 1e-3}, {"step": 2, "train_loss": 3.0, "val_loss": 3.5},
    {"step": 3, "train_loss": None}, {"step": 4, "train_loss": 2.0, "val_loss": 2.5}, {"step": 4, "val_loss": 1.41},
]  # fmt: skip


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "gpt-2"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in RECORDS))
    return folder


def test_a_folder_is_named_by_its_recipe(run, finished):
    assert {name: [each.folder for each in runs] for name, runs in runs_of([str(run), f"bert={run}", f"gpt={run}"]).items()} == {
        "gpt": [run, run], "bert": [run],
    }  # fmt: skip
    assert [*runs_of([f"gpt={finished[0]}"])] == ["gpt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{folder}", "--runs {folder}: mine is no recipe: write RECIPE={folder}, with a name that the command recipes lists"),
        ("bert={finished}", "--runs bert={finished}: the run's model is gpt, and the recipe bert trains another: write RECIPE={finished}"),
        ("gpt={folder}/none", "there is no metrics.jsonl in {folder}/none: name the folder of a run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, finished, name, message):
    places = {"folder": tmp_path / "mine", "finished": finished[0]}
    with pytest.raises(ValueError, match=re.escape(message.format(**places))):
        runs_of([name.format(**places)])


def test_a_model_that_is_no_text_is_refused(run, monkeypatch):
    """Catches a TypeError where a checkpoint has a list for the model's name."""
    monkeypatch.setattr(RunFolder, "checkpoint", Checkpoint({"model": ["gpt"]}, None, {}))
    with pytest.raises(ValueError, match=re.escape("the run's model is ['gpt'], and the recipe gpt trains another")):
        runs_of([str(run)])


def test_the_page_of_a_recipe_shows_its_run(run):
    section = run_section("gpt", runs_of([str(run)])["gpt"])
    training, validation = re.findall(r'<polyline class="(\w+)" points="([^"]+)"', section)
    assert training[0] == "training" and len(training[1].split()) == 3, "a loss that is not finite has no point"
    assert validation[0] == "validation" and len(validation[1].split()) == 2
    assert "2 in training, 1.41 in validation" in section and "from 4 to 1.41" in section and 'href="../runs/gpt-1.html"' in section
    assert "val_loss 1.4 within 0.04: 1.4100, met" in section


def test_a_run_without_losses_has_no_curve(run):
    (run / "metrics.jsonl").write_text('{"step": 1, "learning_rate": 0.1}\n')
    section = run_section("gpt", runs_of([str(run)])["gpt"])
    assert "polyline" not in section and "met" not in section and "after step 1" in section.replace("running: step", "after step")


def test_each_run_has_the_page_of_the_report(run, finished, tmp_path):
    paths = write_run_pages(tmp_path / "book", runs_of([str(run), f"gpt={finished[0]}"]))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["book/runs/gpt-1.html", "book/runs/gpt-2.html"]
    assert "finished after step 20 of 20" in paths[1].read_text() and "after step 4" in paths[0].read_text()
