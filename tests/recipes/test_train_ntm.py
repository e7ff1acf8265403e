"""``train ntm``: what is copied, and what is said of a run."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.recipes.ntm import SETTINGS, prepare

ROOT = Path(__file__).resolve().parents[2]


def test_the_sequences():
    """Catches an answer that stands in the input at its own step, a length that never comes, steps that are all alike."""
    prepared = prepare(SETTINGS(n_bits=3, longest=4, batch_size=5), None)
    batches = [prepared.batch(step) for step in range(30)]
    assert {x.shape[1] // 2 - 1 for x, _ in batches} == {1, 2, 3, 4}
    assert len({x.tobytes() for x, _ in batches}) == 30
    for x, bits in [*batches, *prepared.validation, prepared.kept]:
        n = x.shape[1] // 2 - 1
        assert x.shape == (*bits.shape[:2], 5) and x.dtype == np.float32
        np.testing.assert_array_equal(x[:, 1 : n + 1, :3], bits[:, n + 2 :])
        assert (bits[:, : n + 2] == -100).all() and not x[:, n + 2 :, :3].any()
        assert np.argwhere(x[0, :, 3:]).tolist() == [[0, 0], *[[t, 1] for t in range(n + 1, 2 * n + 2)]]
    assert [x.shape[1] for x, _ in [*prepared.validation, prepared.kept]] == [10, 18]


def test_a_run_says_where_its_heads_were(trained):
    folder, (code, out, _) = trained("ntm")
    assert code == 0
    assert [int(n) for n in re.findall(r"^Length (\d+): \d+\.\d{4} bits per element, \d+\.\d\d% of bits wrong$", out, re.MULTILINE)] == [3, 6]
    rows = [[int(n) for n in line.split()] for line in re.findall(r"^Rows it .*: +([\d ]+)$", out, re.MULTILINE)]
    assert [len(line) for line in rows] == [3, 4] and max(max(rows)) < 5


def test_its_memory_is_drawn(trained, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("ntm_memory", ROOT / "examples" / "ntm_memory.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(sys, "argv", ["ntm_memory", str(trained("ntm")[0]), "--length", "5", "--out", str(tmp_path)])
    example.main()
    assert re.fullmatch(rf"\d+\.\d% of bits wrong: {tmp_path / 'ntm_memory.png'}\n", capsys.readouterr().out)
    assert (tmp_path / "ntm_memory.png").read_bytes().startswith(b"\x89PNG")
