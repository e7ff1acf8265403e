"""Ctrl-C that waits for a safe point: what handlers of signals raise is held back while threads are at work.

Python runs a signal's handler in the main thread, between any two instructions. What it raises there, KeyboardInterrupt
above all, may come between taking a lock and the ``try`` that gives it back, in our code or in a library's: then other
threads wait for ever. So handlers run as always, but what they raise waits until no thread is at work.
"""

import contextlib
import signal
import threading
import time

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK", "SIGALRM")  # those whose handlers commonly raise
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
PATIENCE = 2.0  # seconds after which another interruption is not held back: something may hang


class HeldBack:
    """An exception that a handler of a signal raised, held back until the work is in a safe state."""

    def __init__(self):
        self._error, self._since, self._handlers, self._holds = None, 0.0, {}, False

    def check(self):
        """Raise the exception, if there is one; call this where all state is complete."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def begin(self):
        """Replace the handlers that may raise."""
        self._holds = True
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._handle)

    def end(self):
        """Restore the handlers, unless others were set meanwhile."""
        try:
            for number, handler in self._handlers.items():
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, handler)
        finally:  # a handler that has its place back may raise here: the others are called without delay from now on
            self._holds = False

    def _handle(self, number, frame):
        try:
            return self._handlers[number](number, frame)
        except BaseException as error:
            if not self._holds or self._error is not None and time.monotonic() - self._since > PATIENCE:
                raise
            if self._error is None:
                self._error, self._since = error, time.monotonic()


_nothing, _current = HeldBack(), None  # what holds back now; only the main thread reads and writes it


@contextlib.contextmanager
def held_back():
    """Return a context that holds back what handlers of signals raise, and gives a `HeldBack`.

    At its end it is raised, in place of an error that the block itself raises. Inside another such context, and in
    threads that are not the main one, this does nothing.
    """
    global _current
    if threading.current_thread() is not threading.main_thread() or _current is not None:
        yield _nothing
        return
    held = HeldBack()
    try:
        held.begin()
        _current = held
        yield held
    finally:
        _current = None
        held.end()
        held.check()
