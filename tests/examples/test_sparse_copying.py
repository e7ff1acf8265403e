"""Sparse copying: what the rows ask for, which pattern can reach it, and the table and the picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "sparse_copying.py"


@pytest.fixture
def example():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("sparse_copying_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_asks_for_the_letter_four_strides_before(example):
    """Catches a target that stands in the row's first half, and one whose letter is elsewhere."""
    inputs, targets = example.rows(np.random.default_rng(0), 5)
    asked = np.argwhere(targets != example.IGNORED)
    assert set(asked[:, 1]) == set(range(example.HALF - 1, 2 * example.HALF - 1))
    for row, t in asked:
        assert targets[row, t] == inputs[row, t - 4 * example.STRIDE]


def test_what_each_pattern_reaches(example):
    """In one step strided reaches the letter, in two steps all but the window do."""
    reached = {}
    for name, body in example.bodies().items():
        once = example.seen(body).astype(int)
        reached[name] = once[-1, example.HALF - 1], (once @ once)[-1, example.HALF - 1] > 0, once[-1].sum()
    assert {name: (bool(once), bool(twice)) for name, (once, twice, _) in reached.items()} == {
        "dense": (True, True), "strided": (True, True), "fixed": (False, True), "window": (False, False)
    }  # fmt: skip
    assert reached["window"][2] == reached["strided"][2]


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sparse_copying", "--quick", "--threads", "1", "--out", str(tmp_path / "sparse.png")])
    example.main()
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["dense", "strided", "fixed", "window"] and head in example.__doc__
    for row in rows:  # the number of keys is as the docstring's table says
        assert any(line.split()[:2] == row.split()[:2] for line in example.__doc__.splitlines()), row
    assert (tmp_path / "sparse.png").read_bytes().startswith(b"\x89PNG")
