"""The ladder: its backward, what the lists are, and the table and the picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.testing import gradcheck

FILE = Path(__file__).resolve().parents[2] / "examples" / "ladder.py"
RUNGS = "concatenation", "recurrence", "convolution", "pairs", "attention"


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("ladder_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "D", 4)
    return module


@pytest.mark.parametrize("name", ["concatenation", "convolution", "pairs"])
def test_the_gradient(example, name):
    """Of the rungs with parts of their own; the others are layers that are checked elsewhere."""
    draw = {"rng": np.random.default_rng(0)}
    model = example.Recall(example.rungs(draw)[name], draw)
    for parameter in model.parameters():
        parameter.data = draw["rng"].normal(size=parameter.data.shape) * 0.5
    assert gradcheck(model.loss, *example.lists(draw["rng"], 3), mode="directional", seed=0).verdict == "PASS"


def test_the_lists(example):
    """Catches a letter that is there twice, so that two answers are right, and an answer of another letter."""
    letters, numbers, answers = example.lists(np.random.default_rng(0), 50)
    for row, said, answer in zip(letters, numbers, answers):
        (place,) = np.flatnonzero(row[:-1] == row[-1])
        assert said[place] == answer and len(set(row[:-1])) == example.PAIRS


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ladder", "--quick", "--threads", "1", "--out", str(tmp_path / "ladder.png")])
    example.main()
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert tuple(row.split()[0] for row in rows) == RUNGS and head in example.__doc__
    assert [row.split()[-1] == "-" for row in rows] == [name == "concatenation" for name in RUNGS]
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")
