"""The folder of a run: who may write there, and that what only reports spoils nothing."""

import errno
import os
import shutil
import sys

import pytest

from tinytx.files import load_arrays, read_json_lines, save_arrays
from tinytx.lock import locked
from tinytx.pipelines import Writer
from tinytx.recipes import run as module
from tinytx.recipes import train as training
from tinytx.training import Trainer, load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


@pytest.fixture
def copy(finished, tmp_path):
    """The finished run in a folder of its own."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---------------------------------------------------------------------------------------- the lock


def test_a_run_that_goes_on_keeps_others_out(tinytx, copy, no_pictures):
    """Catches two processes that go on with one run: steps logged twice, one's checkpoint over the other's."""
    before = contents(copy)
    with locked(copy):
        code, out, err = tinytx("train --resume", copy, "--steps 25")
        assert (code, out) == (2, "")
        assert err == f"tinytx: another run is writing into {copy}: wait until it ends, or choose another folder\n"
        assert contents(copy) == before
        for command in ("sample {} --tokens 3", "explain {} 12", "plot {} --out {}/picture.png"):
            assert tinytx(command.format(copy, copy)).code == (2 if "plot" in command else 0)  # no matplotlib
    assert tinytx("train --resume", copy, "--steps 25").code == 0


def test_a_new_run_keeps_others_out(tinytx, tiny, book, tmp_path, monkeypatch, no_pictures):
    """Catches a second run into the same new folder, before there is a checkpoint in it, and while it trains."""
    folder, codes = tmp_path / "run", []

    def fit(*arguments, **options):
        codes.append(tinytx("train --data", book, tiny, "--steps 2 --out", folder))
        codes.append(tinytx("train --steps 30 --resume", folder))
        return True

    monkeypatch.setattr(module, "fit", fit)
    assert tinytx("train --data", book, tiny, "--steps 2 --out", folder).code == 0
    assert [result.code for result in codes] == [2, 2]
    assert all("another run is writing" in result.err for result in codes)


def test_runs_without_a_folder_get_one_each(tmp_path, monkeypatch):
    """Catches two runs that start at once and choose the same next free folder."""
    monkeypatch.chdir(tmp_path)
    assert [str(module._next_free("gpt")) for _ in range(3)] == ["runs/gpt", "runs/gpt-2", "runs/gpt-3"]


def test_a_failure_gives_the_folder_back(tinytx, copy, monkeypatch, no_pictures):
    """Catches a lock that an error keeps."""
    monkeypatch.setattr(training, "build", lambda *_, **__: (_ for _ in ()).throw(ValueError("no model")))
    assert "no model" in tinytx("train --resume", copy, "--steps 25").err
    with locked(copy):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX's")
def test_metrics_that_are_a_pipe(tinytx, copy):
    """Catches a run that waits for ever for somebody to write its metrics."""
    (copy / METRICS).unlink()
    os.mkfifo(copy / METRICS)
    for command in (["train --resume", copy, "--steps 25"], ["plot", copy]):
        code, out, err = tinytx(*command)
        assert code == 2
        assert "metrics.jsonl is a pipe or a device, expected a file" in err


# ---------------------------------------------------------------------------------------- what only reports


@pytest.mark.parametrize(
    "error",
    [ValueError("Key backend: 'module://nowhere' is not a valid value"), OSError(errno.ENOSPC, "No space left on device")]
    + [RuntimeError("no font"), MemoryError(), ImportError("numpy.core.multiarray failed to import"), KeyError("style")],
)
def test_a_picture_that_fails_is_a_line(tinytx, tiny, book, tmp_path, monkeypatch, error):
    """Catches a finished run that ends as an error for want of a picture."""

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(module, "loss_curve", fails)
    code, out, err = tinytx("train --data", book, tiny, "--steps 3 --out", tmp_path / "run")
    assert code == 0
    assert f"No picture: {str(error) or type(error).__name__}" in out
    assert f"Wrote {tmp_path / 'run' / NAME}, {tmp_path / 'run' / METRICS}, {tmp_path / 'run' / 'report.txt'}\nTry next:" in out
    assert "--- a sample ---" in out


def test_the_backend_of_a_notebook(tinytx, tiny, book, tmp_path):
    """Catches a run that a notebook starts with ``!python``, whose pictures are drawn by a module that is not there."""
    import subprocess

    words = f"train --data {book} {tiny} --steps 2 --out {tmp_path / 'run'}".split()
    environment = os.environ | {"MPLBACKEND": "module://not_there.backend", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-m", "tinytx", *words], env=environment, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "Try next:" in done.stdout
    assert ("No picture: " in done.stdout) != (tmp_path / "run" / "loss.png").exists()


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 8 TiB"), RuntimeError("a bug")])
@pytest.mark.parametrize("place", ["evaluate", "write"])
def test_what_is_measured_or_shown_at_the_end_spoils_nothing(tinytx, tiny, book, tmp_path, monkeypatch, error, place):
    """Catches a finished run without its picture and its advice, because its last validation or its sample failed."""

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(*((Trainer, place) if place == "evaluate" else (Writer, place)), fails)
    code, out, err = tinytx("train --data", book, tiny, "--steps 6 --eval-every 99 --out", tmp_path / "run")
    assert (code, "Traceback" in err) == (0, False)
    assert f"{'Not measured' if place == 'evaluate' else 'No report'}: {error}" in out
    assert "loss.png" in out.partition("Wrote")[2] and "Try next:" in out
    assert (tmp_path / "run" / "loss.png").exists()


def test_ctrl_c_while_it_is_measured(tinytx, tiny, book, tmp_path, monkeypatch):
    """Catches a finished run without its picture, whose last validation somebody did not wait for."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "evaluate", interrupted)
    code, out, err = tinytx("train --data", book, tiny, "--steps 6 --eval-every 99 --out", tmp_path / "run")
    assert code == 130
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 6
    assert (tmp_path / "run" / "loss.png").exists()


def test_memory_that_ends_in_a_validation(tinytx, tiny, book, tmp_path, monkeypatch):
    """Catches steps that are lost: the run is saved, drawn, and says what failed."""

    def fails(*_, **__):
        raise MemoryError("Unable to allocate 8 TiB")

    monkeypatch.setattr(Trainer, "evaluate", fails)
    code, out, err = tinytx("train --data", book, tiny, "--steps 20 --log-every 1 --out", tmp_path / "run")
    assert code == 2
    assert err.splitlines()[-1] == "tinytx: Unable to allocate 8 TiB"
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 7
    assert [record["step"] for record in read_json_lines(tmp_path / "run" / METRICS)] == list(range(1, 8))
    assert (tmp_path / "run" / "loss.png").exists()


# ---------------------------------------------------------------------------------------- what main makes of errors


@pytest.mark.parametrize("state", [None, 3, "x", {"kind": []}, {"kind": "characters"}, {"kind": "words"}])
@pytest.mark.parametrize("command", ["sample {} --tokens 2", "explain {} 12", "embeddings {}", "train --resume {} --steps 22"])
def test_no_state_of_a_tokenizer_is_a_traceback(tinytx, copy, state, command):
    """Catches AttributeError, TypeError or KeyError out of a file that somebody else wrote."""
    arrays, meta = load_arrays(copy / NAME)
    save_arrays(copy / NAME, arrays, meta | {"tokenizer": state})
    code, out, err = tinytx(command.format(copy))
    assert (code, out, len(err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[1]", "{}", '{"step": "x", "train_loss": 1}', '{"step": [1]}', '{"step": 1, "val_loss": {}}']
    + ["[" * 5000, '{"step": 1e400, "train_loss": 1}', '{"step": 5, "train_loss": "y"}'],
)
def test_no_line_of_metrics_is_a_traceback(tinytx, copy, text):
    """Catches the same for metrics.jsonl, which plot and --resume read; where steps cannot be drawn the run still ends."""
    (copy / METRICS).write_text(f"{text}\n" * 2)
    code, out, err = tinytx("plot", copy)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    code, out, err = tinytx("train --resume", copy, "--steps 22")
    assert (code, err.count("read_metrics") + err.count("read_json_lines")) in ((0, 0), (2, 1))
