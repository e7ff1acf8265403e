"""Threads that share out the processors once, above the matrix products, with BLAS held to one thread in each."""

import contextlib
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from tinytx.extras import MissingExtra
from tinytx.workers.blas import one_thread
from tinytx.workers.interruption import held_back
from tinytx.workers.machine import processors

GROUP = 1 << 18  # numbers of a group of `map_grouped`, at least: an optimiser goes through them in 0.4 ms

_in_use = contextvars.ContextVar("workers", default=None)  # the `Pool` that `map` uses, or None


class _Thread(threading.local):
    waited = 0.0


_thread = _Thread()


class use:  # noqa: N801  used as a function is
    """A context in which `map` and `count` use a pool, as ``np.errstate`` sets what NumPy says of errors.

    Meanwhile BLAS uses the thread that calls it, and no other. A class: a context made of a generator takes twice as long, for each token of a text.

    Parameters
    ----------
    pool : Pool, optional
        The default is the one in use, or else one of all processors, which is made once. Inside a worker the work is
        not shared out again: the default leaves it so.
    """

    def __init__(self, pool=None):
        self._pool = pool

    def __enter__(self):
        pool = self._pool or _in_use.get() or _of_all_processors()
        self._token = _in_use.set(pool)
        try:
            self._blas = pool.one_blas_thread()
            self._blas.__enter__()
        except BaseException:
            _in_use.reset(self._token)
            raise

    def __exit__(self, *error):
        try:
            self._blas.__exit__(*error)
        finally:
            _in_use.reset(self._token)


def in_use():
    """Return the pool that `map` uses here; None outside of `use`."""
    return _in_use.get()


def map(f, *arguments):  # noqa: A001
    """Return [f(...), ...] like the built-in ``map``: the calls run in the workers in use, or here one after another.

    A single call runs here, and may itself share out its work. Calls must not depend on which of them comes first.
    """
    calls = list(zip(*arguments))
    pool = _in_use.get()
    if pool is None or len(calls) < 2:
        return [f(*call) for call in calls]
    return pool.map(f, *zip(*calls))


def map_grouped(f, items, size):
    """Return [f(item), ...] like `map`, with small items together in one call: to hand work over takes 0.1 ms.

    Parameters
    ----------
    f : function (item) -> result
    items : iterable
    size : function (item) -> int
        Numbers that f goes through.
    """
    return [result for results in map(lambda group: [f(item) for item in group], grouped(items, size)) for result in results]


def grouped(items, size):
    """Return the lists of items that `map_grouped` hands over together."""
    groups, room = [], 0
    for item in items:
        if room <= 0:
            groups, room = [*groups, []], GROUP
        groups[-1].append(item)
        room -= size(item)
    return groups


def count():
    """Return how many calls of `map` run side by side: 1 outside of `use`, and inside a worker."""
    pool = _in_use.get()
    return pool.count if pool else 1


def seconds_waited():
    """Return how many seconds this thread has waited, in all calls of `map`, for calls that other threads still made."""
    return _thread.waited


class Pool:
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

    def map(self, f, *arguments):
        """Return [f(...), ...] like the built-in ``map``; inside f, `map` is serial.

        A thread that finishes one call takes the next, so many small calls are as fast as a few large ones. If a call
        raises an error, no more calls begin, and running calls are waited for. The same holds after Ctrl-C, which takes
        effect between two calls (`tinytx.workers.interruption`). Meanwhile BLAS uses only the thread that calls it.
        """
        calls = list(zip(*arguments))
        left, results = iter(range(len(calls))), [None] * len(calls)

        def work(check=lambda: None):
            token = _in_use.set(_SERIAL)
            try:
                for i in left:  # shared by the threads: each takes the next number
                    results[i] = f(*calls[i])
                    check()
            finally:
                _in_use.reset(token)
                for _ in left:  # empties it, so that no more calls begin after an error
                    pass

        with held_back() as interruption, self.one_blas_thread():
            self._wait_for_left()
            others = [self._pool.submit(work) for _ in range(min(self.count, len(calls)) - 1)]
            try:
                work(interruption.check)  # this thread works too
            finally:
                begun = [other for other in others if not other.cancel()]  # the others never begin
                self._wait(begun)
        for other in begun:
            other.result()
        return results

    def _wait(self, begun):
        began = time.perf_counter()
        try:
            wait(begun)
        except BaseException:  # Ctrl-C a second time, while waiting
            self._left = begun
            raise
        finally:
            _thread.waited += time.perf_counter() - began

    def _wait_for_left(self):
        """Wait for calls that are still running after an interruption: the next calls may read what they write."""
        if self._left and threading.current_thread() is threading.main_thread():
            wait(self._left)
            self._left = []

    def one_blas_thread(self):
        """Return a context in which BLAS uses the thread that calls it, and no other."""
        return self._blas or contextlib.nullcontext()


class _Serial:
    """What is in use inside a worker: it makes each call in its own thread."""

    count, one_blas_thread = 1, contextlib.nullcontext

    def map(self, f, *arguments):
        return [f(*call) for call in zip(*arguments)]


_SERIAL = _Serial()


@cache
def _of_all_processors():
    return Pool()
