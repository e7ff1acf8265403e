"""``python -m tinytx train transformer_xl``: segments of streams, a memory that goes from step to step, and what it is worth."""

import numpy as np
import pytest
from run_files import content, records

from tinytx.data import stream_batch
from tinytx.recipes.transformer_xl import by_segments, firsts
from tinytx.training import load_checkpoint, load_state

MEASURES = {"step", "val_loss", "first_loss", "forgetful_loss", "forgetful_first_loss", "trigram_loss"}


@pytest.fixture(scope="module")
def run(trained):
    return trained("transformer_xl")


def test_a_run_says_what_its_memory_is_worth(run, tinytx):
    folder, (code, out, err) = run
    assert code == 0, err
    last = records(folder)[-1]
    assert set(last) == MEASURES
    assert last["val_loss"] != last["forgetful_loss"] and last["first_loss"] > 1
    assert f"memory of 6        {last['val_loss']:9.3f} {last['first_loss']:9.3f}" in out
    assert f"memory taken away  {last['forgetful_loss']:9.3f} {last['forgetful_first_loss']:9.3f}" in out
    assert tinytx("sample", folder, "--tokens 60 --seed 1").code == 0  # longer than segment and memory


def test_other_commands_take_it(run, tinytx):
    """Catches a body whose table of words is not where the others have it."""
    for command in ("embeddings", "explain"):
        result = tinytx(command, run[0], *([["1 times 1"]] if command == "explain" else []))
        assert result.code == 0, result.err


def test_the_state_is_the_memory_of_the_last_step(run):
    """Of the inputs of both blocks, for three streams, the words of the last steps: catches a state that starts anew."""
    model, *_ = load_checkpoint(run[0])
    arrays = load_state(run[0]).state_dict()
    assert model.config.memory == 6 and arrays["lengths"].tolist() == [0, 0]
    assert arrays["0.0"].shape == arrays["1.0"].shape == (3, 6, 8)


def test_a_run_goes_on_to_the_bit(tinytx, flags_of, tmp_path, no_pictures):
    """Catches a memory that a checkpoint does not hold."""
    folders = straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for folder, steps in zip(folders, (12, 9)):
        assert tinytx(flags_of("transformer_xl"), "--steps", steps, "--out", folder).code == 0
    assert tinytx("train transformer_xl --resume", resumed, "--steps 12").code == 0
    assert content(resumed) == content(straight)


def test_without_a_memory_all_segments_are_alone(tinytx, flags_of, tmp_path, no_pictures):
    result = tinytx(flags_of("transformer_xl"), "--memory 0 --steps 2 --out", tmp_path / "run")
    assert result.code == 0, result.err
    last = records(tmp_path / "run")[-1]
    assert last["val_loss"] == pytest.approx(last["forgetful_loss"], rel=1e-6) and "a sample" not in result.out
    assert last["first_loss"] == pytest.approx(last["forgetful_first_loss"], rel=1e-6)
    assert "no memory" in result.out and "--memory 16" in result.out


def test_what_the_streams_are_cannot_change(run, tinytx):
    for flag in ("--batch-size 4", "--segment 9"):
        result = tinytx("train transformer_xl --resume", run[0], "--steps 40", flag)
        assert result.code == 2 and "--resume cannot change" in result.err


def test_measures_are_of_the_right_characters(run):
    """Each by itself: the first 8 of all segments but a row's first one, and rows cut into segments."""
    model, *_ = load_checkpoint(run[0])
    ids, targets = stream_batch(np.arange(200) % model.vocab_size, length=20, batch_size=2, step=0)
    _, asked = firsts((ids, targets), 10)
    assert (asked[:, 10:18] == targets[:, 10:18]).all() and (np.delete(asked, slice(10, 18), axis=1) == -100).all()
    cut = by_segments((ids, targets), 10)
    np.testing.assert_array_equal(cut[0], np.concatenate([ids[:, :10], ids[:, 10:]], axis=1).reshape(4, 10))
    alone = [model.loss(row[None], target[None]) for row, target in zip(*cut)]
    assert model.mean_loss([tuple(array[:3] for array in cut), tuple(array[3:] for array in cut)]) == pytest.approx(np.mean(alone))
