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
        How many work at a time, the calling one included. The default is the number of processors, or 1 where
        threadpoolctl is missing: without it nothing keeps BLAS's own threads from fighting with these.

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
        """Return [f(...), ...], as ``map`` takes its arguments.

        A thread that is done with one call takes the next: many small calls cost no more than a few large ones. Where
        one raises, none is begun any more, and those that were begun are waited for.
        Meanwhile BLAS uses the thread that calls it, and no other.
        """
        calls = list(zip(*arguments))
        left, results = iter(range(len(calls))), [None] * len(calls)

        def work():
            try:
                for i in left:  # shared by the threads: each number goes to one of them
                    results[i] = f(*calls[i])
            finally:
                for _ in left:  # after an error, nothing
                    pass

        with self.one_blas_thread():
            others = [self._pool.submit(work) for _ in range(min(self.count, len(calls)) - 1)]
            try:
                work()  # this thread is one of them
            finally:
                begun = [other for other in others if not other.cancel()]  # who begins later would find nothing left
                wait(begun)
        for other in begun:
            other.result()
        return results

    def one_blas_thread(self):
        """Return a context in which BLAS uses the thread that calls it, and no other."""
        return self._blas.limit(limits=1, user_api="blas") if self._blas else nullcontext()


def processors():
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
