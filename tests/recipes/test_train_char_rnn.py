"""``python -m tinytx train char_rnn``: a run whose state goes from step to step, through checkpoints too."""

import numpy as np
import pytest
from run_files import records

from tinytx.training import load_checkpoint, load_state


@pytest.fixture(scope="module")
def run(trained):
    return trained("char_rnn")


def test_a_run_measures_and_writes(run, tinytx):
    """Catches a run without the figure that it is to be compared with, and a model that `sample` cannot use."""
    folder, (code, out, err) = run
    assert code == 0, err
    assert set(records(folder)[-1]) == {"step", "val_loss", "trigram_loss"}
    assert f"Interpolated trigrams: {records(folder)[-1]['trigram_loss']:.4f} nats" in out
    assert tinytx("sample", folder, "--tokens 300 --seed 1").code == 0  # longer than a row


def test_what_the_streams_are_cannot_change(run, tinytx):
    """Catches a state of 3 rows that meets a batch of 4."""
    for flag in ("--batch-size 4", "--length 9"):
        result = tinytx("train char_rnn --resume", run[0], "--steps 40", flag)
        assert result.code == 2 and "--resume cannot change" in result.err


def test_other_commands_take_it_or_say_why_not(run, tinytx):
    """Catches a command that asks every model for a longest sequence, or for attention."""
    profile = tinytx("profile", run[0], "--steps 1")
    assert profile.code == 0 and "body.recurrent.layers.0" in profile.out, profile.err
    assert tinytx("embeddings", run[0]).code == 0
    explain = tinytx("explain", run[0], ["1 times 1"])
    assert explain.code == 0 and "recurrent.layers.0: LSTM, 4 numbers -> a state of 8" in explain.out


def test_a_state_is_learned_with(run):
    """The state that a step leaves is that of the text before the next batch, by the weights of that step."""
    model, _, meta = load_checkpoint(run[0])
    assert meta["step"] == 20 and meta["model"] == "char_rnn" and len(model.body.recurrent.layers) == 1
    arrays = load_state(run[0]).state_dict()
    assert arrays["lengths"].tolist() == [0]
    assert arrays["0.0"].shape == arrays["0.1"].shape == (3, 8) and np.abs(arrays["0.1"]).min() > 0
