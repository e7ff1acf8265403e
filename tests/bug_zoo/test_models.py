"""The faults that the example trains with are caught in a whole GPT, too; and the example draws its picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from bug_zoo.models import INFECTIONS, infect, tiny_gpt
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.testing import gradcheck, leak_check
from tinytx.testing.compare import Comparison
from tinytx.testing.gradcheck import randomize_parameters, weights
from tinytx.testing.problem import as_layer, make_problem

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bug_zoo.py"


def check(infection=None):
    model, ids, targets = tiny_gpt(infection)
    return gradcheck(model.loss, ids, targets, mode="sampled", samples=1)


def verdict_of(infection):
    """Return gradcheck's verdict on the one parameter at which a fault is known to show; a GPT has eighteen."""
    model, ids, targets = tiny_gpt(infection)
    problem, rng = make_problem(as_layer(model.loss), (ids, targets), None, None), np.random.default_rng(0)
    randomize_parameters(problem.parameters.values(), rng)
    dy = weights(rng, problem.forward())
    return Comparison(problem, dy, 0.0, 1, 1, rng).tensor(infection.tensor, "sampled").verdict


def test_healthy_gpt_passes():
    assert check()
    leak_check(*tiny_gpt()[:2])


@pytest.mark.parametrize("name", [name for name in INFECTIONS if INFECTIONS[name].tensor])
def test_gradcheck_catches_it_in_a_gpt(name):
    assert verdict_of(INFECTIONS[name]) == "FAIL"
    assert verdict_of(INFECTIONS[name]._replace(broken=INFECTIONS[name].sound)) == "PASS"


@pytest.mark.parametrize("name", [name for name in INFECTIONS if not INFECTIONS[name].tensor])
def test_leak_check_catches_it_in_a_gpt(name):
    assert check(INFECTIONS[name])
    with pytest.raises(AssertionError, match="position 0"):
        leak_check(*tiny_gpt(INFECTIONS[name])[:2])


@pytest.mark.parametrize("infection", INFECTIONS.values(), ids=INFECTIONS)
def test_infection_changes_nothing_else(infection):
    """Same parameters, same values; and the same loss at first, unless the forward is what is wrong."""
    config = GPTConfig(vocab_size=7, max_len=6, d_model=6, n_heads=2, n_layers=2)
    sound, broken = (NextToken(GPT(config, rng=np.random.default_rng(0))) for _ in range(2))
    infect(broken, infection)
    broken.load_state_dict(sound.state_dict())
    ids = np.array([[1, 2, 3], [4, 5, 6]])
    if infection.tensor:
        assert sound.loss(ids, ids) == broken.loss(ids, ids)


def test_example_draws(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("bug_zoo_example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the example puts the tests' folder on it
    spec.loader.exec_module(example)
    chosen = {name: INFECTIONS[name] for name in ("tied weights overwritten", "causal mask off by one")}
    monkeypatch.setattr(example, "INFECTIONS", chosen)
    monkeypatch.setattr(sys, "argv", ["bug_zoo.py", "--steps", "2", "--out", str(tmp_path / "zoo.png")])
    example.main()
    printed = "".join(capsys.readouterr())
    assert "FAIL at token.weight" in printed and "PASS, but leak_check: FAIL" in printed
    assert (tmp_path / "zoo.png").read_bytes().startswith(b"\x89PNG")
