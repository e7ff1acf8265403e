"""What a folder says of its run: whether it goes on, what it took, and what is in words at a glance."""

import json
import os
import shutil

import pytest

from tinytx.lock import locked
from tinytx.recipes.run import REPORT
from tinytx.recipes.run_facts import facts_of, loss_of, machine_of
from tinytx.recipes.run_folder import FINISHED, FRESH, RUNNING, STOPPED, RunFolder
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


def step(t, **more):
    return {"step": t, "train_loss": 10 / t, "tokens": 8 * t, "seconds": t / 2, "tokens_per_second": 16.0} | more


@pytest.fixture
def folder(tmp_path):
    """folder(records): the folder of a run, without a checkpoint, whose last record is old."""

    def write(*records, age=2 * FRESH):
        path = tmp_path / METRICS
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
        return tmp_path

    return write


def test_whether_it_goes_on(folder):
    """Catches a run that is told to have ended because it validates for long, and one that has ended and goes on."""
    assert RunFolder(folder(step(1), step(2))).state == STOPPED
    assert RunFolder(folder(step(1, val_loss=2.0), age=0)).state == RUNNING
    concluded = folder(step(1), {"step": 1, "val_loss": 2.0, "bleu": 3.0}, age=0)
    run = RunFolder(concluded)
    assert (run.state, run.measures) == (FINISHED, {"val_loss": 2.0, "bleu": 3.0})
    with locked(concluded):
        assert RunFolder(concluded).state == RUNNING
        assert run.refresh() and run.state == RUNNING
        assert not run.refresh()
    assert run.refresh() and run.state == FINISHED


def test_a_run_that_is_killed(folder):
    """Catches a run that is told to go on for a minute after its process was killed, and one without a line that is no run."""
    path = folder(step(1), age=0)
    with locked(path):
        run = RunFolder(path)
        assert run.state == RUNNING
    assert run.refresh() and run.state == STOPPED
    (path / METRICS).unlink()
    with locked(path):
        assert (RunFolder(path).state, RunFolder(path).step) == (RUNNING, 0)


def test_it_is_read_while_it_is_written(folder):
    """Catches a last line that is half there and taken for an error, and records that are not read when they come."""
    run = RunFolder(folder(step(1)))
    with open(run.folder / METRICS, "a") as file:
        file.write('{"step": 2, "train_l')
    assert run.refresh() and run.step == 1
    with open(run.folder / METRICS, "a") as file:
        file.write('oss": 5.0}\n')
    assert run.refresh() and run.step == 2


def test_a_step_stands_once(folder):
    """Catches two points at a step, as the last one has a record of its own for what is measured at the end."""
    run = RunFolder(folder(step(2, val_loss=5.0), step(1), {"step": 2, "val_loss": 4.0}))
    assert run.records == [step(1), step(2, val_loss=4.0)]
    assert run.best() == (4.0, 2) and run.last("tokens") == 16 and run.last("none") is None


def test_before_the_first_record(trained, tmp_path):
    shutil.copy(trained("gpt")[0] / NAME, tmp_path)
    run = RunFolder(tmp_path)
    assert (run.records, run.step, run.steps, run.best(), run.seconds_left()) == ([], 0, 20, None, None)
    assert dict(facts_of(run))["training loss"] is None


def test_time_that_is_left(trained, folder):
    shutil.copy(trained("gpt")[0] / NAME, folder(step(1), step(5)))
    run = RunFolder(folder(step(1), step(5)))
    assert run.seconds_left() == 0.5 * 15


def test_a_finished_run(trained):
    """Catches facts of another run, or that are not those which it printed."""
    path, (_, out, _) = trained("gpt")
    run = RunFolder(path)
    facts = dict(facts_of(run))
    assert facts["state"] == "finished after step 20 of 20"
    assert facts["model"] == "gpt for next_token" and f"{facts['parameters']} parameters" in out
    assert f"Validation loss {facts['validation loss at the end']} " in out
    assert facts["tokens"] == f"{20 * 4 * 8:,}" and facts["time"].endswith(" s")
    assert "2 threads" in facts["machine"] and "Python" in facts["machine"]
    assert run.checkpoint.details["unit"] == "character" and run.report() == (path / REPORT).read_text()


@pytest.mark.parametrize("damaged", [b"", b"PK no zip"])
def test_without_a_checkpoint_that_can_be_read(folder, damaged):
    (folder(step(1)) / NAME).write_bytes(damaged)
    run = RunFolder(folder(step(1)))
    facts = dict(facts_of(run))
    assert [facts[name] for name in ("model", "parameters", "machine")] == [None] * 3
    assert (run.settings, run.steps, run.report()) == ({}, None, None)


def test_losses_that_are_not_finite(folder):
    assert loss_of(RunFolder(folder(step(1), step(2, train_loss=None)))) == "not finite"
    assert loss_of(RunFolder(folder(step(1, train_loss=None), step(2)))) == "5.0000"
    assert loss_of(RunFolder(folder(step(1), step(2)))) == "7.5000, mean of the last 2 records"


@pytest.mark.parametrize("fingerprint", [None, 3, [], {"threads": None, "machine": None}])
def test_a_fingerprint_may_be_anything(fingerprint):
    assert not machine_of({"fingerprint": fingerprint})


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="metrics.jsonl in .*: name the folder of a run"):
        RunFolder(tmp_path)
