"""``python -m tinytx train char_lstm``: a run whose state goes from step to step, through checkpoints too."""

import numpy as np
import pytest
from run_files import content, records

from tinytx.training import load_checkpoint, load_state

TINY = (
    "--d-embedding 4 --d-model 8 --length 8 --batch-size 3 --dropout 0.1 --warmup 3 --threads 2 --eval-every 7 --log-every 5 "
    "--decay-steps 40"
)


@pytest.fixture(scope="module")
def run(tinytx, book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("char_lstm") / "run"
    return folder, tinytx("train char_lstm --data", book, TINY, "--steps 20 --out", folder)


def test_a_run_measures_and_writes(run, tinytx):
    """Catches a run without the figure that it is to be compared with, and a model that `sample` cannot use."""
    folder, (code, out, err) = run
    assert code == 0, err
    assert set(records(folder)[-1]) == {"step", "val_loss", "trigram_loss"}
    assert f"Interpolated trigrams: {records(folder)[-1]['trigram_loss']:.4f} nats" in out
    assert tinytx("sample", folder, "--tokens 300 --seed 1").code == 0  # longer than a row


def test_40_steps_are_20_and_20_more(run, tinytx, book, tmp_path, no_pictures):
    """To the bit: catches a state that begins at 0 again, or that is of another step than the weights."""
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    assert tinytx("train char_lstm --data", book, TINY, "--steps 40 --out", straight).code == 0
    assert tinytx("train char_lstm --data", book, TINY, "--steps 20 --out", resumed).code == 0
    assert tinytx("train char_lstm --resume", resumed, "--steps 40").code == 0
    assert content(resumed) == content(straight)
    arrays = load_state(resumed).state_dict()
    assert arrays["0.0"].shape == arrays["0.1"].shape == (3, 8) and np.abs(arrays["0.1"]).min() > 0


def test_what_the_streams_are_cannot_change(run, tinytx):
    """Catches a state of 3 rows that meets a batch of 4."""
    for flag in ("--batch-size 4", "--length 9"):
        result = tinytx("train char_lstm --resume", run[0], "--steps 40", flag)
        assert result.code == 2 and "--resume cannot change" in result.err


def test_other_commands_take_it_or_say_why_not(run, tinytx):
    """Catches a command that asks every model for a longest sequence, or for attention."""
    profile = tinytx("profile", run[0], "--steps 1")
    assert profile.code == 0 and "body.layers.0" in profile.out, profile.err
    assert tinytx("embeddings", run[0]).code == 0
    explain = tinytx("explain", run[0], ["1 times 1"])
    assert explain.code == 2 and "explain: CharLSTM has no attention" in explain.err


def test_a_state_is_learned_with(run):
    """The state that a step leaves is that of the text before the next batch, by the weights of that step."""
    model, _, meta = load_checkpoint(run[0])
    assert meta["step"] == 20 and meta["model"] == "char_lstm" and len(model.body.layers) == 1
    assert load_state(run[0]).state_dict()["lengths"].tolist() == [0]
