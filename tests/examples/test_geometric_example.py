"""Geometry built in and learned: models of one size, the plain one's backward, the table and the picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.core import Tape

FILE = Path(__file__).resolve().parents[2] / "examples" / "geometric.py"


@pytest.fixture
def example():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("geometric_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_models_have_one_size(example):
    sizes = [sum(p.data.size for p in model.parameters()) for model in example.models(np.random.default_rng(0)).values()]
    assert abs(sizes[0] - sizes[1]) < 0.01 * sizes[0]


def test_the_gradient_of_the_plain_one(example):
    """Along a direction of the inputs: all gradients go through the one layer that the example has of its own."""
    model, rng, h = example.models(np.random.default_rng(0), np.float64)["plain"].body, np.random.default_rng(1), 1e-5
    x, step, dy, tape = rng.normal(size=(2, 4, 48)), rng.normal(size=(2, 4, 48)), rng.normal(size=(2, 4, 16)), Tape()
    model(x, tape)
    slope = np.sum(model.backward(dy, tape) * step)
    difference = np.sum(dy * (model(x + h * step) - model(x - h * step))) / (2 * h)
    assert abs(slope - difference) < 1e-6 * abs(slope) and abs(slope) > 0.1


def test_what_is_far_is_moved_and_nothing_else(example):
    """A model that says 0 is as wrong far away; the geometric one is as wrong as it is near, untrained as it is."""
    geometric = example.models(np.random.default_rng(0))["geometric"]
    near, away = example.errors(geometric, 20)
    assert np.isclose(near, away, rtol=1e-2)
    plain = example.models(np.random.default_rng(0))["plain"]
    assert not np.isclose(*example.errors(plain, 20), rtol=0.1)


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["geometric", "--quick", "--threads", "1", "--out", str(tmp_path / "geometric.png")])
    example.main()
    straight, _, head, *rows, _ = capsys.readouterr().out.splitlines()
    assert "straight on" in straight and head in example.__doc__
    assert [row.split()[0] for row in rows] == ["geometric"] * 2 + ["plain"] * 2
    assert (tmp_path / "geometric.png").read_bytes().startswith(b"\x89PNG")
