"""What long attention gives up: what the rows ask for, which models are compared, and the table and the picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "long_attention.py"


@pytest.fixture
def example():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("long_attention_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_needle_is_asked_for_at_the_end(example):
    ids, targets = example.needles(np.random.default_rng(0), 50)
    large = (ids >= example.LETTERS) & (ids < example.MARK)
    assert (large.sum(axis=1) == 1).all() and not large[:, example.N // 2 :].any()
    assert (ids[:, -1] == example.MARK).all() and (targets[:, -1] == ids[large]).all()
    assert (targets[:, :-1] == example.IGNORED).all()


def test_copies_are_asked_for_where_they_do_not_stand(example):
    """A model that sees what comes later sees question marks alone."""
    ids, targets = example.copies(np.random.default_rng(0), 5)
    half = example.N // 2
    assert (ids[:, half:] == example.MARK).all() and (targets[:, :half] == example.IGNORED).all()
    np.testing.assert_array_equal(targets[:, half:], ids[:, :half])


@pytest.mark.parametrize("task", ["needle", "copying"])
def test_every_kind_answers(example, task):
    """All have the same width and number of blocks."""
    batch = example.TASKS[task](np.random.default_rng(0), 2)
    for kind in example.KINDS:
        model = example.make(kind)
        assert np.isfinite(model.loss(*batch)) and model.config.d_model == 64 and model.config.n_layers == 2


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "long.png")
    monkeypatch.setattr(sys, "argv", ["long_attention", "--quick", "--threads", "1", "--kinds", "window", "linear", "--out", out])
    monkeypatch.setattr(example, "JUDGED", 20)
    example.main()
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head in example.__doc__.replace("    kind   ", "kind   ") and last == f"Wrote {out}"
    assert [row.split()[0] for row in rows] == ["window", "linear"]
    assert Path(out).read_bytes().startswith(b"\x89PNG")


def test_the_docstring_has_a_row_for_each_kind(example):
    table = [line.strip() for line in example.__doc__.splitlines() if line.startswith("    ")]
    assert all(any(line.startswith(f"{kind} ") for line in table) for kind in example.KINDS)
