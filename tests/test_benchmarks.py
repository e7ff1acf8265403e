"""What the benchmarks compare computes the same thing."""

import importlib
import json
import os
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
    assert not np.ndim(case.dy) or sum(len(shard.dy) for shard in shards) == 2


def test_the_products_of_a_step_are_all_there():
    """Catches a product left out, which would make every step look slow. One tile has all scores, and backward makes them again."""
    products, sides = (importlib.import_module(name) for name in ("products", "sides"))
    made = products.Products(SHAPE, 2)
    made.step()
    shards = [sum(2 * a.shape[-1] * out.size for a, _, out in shard) for shard in made._shards]
    scores = 7 * 2 * SHAPE.batch * SHAPE.max_len**2 * SHAPE.d_model
    half = 6 * SHAPE.batch * SHAPE.max_len**2 * SHAPE.d_model
    assert sum(shards) == sides.flops(SHAPE) - half + scores and shards[0] == shards[1]


calibrate_gradcheck = importlib.import_module("calibrate_gradcheck")


@pytest.mark.parametrize("name", [*calibrate_gradcheck.OPS, *calibrate_gradcheck.LAYERS])
def test_every_case_can_be_drawn(name):
    """Kinks included, of which half of the draws have some."""
    for seed in range(4):
        target, inputs, _ = calibrate_gradcheck.problem_of(name, np.random.default_rng(seed), 1e-3, 1e2)
        assert callable(target) and inputs


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


# ---------------------------------------------------------------------------------------- one side alone is no comparison

turns = importlib.import_module("turns")
error_bars = importlib.import_module("error_bars")
SIDE = """
import sys
sys.path.insert(0, {folder!r})
import turns
name = sys.argv[2]
if name == "missing":
    raise ImportError("no such rival")
turns.serve(lambda request: {{"ms": 1 / request, "loss": 2.0}})
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "side.py"
    path.write_text(SIDE.format(folder=str(Path(turns.__file__).parent)))
    return str(path)


def test_sides_answer_and_end(script):
    with turns.running(script, ["a", "b"], env=os.environ) as children:
        turns.take_turns(children.values(), 2, 4)
        assert [child.median("ms") for child in children.values()] == [0.25, 0.25]
    assert all(child._process.returncode == 0 for child in children.values())
    assert turns.ask_once(script, "a", 2, env=os.environ) == {"ms": 0.5, "loss": 2.0}


@pytest.mark.parametrize(
    ("sides", "request_", "said"),
    [(["a", "missing"], 1, "missing does not run here: .*no such rival"), (["a"], 0, "a ended in its turn 0: .*ZeroDiv")],
    ids=["does not start", "fails in its turn"],
)
def test_a_side_that_fails_ends_the_benchmark(script, sides, request_, said):
    """By an exit code, not by a line among figures that only one side has."""
    with pytest.raises(SystemExit, match="(?s)" + said), turns.running(script, sides, env=os.environ) as children:
        turns.take_turns(children.values(), 1, request_)


@pytest.mark.parametrize("losses", [{"a": 1.0, "b": 1.02}, {"a": np.nan, "b": np.nan}, {"a": np.inf, "b": np.inf}])
def test_sides_that_do_not_compute_the_same_end_the_benchmark(losses):
    with pytest.raises(SystemExit, match="do not compute the same"):
        turns.check_losses(losses, 0.01)
    turns.check_losses({"a": 1.0, "b": 1.009}, 0.01)
    turns.check_losses({"a": 1.0, "b": 3.0})
    turns.check_losses({"a": 0.001, "b": 0.01}, 0.01, atol=0.01)
    with pytest.raises(SystemExit):
        turns.check_losses({"a": 0.001, "b": 0.012}, 0.01, atol=0.01)


def test_quick_is_a_name_for_other_options():
    """What is given beside it wins."""
    parser = turns.parser("", turns=7, quick="--turns 1 --threads 3")
    assert parser.parse_args([]).turns == 7
    assert parser.parse_args(["--quick"]).turns == 1
    arguments = parser.parse_args(["--quick", "--turns", "2"])
    assert (arguments.turns, arguments.threads) == (2, 3)


@pytest.mark.parametrize("error", [0.5, 2.0, np.nan, np.inf])
def test_an_error_that_is_no_number_exceeds_its_bar(error):
    row = error_bars.row("f", 1.0, [(0.0, 1.0, 1.0), (error, 1.0, 1.0)])
    assert row["exceed"] == (error != 0.5)
    assert row["worst_ratio"] == (error if np.isfinite(error) else np.inf)


# ---------------------------------------------------------------------------------------- whole processes, and busy ones

startup, busy = (importlib.import_module(name) for name in ("startup", "busy"))


def test_imports_are_timed_beside_numpy_of_the_same_round():
    """Catches a difference of medians: a round in which all is slow moves both."""
    seconds = {name: [1.0, 5.0, 3.0] for name in startup.COMMANDS} | {"tinytx": [1.25, 6.0, 3.5]}
    figures = startup.process_figures(seconds)
    assert figures["tinytx"] == 3.5 and figures["tinytx_above_numpy"] == 0.5 and figures["models_and_training_above_numpy"] == 0


def answered(name, tokens, rate):
    child = turns.Child.__new__(turns.Child)
    child.name, child.turns = name, [{"rate": rate, "tokens": tokens}]
    return child


def test_tokens_chosen_with_and_without_help_are_the_same():
    sides = {name: answered(name, [1, 2], rate) for name, rate in zip(busy.SIDES, (30.0, 20.0, 60.0, 60.0))}
    row = busy.compare(sides)
    assert row["float32_helped_to_alone_ratio"] == 1.5 and row["int8_helped_to_alone_ratio"] == 1
    sides["int8_alone"].turns[0]["tokens"] = [1, 3]
    with pytest.raises(SystemExit, match="int8: .* other tokens"):
        busy.compare(sides)


def test_programs_beside_end_with_the_context():
    with busy.counting(2) as programs:
        assert [program.poll() for program in programs] == [None, None]
    assert all(program.returncode for program in programs)
