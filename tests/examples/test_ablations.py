"""The page of ablations: every variant is what it says, has a right gradient, and is in the table and the picture."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.layers import (
    Alibi,
    BatchNorm,
    GatedFeedForward,
    LayerNorm,
    LearnedPositions,
    Residual,
    RMSNorm,
    SinusoidalPositions,
)
from tinytx.layers.batch_norm import calibrate
from tinytx.testing import gradcheck

FILE = Path(__file__).resolve().parents[2] / "examples" / "ablations.py"


@pytest.fixture
def example():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("ablations_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def body_of(example, **changes):
    return example.body(example.Parts(**changes), 9, 2, np.random.default_rng(0))


def kinds(body):
    return {type(layer) for _, layer in body.named_layers()}


def test_each_change_is_made(example):
    """Catches a variant that is the GPT under another name."""
    plain = kinds(body_of(example))
    assert {LayerNorm, Residual, LearnedPositions} <= plain and not plain & {RMSNorm, GatedFeedForward, Alibi}
    assert RMSNorm in kinds(body_of(example, norm="rms")) and LayerNorm not in kinds(body_of(example, norm="none"))
    assert BatchNorm in kinds(body_of(example, norm="batch")) and LayerNorm not in kinds(body_of(example, norm="batch"))
    post = body_of(example, order="post")
    assert post.norm is None and post.blocks[1].feed_forward.norm_order == "post"
    assert Residual not in kinds(body_of(example, short_cut=False))
    positions = {name: body_of(example, positions=name) for name in ("none", "sinusoidal", "alibi", "rotary")}
    assert LearnedPositions not in set().union(*map(kinds, positions.values()))
    assert isinstance(positions["sinusoidal"].position, SinusoidalPositions) and positions["none"].position is None
    assert isinstance(positions["alibi"].relative, Alibi) and positions["rotary"].blocks[1].attention.f.rotary
    assert body_of(example, **example.VARIANTS["positions"]["sinusoidal, embeddings times 8"]).token.scale == 8
    modern = body_of(example, **example.MODERN)
    assert not any(path.endswith("bias") for path, _ in modern.named_parameters())
    assert GatedFeedForward in kinds(modern) and modern.blocks[0].attention.f.n_kv_heads == 2


def test_a_gradient_without_short_cuts(example):
    layer = example.body(example.Parts(short_cut=False, norm="none"), 9, 1, np.random.default_rng(0)).blocks[0].feed_forward
    assert isinstance(layer, example.Bare)
    x = np.random.default_rng(0).normal(size=(1, 2, example.D))
    assert gradcheck(layer, x, mode="directional").verdict == "PASS"


@pytest.mark.parametrize("positions", ["alibi", "none"])
def test_no_word_sees_later_ones(example, positions):
    body, ids = body_of(example, positions=positions), np.arange(12).reshape(2, 6) % 9
    other = ids.copy()
    other[:, 4:] = 0
    np.testing.assert_array_equal(body(other)[:, :4], body(ids)[:, :4])
    assert (body(other)[:, 4:] != body(ids)[:, 4:]).any()


def test_the_table_and_the_picture(example, tmp_path, monkeypatch, capsys):
    """Catches a variant that is left out; a training that fails is a line of its own."""
    variants = {"GPT": {"as it is": {}}, "norm": {"no norm": {"norm": "none"}, "batch": {"norm": "batch"}, "bad": {"order": "post"}}}
    monkeypatch.setattr(example, "VARIANTS", variants)
    step = example.Trainer.step

    def fails(self, *batch):
        if self.model.body.norm is None:
            raise example.NotFiniteError("too large")
        return step(self, *batch)

    calibrated = []
    monkeypatch.setattr(example, "calibrate", lambda model, batches: calibrated.append(len(batches)) or calibrate(model, batches))
    monkeypatch.setattr(example.Trainer, "step", fails)
    monkeypatch.setattr(sys, "argv", ["ablations", "--quick", "--threads", "1", "--out", str(tmp_path / "a.png")])
    example.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert [row[-4] == "nan" for row in rows] == [False, False, False, True] and calibrated == [20]
    assert rows[0][-4] != rows[1][-4] and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
