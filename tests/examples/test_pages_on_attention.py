"""The short pages before attention: their docstrings hold the tables that they print, and their backwards are right."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.testing import check_layer, gradcheck

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAGES = "why_sqrt_d", "one_hot_and_embedding", "weights_of_the_input"


def page(name):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location(f"{name}_example", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PAGES)
def test_the_table_is_the_docstrings(name, tmp_path, monkeypatch, capsys):
    """The whole program, as a reader runs it: words are the same, and numbers but for the last bits of a training."""
    example, picture = page(name), tmp_path / "page.png"
    monkeypatch.setattr(sys, "argv", [name, "--out", str(picture)])
    example.main()
    *lines, wrote = capsys.readouterr().out.splitlines()
    assert wrote == f"Wrote {picture}" and picture.read_bytes().startswith(b"\x89PNG")
    table = [line[4:] for line in example.__doc__.splitlines() if line.startswith("    ")][1:]
    number = r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?"
    assert [re.sub(r"\s+", " ", re.sub(number, "#", line)) for line in lines] == [
        re.sub(r"\s+", " ", re.sub(number, "#", line)) for line in table
    ]
    found, said = ([float(n.replace(",", "")) for n in re.findall(number, "\n".join(text))] for text in (lines, table))
    assert found == pytest.approx(said, abs=0.03, rel=0.05)


def test_the_backward_of_fixed_weights():
    example, rng = page("weights_of_the_input"), np.random.default_rng(0)
    layer = example.FixedWeights(5)
    layer.scores.data = rng.normal(size=5)
    x, memory = rng.normal(size=(3, 1, 4)), rng.normal(size=(3, 5, 4))
    assert gradcheck(layer, x, memory, seed=0).verdict == "PASS"
    check_layer(layer, x, memory)


@pytest.mark.parametrize("name", ["fixed weights", "attention"])
def test_the_backward_of_the_whole_model(name):
    """Catches a use of the table of keys that is left out: it embeds the list's keys and the asked one."""
    example, rng = page("weights_of_the_input"), np.random.default_rng(0)
    model = example.models(rng)[name]
    for parameter in model.parameters():
        parameter.data = rng.normal(size=parameter.data.shape)
    assert gradcheck(model, *example.lists(rng, 3)[:3], mode="directional", seed=0).verdict == "PASS"
