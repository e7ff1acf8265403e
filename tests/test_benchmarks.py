"""What the benchmarks compare computes the same thing."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.models import BertConfig

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
op_sides = importlib.import_module("op_sides")
SHAPE = importlib.import_module("sides").Shape(vocab_size=50, max_len=32, d_model=64, n_heads=4, n_layers=1, batch=2)


@pytest.fixture(params=op_sides.OURS)
def problem(request):
    """Return an operation's name, its case, and the results of its NumPy twin."""
    case = op_sides.make_case(request.param, SHAPE)
    return request.param, case, op_sides.twin_results(request.param, case)


def test_twins_are_equal(problem):
    name, case, expected = problem
    op_sides.check(name, op_sides.OURS[name], case, expected)


def test_pytorch_is_equal(problem):
    pytest.importorskip("torch")
    name, case, expected = problem
    op_sides.check(name, op_sides.torch_side()[name], op_sides.torch_case(name, case), expected)


def test_another_gradient_is_refused(problem):
    """The test of the test: the last gradient alone is 5 % too large."""
    name, case, expected = problem
    forward, backward = op_sides.OURS[name]

    def mutant(dy, saved):
        gradients = backward(dy, saved)
        *others, last = gradients if isinstance(gradients, tuple) else (gradients,)
        return (*others, last * last.dtype.type(1.05))

    with pytest.raises(AssertionError):
        op_sides.check(name, (forward, mutant), case, expected)


def test_shards_are_the_whole(problem):
    """Nothing of the batch is left out where threads share it."""
    _, case, _ = problem
    shards = case.shards(2)
    assert [sum(map(len, arrays)) for arrays in zip(*(shard.rows for shard in shards))] == [2] * len(case.rows)
    assert case.dy is None or sum(len(shard.dy) for shard in shards) == 2


# ---------------------------------------------------------------------------------------- the BERT tutorial

bert_tutorial = importlib.import_module("bert_tutorial")


def tutorial_losses(side, n_steps=4):
    """Return the losses of a side's steps on one batch, without dropout."""
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 24, "dropout": 0.0, "feed_forward_dropout": 0.0}
    trainer, rng = bert_tutorial.SIDES[side](BertConfig.tutorial(40, **sizes), 1), np.random.default_rng(0)
    ids = rng.integers(0, 37, (6, 20))
    hidden = rng.random(ids.shape) < 0.3
    return [trainer.step(np.where(hidden, 39, ids), np.where(hidden, ids, -100)) for _ in range(n_steps)]


@pytest.mark.parametrize("side", ["torch", "torch_tuned"])
def test_the_tutorials_sides_take_the_same_steps(side, monkeypatch):
    """Catches another init, rate, decay or mean: ours and the script's, from the same weights, with a large decay."""
    pytest.importorskip("torch")
    monkeypatch.setattr(bert_tutorial, "DECAY", 0.1)
    np.testing.assert_allclose(tutorial_losses(side), tutorial_losses("ours"), rtol=2e-5)


def test_decay_is_part_of_the_tutorials_steps(monkeypatch):
    """The test of the test: with another decay, losses are others by far more than it allows."""
    losses = tutorial_losses("ours")
    monkeypatch.setattr(bert_tutorial, "DECAY", 0.1)
    assert np.abs(np.subtract(tutorial_losses("ours"), losses))[-1] > 1e-3


def test_the_tutorials_curves_stand_beside_one_another():
    losses = {"ours": list(np.linspace(9, 7, 151)), "torch": list(np.linspace(9, 6, 151))}
    rows = [line.split() for line in bert_tutorial.curves(losses).split("\n")]
    assert rows[1] == ["0", "9.11", "9.000", "9.000"]
    assert rows[2] == ["100", "6.36", "7.667", "7.000"]
    assert rows[3] == ["150", "7.000", "6.000"]


def test_the_tutorials_benchmark_runs(tmp_path, monkeypatch, capsys):
    """The library alone, two steps: children, turns, table and file."""
    text = tmp_path / "text.txt"
    text.write_text("Reprise de la session, mes chers amis.\n" * 30, encoding="utf-8")
    monkeypatch.setattr(bert_tutorial.turns, "rivals", lambda *names: [])
    options = ["--data", text, "--lines", 9, "--train", 2, "--threads", 1, "--json", tmp_path / "figures.json"]
    monkeypatch.setattr(sys, "argv", ["bert_tutorial.py", *map(str, options)])
    bert_tutorial.main()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["losses"]["ours"]) == 2 and figures["ours"]["ms"] > 0
    assert "ms a step" in capsys.readouterr().out
