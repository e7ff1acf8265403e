"""The example of the memory of segments: in its quick mode it trains, measures and draws."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.models import TransformerXL, TransformerXLConfig
from tinytx.tasks import NextToken

FILE = Path(__file__).resolve().parents[2] / "examples" / "segment_memory.py"


@pytest.fixture(scope="module")
def example():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("segment_memory_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--threads", "1", "--out", str(tmp_path / "losses.png")])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line[:17] for line in lines[1:4]] == ["memory of 32     ", "memory taken away", "trained without  "]
    assert all(len(line[17:].split()) == 3 for line in lines[1:4])
    assert "microseconds per character in segments" in lines[4]
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_losses_are_those_of_the_places(example):
    """Each place by the task's own loss; a target that does not count is left out."""
    config = TransformerXLConfig(7, segment=3, memory=3, d_model=4, n_heads=2, n_layers=1)
    model = NextToken.around(TransformerXL, config, rng=np.random.default_rng(0), dtype=np.float64)
    ids, targets = np.random.default_rng(1).integers(0, 7, (2, 2, 9))
    targets[1, 5:] = -100
    found = example.by_place(model, [(ids[:1], targets[:1]), (ids[1:], targets[1:])])
    for place in range(3):
        asked = np.where((np.arange(9) % 3 == place) & (np.arange(9) >= 3), targets, -100)
        np.testing.assert_allclose(found[place], model.loss(ids, asked), rtol=1e-12)
