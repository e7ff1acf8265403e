"""--keep-best and --patience: the best checkpoint beside the last, early ends, and both over a resume."""

import json
import shutil

import numpy as np
import pytest

from tinytx.files import load_arrays, read_json_lines, save_arrays
from tinytx.recipes.best import FOLDER, Best
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS

# A text of which one part says nothing about the other: a model that learns it by heart gets worse on the other soon.
FLAGS = "--eval-every 4 --lr 0.05 --warmup 0 --dropout 0 --batch-size 8"


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A text of random letters, short enough to be learned by heart."""
    path = tmp_path_factory.mktemp("noise") / "noise.txt"
    path.write_text("".join(np.random.default_rng(0).choice(list("abcdefgh"), 300)))
    return path


@pytest.fixture
def train(tinytx, tiny, noise, tmp_path, no_pictures):
    """Begin a run in a folder, with flags."""

    def call(folder, flags):
        return tinytx("train --data", noise, tiny, FLAGS, flags, "--out", tmp_path / folder)

    return call


def content(folder):
    arrays, meta = load_arrays(folder / NAME)
    return {name: array.tobytes() for name, array in arrays.items()}, meta["step"], meta["best"]


def validations(folder):
    """Return [(loss, step)] of the validations on the way."""
    records = [record for record in read_json_lines(folder / METRICS) if {"val_loss", "train_loss"} <= record.keys()]
    return [(record["val_loss"], record["step"]) for record in records]


def test_the_best_checkpoint_is_kept(tinytx, train, tmp_path):
    """Catches the last one kept as the best, weights of another step, and a folder that no command can read."""
    result = train("run", "--keep-best --steps 40")
    loss, step = min(validations(tmp_path / "run"))
    assert 0 < step < 40  # it got worse again
    model, _, meta = load_checkpoint(tmp_path / "run" / FOLDER)
    assert meta["step"] == step and meta["best"]["val_loss"] == loss
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 40
    kept = f"its checkpoint is in {tmp_path / 'run' / FOLDER}"
    assert f"Best validation {loss:.4f} after step {step}: {kept}" in result.out
    straight = train("straight", f"--steps {step}")
    assert straight.code == 0
    other = load_checkpoint(tmp_path / "straight")[0].state_dict()
    assert all((array == other[name]).all() for name, array in model.state_dict().items())
    assert tinytx("sample", tmp_path / "run" / FOLDER, "--tokens 3").code == 0


def test_without_the_flag_only_the_last_is_kept(train, tmp_path):
    """Catches a second checkpoint that nobody asked for."""
    train("run", "--steps 8")
    assert not (tmp_path / "run" / FOLDER).exists() and load_checkpoint(tmp_path / "run")[2]["best"] is None


@pytest.mark.parametrize("first", [5, 8, 20])
def test_a_resumed_run_keeps_the_same_best(tinytx, train, tmp_path, first):
    """Catches a best that is forgotten on resume, or one that is counted twice or not at all at the seam."""
    train("straight", "--keep-best --steps 32")
    train("run", f"--keep-best --steps {first}")
    assert tinytx("train --resume", tmp_path / "run", "--steps 32").code == 0
    assert content(tmp_path / "run") == content(tmp_path / "straight")
    assert content(tmp_path / "run" / FOLDER) == content(tmp_path / "straight" / FOLDER)


def test_patience_ends_a_run(tinytx, train, tmp_path):
    """Catches a run that goes on, that stops at the first rise, or that stops and calls itself interrupted."""
    result = train("run", "--patience 3 --steps 400")
    run = tmp_path / "run"
    losses = validations(run)
    best = min(losses)[1]
    assert result.code == 0 and load_checkpoint(run)[2]["step"] == best + 3 * 4 < 400
    assert f"Ended after step {best + 12} of 400: no validation of 3 in a row was better than that of step {best}" in (
        result.out
    )
    assert load_checkpoint(run / FOLDER)[2]["step"] == best
    assert "Validation loss" in result.out

    refused = tinytx("train --resume", run)
    assert refused.code == 2 and "give a larger --patience than 3, or 0, to train on" in refused.err
    line = next(line for line in result.out.splitlines() if "--resume" in line)
    assert line.endswith("--patience 6")
    assert tinytx(line.partition("python -m tinytx ")[2].replace("--steps 800", "--steps 400")).code == 0
    assert load_checkpoint(run)[2]["step"] > best + 12


def test_patience_over_a_resume(tinytx, train, tmp_path):
    """Catches validations that are counted anew by a resumed run: it would end later than a straight one."""
    train("straight", "--patience 3 --steps 400")
    end = load_checkpoint(tmp_path / "straight")[2]["step"]
    train("run", f"--patience 3 --steps {end - 6}")
    assert tinytx("train --resume", tmp_path / "run", "--steps 400").code == 0
    assert content(tmp_path / "run") == content(tmp_path / "straight")
    assert validations(tmp_path / "run") == validations(tmp_path / "straight")


def test_a_validation_that_a_signal_prevented_is_made_up_for(tinytx, train, tmp_path):
    """Catches a run that was stopped where a validation was due: a straight run has one there."""
    train("straight", "--keep-best --steps 32")
    train("run", "--keep-best --steps 8")
    arrays, meta = load_arrays(tmp_path / "run" / NAME)
    before = json.loads(json.dumps(meta["best"]))
    assert before["seen"] == 8
    shutil.rmtree(tmp_path / "run" / FOLDER)
    train("short", "--keep-best --steps 5")
    best = load_checkpoint(tmp_path / "short")[2]["best"]  # as it was before step 8
    save_arrays(tmp_path / "run" / NAME, arrays, meta | {"best": best})
    assert tinytx("train --resume", tmp_path / "run", "--steps 32").code == 0
    assert content(tmp_path / "run") == content(tmp_path / "straight")


@pytest.mark.parametrize(
    "state", [[1], {"loss": 1.0}, {"val_loss": "low"}, {"val_loss": 1.0, "step": "first"}, {"waited": 1.5}]
)
def test_a_strangers_best(state):
    """Catches a traceback for what another program wrote."""
    with pytest.raises(ValueError, match="best validation"):
        Best.of({"best": state})


def test_equal_is_not_better():
    """Catches a plateau that is taken for progress."""
    best = Best().after(2.0, 5).after(2.0, 10)
    assert (best.step, best.waited, best.seen) == (5, 1, 10)
    assert Best.of({"best": best.to_dict()}) == best and Best.of({}) == Best()
