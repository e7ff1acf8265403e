"""The recipe unilm: commands that use its run, settings that do not go together, and fine-tuning by going on."""

import shutil

import numpy as np
import pytest
from run_files import records

from tinytx.data.batches.three_masks import SEGMENTS
from tinytx.recipes.unilm import SETTINGS, prepare


def test_a_run_translates(trained, tinytx):
    folder, (_, out, _) = trained("unilm")
    assert "Hidden words said right, sequence to sequence: " in out
    for beam in ("", "--beam 2"):
        result = tinytx("translate", folder, ["one two", "five"], beam)
        assert result.code == 0 and len(result.out.splitlines()) == 2
    result = tinytx("translate", folder, ["one two"], "--picture map.png")
    assert result.code == 2 and "no cross-attention to draw" in result.err
    result = tinytx("explain", folder, ["one two"])
    assert result.code == 2 and "explain: Unilm is one stack" in result.err


def test_rows_are_read_in_three_ways():
    """In the shares that were asked for; and there is room for a source, a target and their frame."""
    prepared = prepare(SETTINGS(dates=200, max_len=40, both_ways=0.3, left_to_right=0.3), None)
    first = np.concatenate([prepared.batch(step)[2][:, 0] for step in range(10)])
    np.testing.assert_allclose([np.mean(first == way[0]) for way in SEGMENTS], [0.3, 0.3, 0.4], rtol=0, atol=0.1)
    assert prepared.config.max_len == 40 + 40 + 2


def test_fine_tuning_is_a_run_that_goes_on(trained, tinytx, tmp_path, no_pictures):
    """From source to target alone: the flags that the recipe's page names."""
    folder = tmp_path / "run"
    shutil.copytree(trained("unilm")[0], folder)
    result = tinytx("train unilm --resume", folder, "--both-ways 0 --left-to-right 0 --steps 24")
    assert result.code == 0, result.err
    last = records(folder)[-1]
    assert "sequence_to_sequence" in last and "both_ways" not in last and "left_to_right" not in last


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--both-ways 0.7 --left-to-right 0.5", "--both-ways 0.7 and --left-to-right 0.5 are more than 1 together"),
        ("--no-shared-vocabulary", "a UniLM has one vocabulary for sources and targets"),
    ],
)
def test_settings_that_do_not_go_together(flags, message, refused):
    assert message in refused("train unilm --dates 100", flags)
