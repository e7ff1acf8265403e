"""The recipe recurrent_seq2seq: commands that use its run, with attention and without."""

import pytest

from tinytx.recipes.recurrent_seq2seq import SETTINGS, prepare


def test_a_run_translates(trained, tinytx, tmp_path):
    """Greedily and by beams, drawn and explained: what a Transformer's run can do."""
    pytest.importorskip("matplotlib")
    folder = trained("recurrent_seq2seq")[0]
    for options in ("", "--beam 2", "--picture map.png"):
        result = tinytx("translate", folder, ["one two"], options.replace("map.png", str(tmp_path / "map.png")))
        assert result.code == 0 and len(result.out.splitlines()) == 1
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    result = tinytx("explain", folder, ["one two"], "--picture", tmp_path / "maps.png")
    assert result.code == 0 and "Neither side looks at itself" in result.out and "Encoder, self-attention" not in result.out
    assert "Decoder, cross-attention: source_mask, (B, 1, 1, S) = (1, 1, 1, 4)" in result.out
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_without_attention(tinytx, flags_of, tmp_path):
    """It translates and is explained as well; there is nothing to draw."""
    pytest.importorskip("matplotlib")
    folder = tmp_path / "run"
    assert tinytx(flags_of("recurrent_seq2seq"), "--attention none --reads right --cell lstm --steps 2 --out", folder).code == 0
    assert tinytx("translate", folder, ["one two"]).code == 0
    result = tinytx("explain", folder, ["one two"])
    assert result.code == 0 and "cross-attention" not in result.out and "an array (1, 2, 16)" in result.out
    for command in ("translate", "explain"):
        result = tinytx(command, folder, ["one two"], "--picture", tmp_path / "map.png")
        assert result.code == 2 and "attention" in result.err


def test_settings_reach_the_model():
    config = prepare(SETTINGS(dates=200, attention="general", cell="lstm", reads="left", max_len=40), None).config
    assert (config.attention, config.cell, config.reads, config.max_len) == ("general", "lstm", "left", 40)
