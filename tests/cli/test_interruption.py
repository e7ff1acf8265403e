"""Runs that are stopped from outside: by Ctrl-C, by a batch system, by a kill without warning."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinytx as package
from tinytx.files import load_arrays, read_json_lines
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS, STOPPING

if os.name == "nt":
    pytest.skip("these signals are POSIX's", allow_module_level=True)

PATIENCE = 60.0  # seconds: more than a process takes that has to compile its kernels


@contextlib.contextmanager
def not_ignored():
    """Let processes that are started heed signals, also where this one was started to ignore them: with & or nohup."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def started(*argv):
    """Run a command in a process of its own, which ends with the block at the latest."""
    words = [word for part in argv for word in (part.split() if isinstance(part, str) else [str(part)])]
    source = str(Path(package.__file__).parents[1])
    with not_ignored():
        process = subprocess.Popen(
            [sys.executable, "-m", "tinytx", *words],
            env={**os.environ, "PYTHONPATH": source},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_lines(folder, n, process):
    """Return when a run has written n lines of metrics, or has ended."""
    path, deadline = folder / METRICS, time.monotonic() + PATIENCE
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < n):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


@pytest.mark.parametrize("numbers", [[signal.SIGHUP], [signal.SIGINT, signal.SIGTERM]])
def test_a_signal_saves_and_says_how_to_go_on(tinytx, tiny, book, tmp_path, no_pictures, numbers):
    """Catches a lost run, a traceback, exit code 0, a picture that is missing, and a command to go on that does not work."""
    folder = tmp_path / "run"
    with started("train --data", book, tiny, "--steps 1000000 --eval-every 1000000 --out", folder) as process:
        wait_for_lines(folder, 1, process)
        for number in numbers:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err and "ignored" not in err
    step = load_checkpoint(folder)[2]["step"]
    assert step > 0
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    command = out.partition("Go on: python -m tinytx ")[2].strip()
    assert command == f"train gpt --resume {folder}"
    assert tinytx(command, "--steps", step + 2).code == 0
    assert load_checkpoint(folder)[2]["step"] == step + 2


def test_a_run_that_is_told_to_ignore_signals_does(tiny, book, tmp_path, no_pictures):
    """Catches nohup, or & in a script, that has no effect."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        words = [sys.executable, "-m", "tinytx", "train", "--data", str(book), *tiny.split(), "--out", str(tmp_path / "run")]
        environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
        with subprocess.Popen(
            [*words, "--steps", "60"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            wait_for_lines(tmp_path / "run", 1, process)
            for number in before:
                process.send_signal(number)
            assert process.wait(PATIENCE) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 60


def test_imports_are_left_with_a_word(tmp_path):
    """Catches a traceback out of somebody's import, where Ctrl-C comes in the first second."""
    (tmp_path / "numpy.py").write_text("import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(9)\n")
    path = os.pathsep.join([str(tmp_path), str(Path(package.__file__).parents[1])])
    with not_ignored():
        done = subprocess.run(
            [sys.executable, "-m", "tinytx", "sample", "--help"],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tinytx: interrupted\n")


def test_the_package_is_imported_when_it_is_asked_for():
    """Catches an import of everything with the package itself, in which nobody deals with Ctrl-C yet."""
    code = "import sys, tinytx; early = 'numpy' in sys.modules; print(early, tinytx.ops.relu is not None, tinytx.Layer)"
    source = str(Path(package.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "False True <class 'tinytx.core.Layer'>\n"
    with pytest.raises(AttributeError, match="module 'tinytx' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_signal_saves_a_transformer(tinytx, tiny_transformer, pairs_file, tmp_path, no_pictures):
    """Ctrl-C alone. Catches a command to go on with that is another model's."""
    folder = tmp_path / "run"
    flags = f"{tiny_transformer} --steps 1000000 --eval-every 1000000 --out {folder}"
    with started("train transformer --pairs", pairs_file, flags) as process:
        wait_for_lines(folder, 1, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    step = load_checkpoint(folder)[2]["step"]
    command = out.partition("Go on: python -m tinytx ")[2].strip()
    assert command == f"train transformer --resume {folder}"
    assert tinytx(command, "--steps", step + 2).code == 0
    assert load_checkpoint(folder)[2]["step"] == step + 2


def test_killed_again_and_again_ends_as_the_straight_run(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches half a checkpoint, a step taken twice or never, and records of steps that a kill undid: three kills
    without warning, each at a moment of chance, and the last bit is that of a run which nobody disturbed."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    flags = f"train --data {book} {tiny} --steps 120 --eval-every 3 --log-every 1"
    assert tinytx(flags, "--out", straight).code == 0
    moments, steps = random.Random(0), [0]
    while len(steps) <= 3 and steps[-1] < 120:
        with started(*(["train --resume", killed] if len(steps) > 1 else [flags, "--out", killed])) as process:
            wait_for_lines(killed, steps[-1] + moments.randrange(6, 20), process)
            time.sleep(moments.random() * 0.02)  # into the next steps, or the next save
        steps.append(load_checkpoint(killed)[2]["step"])
    assert steps == sorted(set(steps))  # each got further
    assert tinytx("train --resume", killed).code == (0 if steps[-1] < 120 else 2)

    weights = [load_arrays(folder / NAME)[0] for folder in (straight, killed)]
    assert {n: a.tobytes() for n, a in weights[0].items()} == {n: a.tobytes() for n, a in weights[1].items()}

    def losses(folder):
        records = [record for record in read_json_lines(folder / METRICS) if "train_loss" in record]
        return [(record["step"], record["train_loss"], record.get("val_loss")) for record in records]

    assert losses(killed) == losses(straight)
    assert [step for step, _, _ in losses(killed)] == list(range(1, 121))
    assert not list(killed.glob(".*.tmp"))
