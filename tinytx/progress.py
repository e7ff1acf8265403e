"""Shows the progress of long work and the time left: a bar on a terminal, a line every few seconds elsewhere."""

import os
import sys
import threading
import time
from contextlib import closing, contextmanager

from tinytx import kernel
from tinytx.terminal import LINE, harmless, one_line

_displays = []  # displays of the work in progress, each inside the one before; the last one is visible
QUIET = 5.0  # the longest time without output, in seconds
_compiled = 0  # number of kernels compiled since `announce_compiling`


def progress(total, start=0, unit="step", *, stays=True):
    """Return a display with ``update(text, n)``, ``say(line)``, ``hide()`` and ``close()``, on standard error.

    Parameters
    ----------
    total, start : int
        Steps in all, and steps done before. If total is None, the number is unknown: after some silence a message says
        that the work goes on.
    unit : str
    stays : bool
        Whether the last line remains at the end. Use False for work inside other work.
    """
    kind = Bar if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Lines
    return kind(total, start, unit, stays)


def tracked(items, unit, total=None):
    """Return items to go through once, with a length, and show how many are done.

    Parameters
    ----------
    items : iterable
    unit : str
        The name of one item: "batch".
    total : int, optional
        The number of items, if ``items`` has no len().
    """
    return _Tracked(items, unit, len(items) if total is None else total)


class _Tracked:
    """What `tracked` returns: the display begins with the first item, and ends with the last or with the reader."""

    def __init__(self, items, unit, total):
        self._items, self._unit, self._total = items, unit, total

    def __len__(self):
        return self._total

    def __iter__(self):
        with closing(progress(self._total, unit=self._unit, stays=False)) as bar:
            for item in self._items:
                yield item
                bar.update()


@contextmanager
def working(name):
    """Print from time to time that the work called ``name`` goes on, while a block prints nothing itself."""
    with closing(progress(None, unit=name, stays=False)):
        yield


@contextmanager
def silent():
    """Show no progress during a block that draws the screen itself."""
    display = _Silent()
    _displays.append(display)
    try:
        yield
    finally:
        _displays.remove(display)


def say(line):
    """Print one line on standard error, above the bar if there is one.

    Line breaks become spaces, control characters are escaped, and a long text is cut: see `one_line`.
    """
    if _displays:
        _displays[-1].say(one_line(line), sys.stderr)
    else:
        print(one_line(line), file=sys.stderr, flush=True)


def announce_compiling():
    """From now on, print when kernels are compiled, and leave steps that compile out of the estimate of time."""
    said = None

    def compiling(name):
        nonlocal said
        global _compiled
        _compiled += 1
        if said is None:
            say("Compiling kernels that are not on disk yet: this takes a while, once")
            said = time.monotonic()
        elif bar := _bar():
            bar.show(f"compiling kernel {_compiled}")
        elif time.monotonic() - said >= QUIET:
            say(f"compiling kernel {_compiled}")
            said = time.monotonic()

    kernel.on_compile = compiling


def duration(seconds):
    """Return a duration in words.

    >>> [duration(s) for s in (8.4, 200, 8000, 250_000)]
    ['8 s', '3 min', '2 h 13 min', '2 days 21 h']
    """
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


class Pace:
    """The mean time of a step. After a thousand steps, older ones count less and less.

    The first step does not count, nor does a step in which kernels are compiled: both take longer than the others.
    """

    def __init__(self):
        self._clock, self._compiled = time.monotonic(), None
        self._counted, self._seconds = 0, 0.0

    def step(self, n=1):
        """Count n steps as done."""
        now = time.monotonic()
        if self._compiled == _compiled:
            self._counted += n
            self._seconds += ((now - self._clock) / n - self._seconds) * n / min(self._counted, max(n, 1000))
        self._clock, self._compiled = now, _compiled

    def left(self, n):
        """Return in words how long n steps will take; "" before the first step is measured."""
        return f"{duration(self._seconds * n)} left" if self._counted else ""


class _Display:
    """The common part of bars and lines. Several threads may call ``update``.

    During a long step a thread of the display shows that the work goes on.
    """

    def __init__(self, total, start, unit, stays):
        self._total, self._done, self._unit, self._stays = total, start, unit, stays
        self._text, self._pace, self._lock = "", Pace(), threading.RLock()
        self._shown = self._updated = time.monotonic()
        self._error, self._closed = None, threading.Event()
        _displays.append(self)
        threading.Thread(target=self._watch, daemon=True).start()

    def update(self, text="", n=1):
        """Count n steps as done; ``text`` tells results, separated by commas, the most important first."""
        with self._lock:
            if self._error is not None:
                raise self._error
            self._done, self._text, self._updated = self._done + n, text, time.monotonic()
            self._pace.step(n)
            is_last = self._done == self._total and self._stays
            if self._updated - self._shown >= self.every or is_last:
                self._shown = self._updated
                self.show()

    def parts(self, text):
        """Return the parts to show: steps done, time left, a long time since the last update, the text's parts."""
        since = time.monotonic() - self._updated
        waiting = f"at it for {duration(since)}" if since >= QUIET else ""
        if self._total is None:
            parts = (self._unit, waiting, text)
        else:
            left = self._pace.left(self._total - self._done)
            parts = (f"{self._unit} {self._done}/{self._total}", left, waiting, *text.split(", "))
        return [harmless(part) for part in parts if part]

    def close(self):
        """End the display."""
        with self._lock:
            self._closed.set()
            if self in _displays:
                _displays.remove(self)

    def _watch(self):
        while not self._closed.wait(QUIET / 5):
            with self._lock:
                if self._is_due():
                    self._shown = time.monotonic()
                    try:
                        self.show()
                    except OSError as error:  # raised by the next `update`, in the thread that works
                        self._error = error
                        return

    def _is_due(self):
        """Return whether the silence has been long enough; never while a debugger is in use."""
        if self._closed.is_set() or _displays[-1] is not self or "pdb" in sys.modules:
            return False
        quiet = time.monotonic() - max(self._shown, self._updated)
        return min(quiet, LINE.quiet() if self._total is None else quiet) >= max(self.every, QUIET)


class Bar(_Display):
    """A bar on a terminal: it is drawn in place, on the lowest line."""

    every = 0.1  # seconds
    least = 10  # the shortest bar, in characters

    def __init__(self, total, start, unit, stays):
        super().__init__(total, start, unit, stays)
        if total is not None:
            self.show()

    def show(self, text=None):
        """Draw the bar, with ``text`` in place of the last text if it is given."""
        width = _columns() - 1  # a character in the last column makes some terminals begin a new line
        with self._lock:
            _write("\r" + self.line(width, self._text if text is None else text).ljust(width))
            LINE.holds(self.hide)

    def line(self, width, text):
        """Return the bar in ``width`` characters. If the text does not fit, its last parts are left out."""
        first, *others = self.parts(text)
        if self._total is None:
            return ", ".join([first, *others])[:width]
        while others and len(", ".join([first, *others])) + self.least + 4 > width:
            others.pop()
        room = width - len(", ".join([first, *others])) - 4
        if room < self.least:
            return first[:width]
        filled = room * self._done // self._total if self._total else room
        return f"{first} [{'#' * filled}{'.' * (room - filled)}] {', '.join(others)}".rstrip()

    def hide(self):
        """Clear the line, so that other text can be printed."""
        LINE.holds(None)
        _write("\r" + " " * (_columns() - 1) + "\r")

    def say(self, line, stream=None):
        """Print a line above the bar, on standard output."""
        with self._lock:
            self.hide()
            print(line, file=stream or sys.stdout, flush=True)
            self.show()

    def close(self):
        """End the display; the bar remains on the screen if ``stays``."""
        if self._closed.is_set():
            return
        super().close()
        if self._stays:
            self.show()
            LINE.holds(None)
            _write("\n")
        else:
            LINE.clear()
        if (bar := _bar()) and bar._total is not None:
            bar.show()


class Lines(_Display):
    """A line every five seconds."""

    every = QUIET  # seconds

    def show(self):
        """Print a line with the progress."""
        print(", ".join(self.parts(self._text)), file=sys.stderr, flush=True)

    def hide(self):
        """Do nothing: lines are not removed."""

    def say(self, line, stream=None):
        """Print a line on standard output."""
        print(line, file=stream or sys.stdout, flush=True)


class _Silent:
    """The visible display while there is to be none."""

    def say(self, line, stream=None):
        """Do nothing: a line would spoil the screen."""


def _bar():
    """Return the visible bar, or None."""
    return _displays[-1] if _displays and isinstance(_displays[-1], Bar) else None


def _write(text):
    """Write text that may move the cursor."""
    getattr(sys.stderr, "write_unfiltered", sys.stderr.write)(text)
    sys.stderr.flush()


def _columns():
    """Return the width of the terminal in columns, 80 if it is unknown."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80
