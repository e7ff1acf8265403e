"""``python -m tinytx train awd_lstm``: streams of words, steps of many lengths, and averaged weights."""

import numpy as np
import pytest
from run_files import content, records

from tinytx.data import stream_lengths
from tinytx.training import load_checkpoint

AVERAGED = "--optimizer sgd --lr 20 --clip 0 --average 1 --schedule constant --warmup 0 --eval-every 1 --log-every 1"


@pytest.fixture(scope="module")
def run(trained):
    return trained("awd_lstm")


def test_a_run_is_compared_with_trigrams_of_the_same_words(run):
    folder, (code, out, err) = run
    assert code == 0, err
    last = records(folder)[-1]
    assert set(last) == {"step", "val_loss", "perplexity", "trigram_perplexity"}
    assert f"Perplexity {last['perplexity']:.1f}; interpolated trigrams: {last['trigram_perplexity']:.1f}" in out
    assert load_checkpoint(folder)[2]["model"] == "awd_lstm"


def test_a_rate_is_scaled_as_its_step(run, tinytx, flags_of, tmp_path, no_pictures):
    """Catches the length of another step, and a rate that forgets it."""
    rates = []
    for flag in ("--vary", "--no-vary"):
        result = tinytx(flags_of("awd_lstm"), flag, "--log-every 1 --steps 6 --out", tmp_path / flag)
        assert result.code == 0, result.err
        rates.append([r["learning_rate"] for r in records(tmp_path / flag) if "learning_rate" in r])
    np.testing.assert_allclose(rates[0], np.array(rates[1]) * stream_lengths(8, seed=1337, n=6) / 8)


def test_averaged_weights_are_those_of_the_checkpoint_and_go_on_to_the_bit(tinytx, flags_of, tmp_path, no_pictures):
    """Catches a checkpoint with the last weights, measures of them, and a run that goes on from the mean."""
    folders = straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for folder, steps in zip(folders, (12, 9)):
        result = tinytx(flags_of("awd_lstm"), AVERAGED, "--steps", steps, "--out", folder)
        assert result.code == 0, result.err
    model, state, _ = load_checkpoint(resumed)
    assert 0 < state["begun"] < 8  # more than one step is in the mean
    assert (model.head.bias.data != state["average.head.bias"]).any()  # the one to use, the one to go on with
    last = records(resumed)[-1]
    assert last["perplexity"] == pytest.approx(np.exp(last["val_loss"]))
    assert tinytx("train awd_lstm --resume", resumed, "--steps 12").code == 0
    assert content(resumed) == content(straight)


def test_a_slanted_triangle_rises_in_a_tenth_of_the_steps(tinytx, flags_of, tmp_path, no_pictures):
    flags = [*flags_of("awd_lstm"), *"--no-vary --schedule slanted-triangular --lr 0.032 --steps 40 --log-every 1".split()]
    assert tinytx(flags, "--out", tmp_path / "run").code == 0
    rates = [r["learning_rate"] for r in records(tmp_path / "run") if "learning_rate" in r]
    assert rates[0] == pytest.approx(0.001) and rates[4] == max(rates) == pytest.approx(0.032)
    assert rates[-1] == pytest.approx(0.001 + 0.031 / 36)


def test_other_commands_take_it(run, tinytx):
    assert tinytx("sample", run[0], "--tokens 9 --seed 1").code == 0
    profile = tinytx("profile", run[0], "--steps 1")
    assert profile.code == 0 and "body.recurrent.layers.1" in profile.out, profile.err
