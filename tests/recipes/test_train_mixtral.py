"""``train mixtral``: how often each expert is used is printed and recorded."""

import re

import pytest
from run_files import records


def test_shares_of_experts_are_measured(trained):
    """Catches the smallest share for the largest, and others than those that are printed."""
    folder, (_, out, _) = trained("mixtral")
    last = records(folder)[-1]
    lines = [line for line in out.splitlines() if ": shares of the choices" in line]
    assert [line.split(":")[0] for line in lines] == ["blocks.0.feed_forward.f"]
    shares = [float(word) for word in re.findall(r"([\d.]+)%", lines[0])]
    assert last["cross_entropy"] < last["val_loss"] - 0.01, "its share of the loss: 0.01 for each of two experts, at the least"
    assert len(shares) == 3 and sum(shares) == pytest.approx(100, abs=0.2)
    assert last["largest_share"] == pytest.approx(max(shares) / 100, abs=6e-4)
    assert last["smallest_share"] == pytest.approx(min(shares) / 100, abs=6e-4)


def test_without_experts_one_has_all(tinytx, flags_of, tmp_path, no_pictures):
    """The run of a recipe gpt_modern goes on; catches a largest share of none."""
    assert tinytx(flags_of("gpt_modern"), "--steps 1 --out", tmp_path / "run").code == 0
    result = tinytx("train mixtral --resume", tmp_path / "run", "--steps 2")
    assert result.code == 0, result.err
    last = records(tmp_path / "run")[-1]
    assert last["largest_share"] == last["smallest_share"] == 1
    assert last["cross_entropy"] == pytest.approx(last["val_loss"], rel=1e-5)
