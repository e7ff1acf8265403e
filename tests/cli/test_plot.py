"""``python -m tinytx plot``: the losses of runs, drawn at any time."""

import shutil

import pytest

from tinytx.cli.plot import curve_details
from tinytx.files import load_arrays
from tinytx.tasks import TASKS
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS

image = pytest.importorskip("matplotlib.image")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder in which the command is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_run(tinytx, finished, here):
    """Catches a picture that is not written where it is said to be, and one that is not that of the run's end."""
    folder = shutil.copytree(finished[0], here / "run")
    drawn = (folder / "loss.png").read_bytes()
    (folder / "loss.png").unlink()
    assert tinytx("plot run") == (0, "Wrote run/loss.png\n", "")
    assert image.imread(folder / "loss.png").shape == image.imread(finished[0] / "loss.png").shape
    assert (folder / "loss.png").read_bytes() != drawn  # another title
    assert tinytx("plot run --out other.png") == (0, "Wrote other.png\n", "")
    assert (here / "other.png").read_bytes() == (folder / "loss.png").read_bytes()


def test_several_runs(tinytx, finished, filler, translator, here):
    """Catches a run that is left out, and one that is drawn twice."""
    assert tinytx("plot", finished[0], filler[0], translator[0]) == (0, "Wrote losses.png\n", "")
    three = (here / "losses.png").read_bytes()
    assert tinytx("plot", finished[0], filler[0], "--out two.png").code == 0
    assert (here / "two.png").read_bytes() != three
    assert tinytx("plot", finished[0], finished[0], "--out one.png") == (0, "Wrote one.png\n", "")
    assert tinytx("plot", finished[0], "--out same.png").code == 0
    assert (here / "one.png").read_bytes() == (here / "same.png").read_bytes()


def test_a_run_on_its_way(tinytx, finished, here):
    """Catches a picture that needs a checkpoint, or a run that has ended."""
    (here / "run").mkdir()
    whole = (finished[0] / METRICS).read_bytes()
    (here / "run" / METRICS).write_bytes(whole[: len(whole) * 2 // 3])  # and the last line is torn
    assert tinytx("plot run") == (0, "Wrote run/loss.png\n", "")


@pytest.mark.parametrize("name, unit", [("finished", "character"), ("filler", "hidden word"), ("translator", "word")])
def test_what_is_said_beside_the_losses(request, name, unit):
    """Catches "nats per token" for a loss per character, and dropout that is not said."""
    meta = load_arrays(request.getfixturevalue(name)[0] / NAME)[1]
    details = curve_details(TASKS[meta["task"]], meta["settings"], meta)
    assert details == {"unit": unit, "quantity": "nats", "dropout": 0.1}


@pytest.mark.parametrize(
    "command, named",
    [("plot nowhere", "metrics.jsonl in nowhere"), ("plot {run} nowhere", "metrics.jsonl in nowhere")]
    + [("plot {run} --out no/where.png", "no/where.png"), ("plot {run} --out a.pdf", "name it a.png"), ("plot", "DIR")],
)
def test_what_cannot_be_drawn(refused, finished, command, named):
    """Catches tracebacks, and a picture of another kind than its name says."""
    assert named in refused(command.format(run=finished[0]))


def test_metrics_without_a_loss(tinytx, here):
    """Catches an empty picture."""
    (here / "run").mkdir()
    (here / "run" / METRICS).write_text('{"step": 1}\n')
    code, out, err = tinytx("plot run")
    assert (code, out) == (2, "") and "train for some steps first" in err
    assert not (here / "run" / "loss.png").exists()
