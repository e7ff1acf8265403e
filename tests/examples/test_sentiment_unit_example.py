"""The example of the sentiment unit: in its quick mode it trains, judges and draws."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from tinytx.data import WordTokenizer

FILE = Path(__file__).resolve().parents[2] / "examples" / "sentiment_unit.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("sentiment_unit_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_counter_of_words(example):
    """By hand: "good" praises in three reviews, "bad" blames in two, "the" in all. Catches signs, and words chosen by what is held out."""
    train = [("good the", 1), ("good the", 1), ("good the", 1), ("bad the", 0), ("bad the", 0), ("dull the", 0)]
    held_out = [("bad bad", 0), ("dull", 0), ("the good", 1), ("good bad", 1), ("fine", 1)]
    tokenizer = WordTokenizer("the good bad dull fine".split())
    assert example.counted_words(train, held_out, tokenizer, 1) == 0.8  # "fine" looks like "bad": it is not "good"
    assert example.counted_words(train, held_out, tokenizer, 3) == 0.6  # -1, -1, 1, 0, 0, of which those above 0 praise
    assert example.counted_words(train, held_out[:4], tokenizer, 1) == 1


def test_what_it_prints_and_draws(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "unit.png"
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--picture", str(picture)])
    example.main()
    first, counter, wrote = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"unit \d alone [01]\.\d{3}, \d of 8 units [01]\.\d{3}, of 30 reviews", first)
    assert re.fullmatch(r"A counter of so many words tells apart: 1 [01]\.\d{3}, 10 [01]\.\d{3}, 100 [01]\.\d{3}", counter)
    assert wrote == f"Wrote {picture}" and picture.read_bytes().startswith(b"\x89PNG")
