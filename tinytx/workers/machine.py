"""How many processors this process should use."""

import contextlib
import os
from pathlib import Path


def processors():
    """Return how many processors this process should use: the smallest of what it has and of what it was told.

    It has those that the system lets it run on (``taskset``, ``docker --cpuset-cpus``), and a control group's quota of
    their time (``docker --cpus``, Kubernetes), rounded down. It is told by the variables OMP_NUM_THREADS,
    OPENBLAS_NUM_THREADS, MKL_NUM_THREADS and PYTHON_CPU_COUNT; what is no whole number of at least 1 counts as unset.
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *_quotas(), *_told()]))


def _told():
    """Yield the numbers of threads that variables of the environment ask for."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHON_CPU_COUNT"):
        first = os.environ.get(name, "").split(",")[0].strip()  # OpenMP takes a list, with a number for each level
        if first.isascii() and first.isdigit() and len(first) < 10 and int(first) > 0:
            yield int(first)


def _quotas(root="/sys/fs/cgroup", groups="/proc/self/cgroup"):
    """Yield how many processors' time the control groups of this process allow, where they limit it (Linux)."""
    try:
        lines = Path(groups).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        if controllers and "cpu" not in controllers.split(","):  # "" is version 2, which has all of them
            continue
        folder = Path(root, "cpu" if controllers else "", group.lstrip("/"))
        for level in [folder, *folder.parents]:  # a limit holds for all groups inside
            if not level.is_relative_to(root):
                break
            with contextlib.suppress(OSError, ValueError):
                yield _quota(level)


def _quota(folder):
    """Return the whole processors of one control group; raise OSError or ValueError where it sets no limit."""
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()  # version 2: "max 100000" is no limit
    else:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    if int(quota) <= 0:
        raise ValueError(f"{folder} sets no limit")  # version 1: -1
    return int(quota) // int(period)
