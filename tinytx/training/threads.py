"""Threads that share out the processors once, above the matrix products, with BLAS held to one thread in each."""

import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext

from tinytx.extras import MissingExtra, require


class Workers:
    """A pool of threads.

    Parameters
    ----------
    count : int, optional
        How many. The default is the number of processors, or 1 where threadpoolctl is missing: without it nothing
        keeps BLAS's own threads from fighting with these.

    Raises
    ------
    MissingExtra
        If several threads are asked for and threadpoolctl is missing.
    """

    def __init__(self, count=None):
        try:
            threadpoolctl = require("threadpoolctl", "train", "training in several threads")
            self._blas = threadpoolctl.ThreadpoolController()
        except MissingExtra:
            if count not in (None, 1):
                raise
            self._blas = None
        self.count = count or (processors() if self._blas else 1)
        self._pool = ThreadPoolExecutor(self.count)

    def run(self, f, *arguments):
        """Return [f(...), ...], as ``map`` takes its arguments; when all calls have ended, also if one raises."""
        calls = [self._pool.submit(f, *each) for each in zip(*arguments)]
        wait(calls)
        return [call.result() for call in calls]

    def one_blas_thread(self):
        """Return a context in which BLAS uses the thread that calls it, and no other."""
        return self._blas.limit(limits=1, user_api="blas") if self._blas else nullcontext()


def processors():
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
