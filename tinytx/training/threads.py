"""Threads that share out the processors once, above the matrix products, with BLAS held to one thread in each."""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from tinytx.blas import one_thread
from tinytx.extras import MissingExtra
from tinytx.training.interruption import held_back


class Workers:
    """A pool of threads.

    Parameters
    ----------
    count : int, optional
        How many work at a time, the calling one included. The default is that of `processors`, or 1 where
        threadpoolctl is missing: without it nothing keeps BLAS's own threads from fighting with these.

    Raises
    ------
    MissingExtra
        If several threads are asked for and threadpoolctl is missing.
    """

    def __init__(self, count=None):
        try:
            one_thread.look()
            self._blas = one_thread
        except MissingExtra:
            if count not in (None, 1):
                raise
            self._blas = None
        self.count = count or (processors() if self._blas else 1)
        self._pool, self._left = ThreadPoolExecutor(self.count), []

    def run(self, f, *arguments):
        """Return [f(...), ...], as ``map`` takes its arguments.

        A thread that is done with one call takes the next: many small calls cost no more than a few large ones. Where
        one raises, none is begun any more, and those that were begun are waited for. So it is after Ctrl-C, which takes
        effect between two calls (`tinytx.training.interruption`).
        Meanwhile BLAS uses the thread that calls it, and no other.
        """
        calls = list(zip(*arguments))
        left, results = iter(range(len(calls))), [None] * len(calls)

        def work(check=lambda: None):
            try:
                for i in left:  # shared by the threads: each number goes to one of them
                    results[i] = f(*calls[i])
                    check()
            finally:
                for _ in left:  # after an error, nothing
                    pass

        with held_back() as interruption, self.one_blas_thread():
            self._wait_for_left()
            others = [self._pool.submit(work) for _ in range(min(self.count, len(calls)) - 1)]
            try:
                work(interruption.check)  # this thread is one of them
            finally:
                begun = [other for other in others if not other.cancel()]  # who begins later would find nothing left
                self._wait(begun)
        for other in begun:
            other.result()
        return results

    def _wait(self, begun):
        try:
            wait(begun)
        except BaseException:  # Ctrl-C a second time, of somebody who is too impatient to wait
            self._left = begun
            raise

    def _wait_for_left(self):
        """Wait for calls that somebody did not wait for: they may write to what the next ones read."""
        if self._left and threading.current_thread() is threading.main_thread():
            wait(self._left)
            self._left = []

    def one_blas_thread(self):
        """Return a context in which BLAS uses the thread that calls it, and no other."""
        return self._blas or contextlib.nullcontext()


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
