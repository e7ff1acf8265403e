"""The example of few-shot learning runs to its table and its picture."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "few_shot.py"


def test_the_table_and_the_picture(tmp_path, monkeypatch, capsys):
    """Catches a kind that is left out, and seeds that are one run."""
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("few_shot_example", FILE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(sys, "argv", ["few_shot", "--quick", "--threads", "1", "--out", str(tmp_path / "curves.png")])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" right")[0].strip() for line in lines[:-1:2]] == [*example.KINDS, "words"]
    assert all(len(line.split(": ")[1].split()) == 12 for line in lines[:-1:2])
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    curves, scores, _ = example.runs({}, "two", 2, example.QUICK | {"threads": 1})
    assert curves.shape == (2, 12) and (curves[0] != curves[1]).any() and scores.shape == (2, 1)
