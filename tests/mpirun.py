"""Python under a real mpirun, for tests; ``needs_mpi`` skips those where there is none."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
needs_mpi = pytest.mark.skipif(MPIRUN is None or find_spec("mpi4py") is None, reason="mpirun and mpi4py are in the extra mpi")


OPEN_MPI = MPIRUN is not None and "Open MPI" in subprocess.run([MPIRUN, "--version"], capture_output=True, text=True).stdout
FREE = ["--map-by", ":OVERSUBSCRIBE"] if OPEN_MPI else []  # more ranks than cores
KILLED = "signal 9 (Killed)" if OPEN_MPI else "Killed (signal 9)"
NUMBER = re.compile(rb"(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)")  # among a rank's variables


def mpirun(n, *arguments, under="mpi4py", timeout=300):
    """Run Python with n ranks, for so many seconds at most; return the finished process."""
    return subprocess.run(command(n, *arguments, under=under), capture_output=True, text=True, timeout=timeout)


def command(n, *arguments, under="mpi4py"):
    """Return the command that runs Python with n ranks."""
    return [MPIRUN, *FREE, "-n", str(n), sys.executable, *(["-m", under] if under else []), *map(str, arguments)]


@contextmanager
def begun(folder, flags):
    """Run a command with two ranks; give the process when it has taken steps after its first validation."""
    words = command(2, "-m", "tinytx", *flags, "--out", folder)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            metrics, ends = folder / "metrics.jsonl", time.monotonic() + 200  # each rank may have to compile
            while not metrics.exists() or metrics.read_bytes().count(b"\n") < 25:
                if process.poll() is not None or time.monotonic() > ends:
                    process.kill()  # else it is waited for, which takes a hundred thousand steps
                    pytest.fail(f"no steps: {process.communicate()}")
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def ranks_of(process):
    """Return the process numbers of the ranks, in their order: children of mpirun, or of its child."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            number = int(folder.name)
            rank = NUMBER.search((folder / "environ").read_bytes())
            if rank and process.pid in (parent_of(number), parent_of(parent_of(number))):
                found[int(rank[1])] = number
    return [found[rank] for rank in sorted(found)]


def parent_of(number):
    """Return the number of a process's parent."""
    return int(Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()[1])
