"""The profile: every layer is charged once, and the model is left alone."""

import numpy as np

from tinytx import Tape
from tinytx.cli import main
from tinytx.models import GPT, GPTConfig
from tinytx.training.profiler import profile


def make():
    model = GPT(GPTConfig(vocab_size=11, max_len=8, d_model=8, n_heads=2, n_layers=2), rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 11, (3, 8))
    return model, ids


def test_bytes_are_the_tapes_and_layers_with_parameters_take_time():
    """A layer that is skipped, or bytes counted twice, would send the reader to the wrong place."""
    model, ids = make()
    rows = {row.path: row for row in profile(model, ids, ids, steps=2)}
    tape = Tape()
    model.loss(ids, ids, tape)
    assert sum(row.kept for row in rows.values()) == sum(size for _, _, size in tape.kept()) > 0
    for path in ("token", "blocks.0.attention.f", "blocks.1.feed_forward.f.contract", "norm", "head"):
        assert rows[path].forward > 0 and rows[path].backward > 0


def test_the_model_is_not_touched():
    """The timed copy's gradients and wrapped methods stay its own."""
    model, ids = make()
    profile(model, ids, ids, steps=1)
    assert all(not parameter.grad.any() for parameter in model.parameters())
    assert all("backward" not in vars(layer) for _, layer in model.named_layers())


def test_the_command_prints_a_row_for_each_layer(capsys):
    assert main(["profile", "--d-model", "8", "--n-heads", "2", "--n-layers", "1", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert "blocks.0.attention.f.query" in printed and "keeping" in printed
