"""Checkpoints of earlier versions: without what they could not know, and with values worked out as if given."""

import re
import shutil

import pytest

from tinytx.files import load_arrays, save_arrays
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME

NEW = ("valid", "test", "keep_best", "patience")  # settings that earlier versions did not have


def make_old(folder, data):
    """Write a checkpoint as earlier versions did: in format 1, paths as they were typed, ends of schedules filled in."""
    arrays, meta = load_arrays(folder / NAME)
    old = {name: value for name, value in meta["settings"].items() if name not in NEW}
    field = "pairs" if meta["model"] == "transformer" else "data"
    old |= {field: data.name, "decay_steps": old["decay_steps"] or old["steps"]}
    if meta["model"] != "bert":  # Adam's epsilon had another name, and there was one optimiser
        old = {"eps" if name == "adam_eps" else name: value for name, value in old.items()}
        old = {name: value for name, value in old.items() if name not in ("optimizer", "decay_all")}
    if meta["model"] == "bert":
        old |= {"recipe": "quick"}
    if meta["model"] == "transformer":
        old |= {"tied": meta["config"]["tied"]}
    del meta["best"]
    moved = {r"\bbody\.": "", r"\bhead\.": "head.decoder.", r"\btransform\.": "head.", r"\bhead\.linear\.": "head.transform."}
    for now, then in moved.items():
        arrays = {re.sub(now, then, name): array for name, array in arrays.items()}
    meta["config"] |= meta.pop("task_settings")  # they were the model's
    meta["config"].pop("output_bias", None)  # a later one
    del meta["task"]
    save_arrays(folder / NAME, arrays, meta | {"settings": old, "format": 1})


@pytest.mark.parametrize("name", ["finished", "translator", "filler"])
def test_they_go_on_to_the_same_bits(request, tinytx, name, tmp_path, monkeypatch, no_pictures):
    """Catches a run of an earlier version that cannot go on, or that goes on otherwise than one of this version."""
    data = request.getfixturevalue({"finished": "book", "translator": "pairs_file", "filler": "tales"}[name])
    monkeypatch.chdir(data.parent)
    old, new = (shutil.copytree(request.getfixturevalue(name)[0], tmp_path / folder) for folder in ("old", "new"))
    make_old(old, data)
    kind = load_checkpoint(old)[2]["model"]
    for folder in (old, new):
        result = tinytx("train", kind, "--resume", folder, "--steps 24 --keep-best")
        assert result.code == 0 and "not the" not in result.err
    arrays = [load_arrays(folder / NAME)[0] for folder in (old, new)]
    assert all((array == arrays[1][key]).all() for key, array in arrays[0].items())
    assert load_checkpoint(old)[2]["best"] == load_checkpoint(new)[2]["best"]
