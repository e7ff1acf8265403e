"""The example of ULMFiT's stages: in its quick mode it trains each variant, prints a table and draws it."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "ulmfit.py"


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location("ulmfit_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_it_prints_and_draws(module, tmp_path, monkeypatch, capsys):
    """Catches a variant that begins from another body than it says, and language models that are trained anew."""
    pytest.importorskip("matplotlib")
    bodies, picture = [], tmp_path / "stages.png"
    classified = module.classified
    monkeypatch.setattr(module, "classified", lambda recipe, flags, model: bodies.append(model) or classified(recipe, flags, model))
    monkeypatch.setattr(module, "SEEDS", (0,))
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--threads", "1", "--picture", str(picture)])
    module.main()
    *table, wrote = capsys.readouterr().out.splitlines()
    assert len(table) == 2 * (1 + len(module.VARIANTS)) and table[0].startswith("Do the words stand as written?")
    for name, line in zip(module.VARIANTS, table[1:]):
        assert re.fullmatch(rf"  {name} +[01]\.\d{{3}}  [01]\.\d{{3}}  [01]\.\d{{3}}", line)
    assert wrote == f"Wrote {picture}" and picture.read_bytes().startswith(b"\x89PNG")
    assert bodies[0] is None and len({id(model) for model in bodies}) == 4 and bodies[3] is bodies[4]
    words = [model.body.token.weight.data for model in bodies[1:4]]
    assert not any(np.array_equal(words[i], words[j]) for i, j in ((0, 1), (1, 2), (0, 2)))


def test_the_last_stage_begins_from_the_language_model(module, tmp_path, monkeypatch):
    module.make_up(tmp_path)
    recipe = module.load_recipe("ulmfit")
    flags = {name: str(tmp_path / file) for name, file in module.NAMES.items()}
    flags |= {"threads": 1, "d_model": 6, "d_hidden": 8, "labelled": 20}
    model = module.language_model(recipe, flags, [2, 2])
    before = model.body.token.weight.data.copy()
    taken, make = [], module.make_trainer
    monkeypatch.setattr(module, "make_trainer", lambda own, task, *others: taken.append(task) or make(own, task, *others))
    module.classified(recipe, flags | {"steps": 2, "class_lr": 1e-30}, model)
    np.testing.assert_array_equal(taken[0].body.token.weight.data, before)
    np.testing.assert_array_equal(model.body.token.weight.data, before)
    assert module.language_model(recipe, flags, [0, 0]) is None
