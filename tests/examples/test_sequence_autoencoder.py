"""The example of the sequence autoencoder: what it is asked, and in its quick mode what it prints."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("sequence_autoencoder", FOLDER / "sequence_autoencoder.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_read_and_what_is_asked(module):
    """The example of the page, beside a shorter text. Catches a text whose first time is asked, and words one place off."""
    ids = np.array([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
    inputs, targets = module.next_words(ids, 0, True)
    assert inputs.tolist() == [[2, 5, 6, 7, 3, 5, 6, 7], [2, 8, 3, 8, 0, 0, 0, 0]]
    assert targets.tolist() == [[-100] * 4 + [5, 6, 7, 3], [-100, -100, 8, 3, -100, -100, -100, -100]]
    inputs, targets = module.next_words(ids, 0, False)
    assert inputs.tolist() == [[2, 5, 6, 7], [2, 8, 0, 0]] and targets.tolist() == [[5, 6, 7, 3], [8, 3, -100, -100]]


def test_what_it_prints(module, monkeypatch, capsys):
    """Catches a variant that begins from another body than it says."""
    bodies, classified = [], module.classified
    monkeypatch.setattr(module, "classified", lambda recipe, flags, model: bodies.append(model) or classified(recipe, flags, model))
    monkeypatch.setattr(module, "SEEDS", (0,))
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--threads", "1"])
    module.main()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"LM-LSTM: perplexity \d+\.\d of the next word", lines[0])
    assert re.fullmatch(r"SA-LSTM: perplexity \d+\.\d of a word of a text that it has just read", lines[1])
    for name, line in zip(module.VARIANTS, lines[3:]):
        assert re.fullmatch(rf"  {name} +[01]\.\d{{3}}  [01]\.\d{{3}}  [01]\.\d{{3}}", line)
    assert len(lines) == 2 + 2 * 6 and bodies[0] is None and bodies[1] is bodies[2] and bodies[3] is bodies[4]
    assert not np.array_equal(bodies[1].body.token.weight.data, bodies[3].body.token.weight.data)
