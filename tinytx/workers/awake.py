"""A thread that stays awake: it takes a part of work that is too short for waking somebody.

To wake a thread takes 0.1 ms, as long as the product of a row and a matrix of two million numbers; but one thread reads such matrices at half of
the speed of two. So while tokens are decoded a helper is awake. It looks, in a compiled loop that does not need the
interpreter's lock, at a few words of memory. There `tinytx.kernel.share` says what is to be computed, in parts; the thread that says
so takes parts, too, and so whoever is faster takes more of them. Which thread computes a part changes no bit of it.

A helper that finds nothing to do for a few milliseconds falls asleep. It is woken by the next work, and may be awake only when that is done, if the
system puts it on the processor of the thread that has woken it. So it outlasts the choice of a token, and stays awake once more if it was asked for
meanwhile: it would else fall asleep between the question whether it is awake and the first work, and the whole token would be computed without it.

Where another program needs the processor, waiting awake takes time from those who compute. If that goes on for a while, it is seen that the thread
that decodes did not have a processor all the time, or waited for parts that a helper had begun, and helpers stay asleep for a while.
"""

import atexit
import contextvars
import os
import threading
import time
from queue import SimpleQueue

import numpy as np

from tinytx.kernel import ASKED, AWAKE, ENDED, WAITED, WORDS, help_others, kernel
from tinytx.workers import pool
from tinytx.workers.interruption import held_back

MOST = 4  # threads that share one product; memory is read no faster by more of them
PATIENCE, LOOKS = 3e-3, 20_000  # seconds without work before a helper falls asleep; looks of which the speed is measured
SPAN = 0.2  # seconds of work after which it is judged whether helpers help
LEAST_BUSY, MOST_WAITING = 0.9, 0.25  # shares of that time: on a processor, and waiting for parts that others have begun
SHORTEST, LONGEST = 0.5, 16.0  # seconds for which helpers then stay asleep: twice as many each time

_in_use = contextvars.ContextVar("awake", default=None)  # the `Helpers`, or None
_asked_for = contextvars.ContextVar("asked for", default=False)
_NOBODY = np.empty(0, np.int64)


class use:  # noqa: N801  used as a function is
    """A context in which threads are awake that take parts of what `tinytx.kernel.share` is given.

    There are as many as `tinytx.workers.count` says, less the calling one. With a single processor, inside a worker, and where another program needs the
    processors there are none.
    """

    def __enter__(self):
        self._is_helped = _helpers.may_help()
        self._token, self._asked = _in_use.set(_helpers if self._is_helped else None), _asked_for.set(True)
        self._began, self._on_processor = _seconds_of_work(), time.thread_time()

    def __exit__(self, *error):
        _asked_for.reset(self._asked)
        _in_use.reset(self._token)
        if self._is_helped:
            _helpers.judge(_seconds_of_work() - self._began, time.thread_time() - self._on_processor)


def _seconds_of_work():
    """Return the time on a clock that stands still while this thread waits for others that make calls of `tinytx.workers.map`: it needs no processor then."""
    return time.perf_counter() - pool.seconds_waited()


def parts():
    """Return in how many parts a sum may be cut, whose bits depend on it: `tinytx.workers.count` inside `use`, else 1; awake helpers or not."""
    return pool.count() if _asked_for.get() else 1


def words(wanted=True):
    """Return what an operation hands to `tinytx.kernel.share`: memory at which helpers look, or an empty array if none are wanted."""
    helpers = _in_use.get() if wanted else None
    n = 0 if helpers is None else min(pool.count(), MOST) - 1
    return helpers.woken(n) if n else _NOBODY


def are_asked():
    """Return whether helpers may take parts here: inside `use`, unless they are of no use for a while."""
    return _in_use.get() is not None


def memory():
    """Return the words at which helpers look, whether any of them is awake or not."""
    return _helpers.words


@kernel
def _help(words, patience):
    help_others(words, patience)


class Helpers:
    """Threads that wait for work, awake or asleep; they start when they are first needed, and end with the program.

    Attributes
    ----------
    words : int64 array (WORDS,)
        See `tinytx.kernel.share`.
    """

    def __init__(self):
        self.words = np.zeros(WORDS, np.int64)
        self._threads, self._calls, self._lock = [], SimpleQueue(), threading.Lock()
        self._until, self._pause = 0.0, SHORTEST
        self._forget_span()

    def woken(self, n):
        """Return the words, after n helpers have been woken, if they are not awake; those that are do not fall asleep right now."""
        self.words[ASKED] += 1
        missing = n - int(self.words[AWAKE]) - self._calls.qsize()
        if missing > 0:
            if len(self._threads) < n:
                self._start(n)
            for _ in range(missing):
                self._calls.put(True)
        return self.words

    def may_help(self):
        """Return whether helpers may be woken: not for a while after they were of no use."""
        return time.perf_counter() >= self._until

    def judge(self, seconds, on_processor):
        """Let helpers sleep for a while, where time was lost.

        Parameters
        ----------
        seconds, on_processor : float
            Of work with helpers, and how much of that the calling thread had a processor. To wait for other threads is no work.
        """
        self._seconds += seconds
        self._on_processor += on_processor
        if self._seconds < SPAN:
            return
        waited = (int(self.words[WAITED]) - self._waited) * self._look
        if self._on_processor < LEAST_BUSY * self._seconds or waited > MOST_WAITING * self._seconds:
            self._until, self._pause = time.perf_counter() + self._pause, min(2 * self._pause, LONGEST)
        else:
            self._pause = SHORTEST
        self._forget_span()

    def _forget_span(self):
        self._seconds = self._on_processor = 0.0
        self._waited = int(self.words[WAITED])

    _look = 0.0  # seconds of a look, once it is known

    def _start(self, n):
        with held_back(), self._lock:  # Ctrl-C between a thread's start and its place in the list: `end` would wait for ever
            while len(self._threads) < n:
                thread = threading.Thread(target=self._serve, name="tinytx-helper", daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self):
        """Run a helper's thread."""
        self._look = min(_seconds_of_a_look() for _ in range(4))
        while self._calls.get():
            _help(self.words, int(PATIENCE / self._look))

    def end(self):
        """End all threads, and wait for them: machine code goes before the interpreter does."""
        self.words[ENDED] = 1
        for _ in self._threads:
            self._calls.put(False)
        for thread in self._threads:
            thread.join()

    def forget(self):
        """Begin anew, in a process that was forked: it has none of the threads."""
        self.__init__()


def _seconds_of_a_look():
    nothing = np.zeros(WORDS, np.int64)
    began = time.perf_counter()
    _help(nothing, LOOKS)
    return (time.perf_counter() - began) / LOOKS


_helpers = Helpers()
atexit.register(_helpers.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.forget)
