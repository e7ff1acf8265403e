"""Both examples of BERT run to the last line, go on where they stopped, and refuse another run's folder."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tinytx.training import load_checkpoint

FOLDER = Path(__file__).resolve().parents[2] / "examples"
TEXT = "The black cat sat on the mat. It was not the first. Nobody saw where it went afterwards.\n\n" * 20


@pytest.fixture
def example():
    """Return a function: an example's module by its name."""
    pytest.importorskip("matplotlib")

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run(example, tmp_path, monkeypatch, capsys):
    """Run an example with some arguments, in a folder; return what it printed."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")

    def call(name, *arguments):
        common = ["--data", tmp_path / "text.txt", "--out", tmp_path / "run", "--layers", 1, "--threads", 1]
        monkeypatch.setattr(sys, "argv", [name, *map(str, common), *map(str, arguments)])
        example(name).main()
        return capsys.readouterr().out

    return call


def test_the_tutorial(run, tmp_path):
    """Catches a loss set beside the wrong step's, a run that begins anew, and files that are missing."""
    options = "--iterations", 5, "--lines", 30
    run("bert_from_scratch", "--steps", 2, *options)
    printed = run("bert_from_scratch", "--steps", 3, *options)
    assert "Going on from step 2" in printed and "Nearest words" in printed
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3]
    assert f"0 9.11 {records[0]['train_loss']:.2f}" in " ".join(printed.split())
    names = (tmp_path / "run" / "names.tsv").read_text(encoding="utf-8").split()
    values = (tmp_path / "run" / "values.tsv").read_text().splitlines()
    assert names[:2] == [".", "the"] and len(values) == len(names) and len(values[0].split("\t")) == 128
    for name in ("loss.png", "words.png", "words.html"):
        assert (tmp_path / "run" / name).stat().st_size > 1000
    with pytest.raises(SystemExit, match="other words or sizes"):
        run("bert_from_scratch", "--steps", 4, *options, "--max-words", 5)


def test_the_tutorial_stops_when_time_is_up(run, tmp_path):
    """It takes one step more, saves, and shows what there is."""
    assert "Nearest words" in run("bert_from_scratch", "--steps", 50, "--minutes", 0, "--iterations", 5)
    assert load_checkpoint(tmp_path / "run")[1]["t"] == 1


def test_pretraining(run, tmp_path):
    pytest.importorskip("tokenizers")
    options = "--vocab-size", 60, "--width", 8
    run("bert_pretraining", "--steps", 2, *options)
    printed = run("bert_pretraining", "--steps", 3, *options)
    assert "Going on from step 2" in printed
    for what in ("loss per hidden word", "hidden words said right", "next sentences told apart"):
        assert what in printed
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000
