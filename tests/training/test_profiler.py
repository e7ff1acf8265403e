"""The profile: every layer is charged once, and the model is left alone."""

import itertools
import time

import numpy as np
import pytest

from tinytx import Tape
from tinytx.cli import main
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import AdamW, profiler
from tinytx.training.profiler import Row, by_class, profile, time_update


def make():
    model = NextToken(GPT(GPTConfig(vocab_size=11, max_len=8, d_model=8, n_heads=2, n_layers=2), rng=np.random.default_rng(0)))
    ids = np.random.default_rng(1).integers(0, 11, (3, 8))
    return model, ids


def test_bytes_are_the_tapes_and_layers_with_parameters_take_time():
    """A layer that is skipped, or bytes counted twice, would send the reader to the wrong place."""
    model, ids = make()
    rows = {row.path: row for row in profile(model, ids, ids, steps=2)}
    tape = Tape()
    model.loss(ids, ids, tape)
    assert sum(row.kept for row in rows.values()) == sum(size for _, _, size in tape.kept()) > 0
    for path in ("body.token", "body.blocks.0.attention.f", "body.blocks.1.feed_forward.f.contract", "body.norm", "head"):
        assert rows[path].forward > 0 and rows[path].backward > 0


def test_times_are_those_of_one_step(monkeypatch):
    """Catches a sum over the steps for their mean, and a first step that counts: here each look at the clock takes 1 s."""
    model, ids = make()
    clock = itertools.count()
    monkeypatch.setattr(profiler.time, "perf_counter", lambda: float(next(clock)))
    one, three = (profile(model, ids, ids, steps=steps) for steps in (1, 3))
    assert one == three and sum(row.forward + row.backward for row in one) > len(one)


def test_the_model_is_not_touched():
    """The timed copy's gradients and wrapped methods stay its own."""
    model, ids = make()
    profile(model, ids, ids, steps=1)
    assert all(not parameter.grad.any() for parameter in model.parameters())
    assert all("backward" not in vars(layer) for _, layer in model.named_layers())


def test_the_command_prints_a_row_for_each_layer(capsys):
    assert main(["profile", "--d-model", "8", "--n-heads", "2", "--n-layers", "1", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert "body.blocks.0.attention.f.query" in printed and "keeping" in printed


def test_sums_by_class():
    """Catches a class that is counted twice or left out: the sums must be those of all rows."""
    model, ids = make()
    rows = profile(model, ids, ids, steps=1)
    sums = {row.path: row for row in by_class(rows)}
    assert sums["LayerNorm"].layer == "5 x" and sums["NextToken"].layer == "1 x"
    for field in ("forward", "backward", "kept"):
        total = sum(getattr(row, field) for row in rows)
        assert sum(getattr(row, field) for row in sums.values()) == pytest.approx(total)
    assert by_class([Row("a", "Linear", 1.0, 2.0, 3), Row("b", "Linear", 10.0, 20.0, 30)]) == [
        Row("Linear", "2 x", 11.0, 22.0, 33)
    ]


def test_one_slow_step_does_not_count(monkeypatch):
    """Catches a mean: another program's moment would be charged to a layer."""
    model, ids = make()
    loss, calls = NextToken.loss, []

    def slow(self, *batch, **options):
        calls.append(None)
        if len(calls) == 3:
            time.sleep(0.2)
        return loss(self, *batch, **options)

    monkeypatch.setattr(NextToken, "loss", slow)
    assert sum(row.forward for row in profile(model, ids, ids, steps=5)) < 0.04
    assert len(calls) == 6


def test_the_optimisers_time():
    """Catches a step without gradients, and the time of forward and backward in it."""
    model, ids = make()
    before = model.parameters()[0].data.copy()
    assert 0 < time_update(AdamW(model, 1e-3), model, ids, ids, steps=3) < 0.5
    assert (model.parameters()[0].data != before).any()


@pytest.mark.parametrize("steps", [0, -1])
def test_the_mean_over_no_steps(steps):
    """Catches a division by 0 after a step that nobody asked for."""
    model, ids = make()
    with pytest.raises(ValueError, match=f"profile: steps is {steps}, expected at least 1"):
        profile(model, ids, ids, steps=steps)
