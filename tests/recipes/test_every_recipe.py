"""What each recipe's run must do, for every recipe: write and say what it should, and go on to the bit."""

import math
import shutil

import pytest
from command_runs import RUNS
from run_files import content, records

from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.run import REPORT
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS

ALWAYS = {"step", "train_loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens", "seconds"}
DUE = {"val_loss", "grad_norms", "update_ratios", "peak_memory"}


def test_the_table_has_every_recipe():
    """Catches a recipe whose run nobody looks at."""
    assert RUNS.keys() == RECIPES.keys()


@pytest.fixture(params=RUNS)
def name(request):
    """The name of each recipe, of those whose libraries are there."""
    if request.param in ("wordpieces", "albert", "roberta"):
        pytest.importorskip("tokenizers")
    return request.param


def test_a_run_writes_and_says_what_it_should(name, trained):
    """Catches a file that is not written, a measure that is not recorded, an end without its loss or the next step."""
    folder, (code, out, err) = trained(name)
    assert code == 0, err
    recipe, (_, _, meta) = load_recipe(name), load_checkpoint(folder)
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "loss.png", METRICS, REPORT]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert meta["step"] == meta["settings"]["steps"] == 20
    *steps, last = records(folder)
    assert [record["step"] for record in steps] == [5, 7, 10, 14, 15, 20]
    assert [record.keys() for record in steps] == [ALWAYS | extra for extra in (set(), DUE, set(), DUE, set(), DUE - {"val_loss"})]
    for record in steps[1::2]:
        assert record["grad_norms"].keys() == record["update_ratios"].keys()
        assert math.hypot(*record["grad_norms"].values()) == pytest.approx(record["grad_norm"], rel=1e-6)
        assert 0 < max(record["update_ratios"].values()) < math.inf
    assert last["step"] == 20 and {"val_loss", recipe.expect.measure} <= last.keys() | {"train_loss"}
    whole = not {"pair_accuracy", "alignment_error_rate"} & last.keys()  # the loss is that of words, and of nothing else
    if "perplexity" in last and whole and not meta["settings"].get("label_smoothing"):
        assert math.isclose(last["perplexity"], math.exp(last["val_loss"]), rel_tol=1e-5)
    assert f"Model: {recipe.system}, " in out
    assert f"Validation loss {last['val_loss']:.4f} {recipe.task.quantity} per " in out and " after 20 steps, " in out
    assert f"python -m tinytx train {name} --resume {folder} --steps 40" in out
    kept = (folder / REPORT).read_text(encoding="utf-8")
    assert kept.startswith("Validation loss ") and kept.strip() in out and "Wrote" not in kept
    assert "20/20" in err and "Traceback" not in err


def test_40_steps_are_20_and_20_more(name, trained, tinytx, flags_of, tmp_path, no_pictures):
    """To the bit: catches anything that a resumed run does otherwise: batches, masks, rates, moments, states, words."""
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    assert tinytx(flags_of(name), "--steps 40 --out", straight).code == 0
    shutil.copytree(trained(name)[0], resumed)
    result = tinytx("train", name, "--resume", resumed, "--steps 40")
    assert result.code == 0 and "Note" not in result.err, result.err
    assert content(resumed) == content(straight)
    losses = [[(r["step"], r["train_loss"]) for r in records(f) if "train_loss" in r] for f in (resumed, straight)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["gpt", "transformer", "digits"])
def test_without_matplotlib(name, tinytx, flags_of, tmp_path, no_pictures):
    """The end of a run is the same for all recipes. Catches a run that trains to its end and then fails for want of a picture."""
    code, out, err = tinytx(flags_of(name), "--steps 2 --out", tmp_path / "run")
    assert code == 0 and 'needs matplotlib: pip install "tinytx[train]"' in out
    assert "step 2/2, 0 s left, loss " in err
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [NAME, METRICS, REPORT]
