"""The example of the sentiment unit: in its quick mode it trains, judges and draws."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "sentiment_unit.py"


def test_what_it_prints_and_draws(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("sentiment_unit_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    picture = tmp_path / "unit.png"
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--picture", str(picture)])
    module.main()
    first, wrote = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"unit \d alone [01]\.\d{3}, \d of 8 units [01]\.\d{3}, of 30 reviews", first)
    assert wrote == f"Wrote {picture}" and picture.read_bytes().startswith(b"\x89PNG")
