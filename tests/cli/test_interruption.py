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
from tinytx.training.loop import METRICS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these signals are POSIX's")
PATIENCE = 60.0  # seconds: more than a process takes that has to compile its kernels


@contextlib.contextmanager
def started(*argv):
    """Run a command in a process of its own, which ends with the block at the latest."""
    words = [word for part in argv for word in (part.split() if isinstance(part, str) else [str(part)])]
    source = str(Path(package.__file__).parents[1])
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tinytx, tiny, book, tmp_path, no_pictures, number):
    """Catches a lost run, a traceback, exit code 0, and a command to go on that does not work."""
    folder = tmp_path / "run"
    with started("train --data", book, tiny, "--steps 1000000 --eval-every 1000000 --out", folder) as process:
        wait_for_lines(folder, 1, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    step = load_checkpoint(folder)[2]["step"]
    assert step > 0
    command = out.partition("Go on: python -m tinytx ")[2].strip()
    assert command == f"train gpt --resume {folder}"
    assert tinytx(command, "--steps", step + 2).code == 0
    assert load_checkpoint(folder)[2]["step"] == step + 2


def test_a_signal_saves_a_transformer(tinytx, tiny_transformer, pairs_file, tmp_path, no_pictures):
    """Catches a command to go on with that is another model's."""
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
