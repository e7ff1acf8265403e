"""GPTs as others write them: the same logits as ours, and other ones with another program's settings."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "gpt_relatives.py"
SPEC = importlib.util.spec_from_file_location("gpt_relatives_example", FILE)
example = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(example)


@pytest.mark.parametrize("name", example.RELATIVES)
def test_logits_are_the_same(name, monkeypatch):
    theirs, ours = example.compare(name)
    assert ours.shape == theirs.shape == (3, 10, 50) and ours.std() > 0.1
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12)
    forward, options = example.RELATIVES[name]
    monkeypatch.setitem(example.RELATIVES, name, (forward, options | {"activation": "gelu"}))
    theirs, ours = example.compare(name)
    assert np.abs(theirs - ours).max() > 1e-6


def test_it_prints_a_line_for_each(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpt_relatives"])
    example.main()
    assert [line.split(" logits")[0].strip() for line in capsys.readouterr().out.splitlines()] == [*example.RELATIVES]
