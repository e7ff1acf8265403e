"""Ranks of MPI killed at random moments: does the run end, how soon, and does it go on from its checkpoint?

    python benchmarks/killed_ranks.py --runs 20

Each run trains a small GPT with two ranks, of which one is killed (SIGKILL) after a number of steps drawn at random, and a random
part of a step more. Then all ranks must be gone within 10 seconds, with a message; the run goes on with two ranks or two threads, from a
checkpoint that is no more than an interval between checkpoints behind its last line of metrics; and its weights at the end must be
those of a run that nobody killed, to the bit. Needs the extra mpi, and Linux.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tinytx.files import load_arrays, read_json_lines

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
EVERY, STEPS = 20, 400
FLAGS = ["--d-model", 16, "--n-layers", 1, "--max-len", 16, "--batch-size", 12, "--dropout", 0.1, "--eval-every", EVERY]
FLAGS += ["--log-every", 1, "--steps", STEPS, "--lr", 0.001, "--threads"]
RANK = re.compile(rb"(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)")  # among the variables of a process, of either MPI
PATIENCE = 10.0  # seconds within which all must have ended


def command(n, *flags):
    """Return the command that trains with n ranks; 1: without MPI."""
    start = [MPIRUN, "-n", n, sys.executable, "-m", "mpi4py"] if n > 1 else [sys.executable]
    return [*map(str, [*start, "-m", "tinytx", "train", "gpt", *flags])]


def ranks_of(starter):
    """Return {rank: process number} of the ranks that a process has started, itself or by way of a process between them."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            number, rank = int(folder.name), RANK.search((folder / "environ").read_bytes())
            if rank and starter in (_parent(number), _parent(_parent(number))):
                found[int(rank[1])] = number
    return found


def _parent(number):
    return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])


def killed(folder, rank, steps, pause):
    """Start a run with two ranks and kill one after some steps and a pause; return the seconds until all have ended."""
    process = subprocess.Popen(command(2, *FLAGS, 1, "--out", folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ends = time.monotonic() + 60
    while not _is_at(folder, steps) and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.001)
    time.sleep(pause)
    ranks = ranks_of(process.pid)
    if rank not in ranks:
        raise SystemExit(f"rank {rank} had ended before it could be killed: {process.communicate()[0][-300:]}")
    began = time.monotonic()
    os.kill(ranks[rank], signal.SIGKILL)
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise SystemExit(f"{PATIENCE:g} seconds after rank {rank} was killed the others still run") from None
    while (left := [number for number in ranks.values() if _runs(number)]) and time.monotonic() < began + PATIENCE:
        time.sleep(0.01)  # Open MPI's mpirun ends before the ranks that it ends
    took = time.monotonic() - began
    if process.returncode == 0 or "Killed" not in said or left:
        raise SystemExit(f"exit code {process.returncode}, processes left: {left}, message: {said[-500:]}")
    return took


def _runs(number):
    """Return whether a process is there, and no mere entry of one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _is_at(folder, steps):
    """Return whether a run has written its first checkpoint, and records of so many steps."""
    metrics = folder / "metrics.jsonl"
    return (folder / "checkpoint.npz").exists() and (not steps or metrics.exists() and metrics.read_bytes().count(b"\n") >= steps)


def weights(folder):
    """Return the arrays of a checkpoint as bytes: weights, moments and counters."""
    return {name: array.tobytes() for name, array in load_arrays(folder / "checkpoint.npz")[0].items()}


def trained(n, *flags):
    """Train to the end with n ranks."""
    done = subprocess.run(command(n, *flags), capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{n} ranks ended with exit code {done.returncode}: {done.stderr[-500:]}")


def main():
    """Kill, go on and compare; print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="default 20")
    parser.add_argument("--seed", type=int, default=0, help="of ranks and moments (default 0)")
    parser.add_argument("--quick", action="store_true", help="the same as --runs 2")
    arguments = parser.parse_args()
    if MPIRUN is None:
        raise SystemExit("there is no mpirun: pip install mpich brings one")
    rng, slowest, most = random.Random(arguments.seed), 0.0, 0
    runs = 2 if arguments.quick else arguments.runs
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole")
        trained(1, *FLAGS, 2, "--out", whole)  # two threads have the bits of two ranks
        for i in range(runs):
            folder, rank, n = Path(scratch, str(i)), rng.randrange(2), (2, 1)[i % 2]
            took = killed(folder, rank, rng.randrange(int(0.9 * STEPS)), rng.random() / 50)
            step = load_arrays(folder / "checkpoint.npz")[1]["step"]
            records = read_json_lines(folder / "metrics.jsonl") if (folder / "metrics.jsonl").exists() else []
            lost = records[-1]["step"] - step if records else 0
            trained(n, "--resume", folder, "--threads", 2 // n)
            same = weights(folder) == weights(whole)
            slowest, most = max(slowest, took), max(most, lost)
            how = "two ranks" if n == 2 else "two threads"
            print(f"run {i}: rank {rank} killed, all ended after {took:.2f} s; {lost} steps lost of {step + lost}; {how} ended with the same bits: {same}", flush=True)
            if lost > EVERY or not same:
                raise SystemExit("more than an interval was lost, or the weights differ")
    print(f"{runs} runs: all ended within {slowest:.2f} s with a message, all went on, at most {most} steps were lost (checkpoints every {EVERY})")


if __name__ == "__main__":
    main()
