"""The example of fine-tuning runs to its table, goes on from its stages, and changes nothing in a frozen body."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.layers import LowRankLinear
from tinytx.training import load_checkpoint

FILE = Path(__file__).resolve().parents[2] / "examples" / "fine_tuning.py"


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("fine_tuning", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SIZES", {"d_model": 16, "n_heads": 2, "n_layers": 1, "dropout": 0.1})
    return module


@pytest.fixture
def texts(tmp_path):
    """The three files, small."""
    things = ("sea", "war", "law", "cat", "sun")
    (tmp_path / "wikitext2.valid.txt").write_text("".join(f"the {a} is near the {b} .\n" for a in things for b in things))
    for word, name in (("dull", "neg"), ("fine", "pos")):
        lines = [f"a {word} film about the {thing} .\n" for thing in things for _ in range(8)]
        (tmp_path / f"rt-polarity.{name}").write_text("".join(lines))
    return tmp_path


def test_the_table(example, tmp_path, monkeypatch, capsys):
    """Catches a variant that is left out, a stage that is trained again, and a picture that is not drawn."""
    texts, arguments = tmp_path, ["fine_tuning", "--out", tmp_path / "run", "--quick", "--threads", 1, "--labels", 40]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments)])
    example.main()
    printed = capsys.readouterr().out
    rows = {name: next(line for line in printed.splitlines() if line.startswith(name)) for name in example.VARIANTS}
    sizes = {name: int(row[43:].split()[0].replace(",", "")) for name, row in rows.items()}
    assert sizes["the head alone"] == 2 * (3 * 16 + 1) < sizes["LoRA"] < sizes["from scratch"] == sizes["all three stages"]
    assert all(0 <= float(row.split()[-5]) <= 1 for row in rows.values())
    assert (texts / "run" / "fine_tuning.png").stat().st_size > 1000
    monkeypatch.setattr(example, "Trainer", None)
    models = [load_checkpoint(texts / "run" / stage)[0].state_dict() for stage in ("general", "reviews")]
    assert any((array != models[1][path]).any() for path, array in models[0].items())
    again = example.pretrain(None, None, None, 1, texts / "run" / "general", 1)  # read, and not trained
    assert all((array == models[0][path]).all() for path, array in again.state_dict().items())


def test_what_each_variant_trains(example, texts):
    tokenizer, general, train, test = example.prepare(*example.read(texts))
    assert len(train[0]) == 72 and len(test[0]) == 8 and all(len(row) <= example.LENGTH for row in general)
    config = example.GPTConfig(tokenizer.vocab_size, max_len=example.LENGTH, **example.SIZES)
    for how in ("all", "depth", "head", "lora", "auxiliary"):
        body = example.GPT(config, rng=np.random.default_rng(0))
        before = {path: array.copy() for path, array in body.state_dict().items()}
        task, groups = example.classifier(body, tokenizer, 0, how)
        accuracy = example.fine_tune(task, groups, train, test, tokenizer, 40, 1, 0, 1)
        assert 0 <= accuracy <= 1
        same = [(array == before[path]).all() for path, array in body.state_dict().items() if path in before]
        assert all(same) if how in ("head", "lora") else not any(same)
        assert any(isinstance(layer, LowRankLinear) for _, layer in task.named_layers()) == (how == "lora")
    assert list(example.next_words([np.array([3, 4, 5]), np.array([6])], 0)[1][1]) == [-100, -100]


def test_missing_files_are_named(example, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fine_tuning", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match="there is no rt-polarity.pos in"):
        example.main()
