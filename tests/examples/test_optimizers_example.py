"""The example about optimisers and embeddings: its measure measures, and it draws its picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "optimizers_and_embeddings.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("optimizers_and_embeddings", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_neighbours_are_counted_on_both_sides(example):
    """Catches sides that are swapped, and a logarithm of counts alone: the word 2 stands after 1, both times."""
    table = example.neighbours(np.array([0, 1, 2, 0, 0, 1, 2]), 4, frequent=3)
    before, after = table[2, :3], table[2, 3:]
    np.testing.assert_allclose(sorted(np.nonzero(before)[0]) + sorted(np.nonzero(after)[0]), [0, 1])
    assert table[2].argmax() == 4  # 1 in front of it; column 0..2 are those that follow
    assert (table >= 0).all() and not table[3].any()


def test_agreement_is_0_for_noise_and_1_for_the_thing_itself(example):
    """Catches a measure that a large start, a common shift or mere length raises."""
    rng = np.random.default_rng(0)
    expected = rng.standard_normal((400, 16))
    words = slice(1, 401)
    noise = rng.standard_normal((400, 16))
    assert abs(example.agreement(noise, expected, words)) < 0.02
    shifted = 3 * (expected - expected[words].mean(0)) * rng.uniform(1, 2, (400, 1))
    assert example.agreement(shifted, expected, words) > 0.9
    assert 0.2 < example.agreement(expected + noise, expected, words) < 0.8


def test_example_draws(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    chosen = {name: example.OPTIMIZERS[name] for name in ("Adam, L2", "Ranger")}
    for name, value in {"SETTINGS": example.SETTINGS[-1:], "WORDS": 300, "OPTIMIZERS": chosen}.items():
        monkeypatch.setattr(example, name, value)
    options = ["--steps", "25", "--seeds", "1", "--out", str(tmp_path / "curves.png")]
    monkeypatch.setattr(sys, "argv", [PATH.name, *options])
    example.main()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("start")]
    assert [name in line for name, line in zip(chosen, lines, strict=True)] == [True, True]
