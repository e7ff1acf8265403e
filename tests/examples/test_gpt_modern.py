"""The example that compares a GPT with one of today's parts: equal sizes, and a table."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.recipes import load_recipe

FILE = Path(__file__).resolve().parents[2] / "examples" / "gpt_modern.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("gpt_modern_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table(example, book, monkeypatch, capsys):
    """Catches models of unequal size, a recipe that is left out, and a gain of the wrong sign."""
    monkeypatch.setattr(example, "QUICK", example.QUICK | {"train_fraction": 0.9})
    monkeypatch.setattr(sys, "argv", ["gpt_modern", "--quick", "--text", str(book), "--threads", "1"])
    example.main()
    _, *rows, last = capsys.readouterr().out.splitlines()
    sizes, losses = zip(*((int(row.split()[1].replace(",", "")), float(row.split()[2])) for row in rows))
    assert [row.split()[0] for row in rows] == list(example.NAMES)
    assert abs(losses[0] - losses[1] - float(last.split("better by ")[1].split()[0])) < 2e-4
    assert sizes[0] > 100_000


def test_both_have_the_same_number_of_parameters(example):
    """With the recipes' own settings, and tinyshakespeare's 65 characters: as the docstring says."""
    sizes = []
    for recipe in map(load_recipe, example.NAMES):
        config = recipe.config(vocab_size=65, **recipe.settings().fields_of(recipe.config))
        body = recipe.model(config, rng=np.random.default_rng(0))
        assert body.output_table is not None
        sizes.append(sum(parameter.data.size for parameter in body.parameters()))
    assert sizes == [809_856, 808_192]


def test_a_missing_file_is_named(example, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpt_modern", "--text", "nowhere.txt"])
    with pytest.raises(SystemExit, match="there is no file nowhere.txt"):
        example.main()
