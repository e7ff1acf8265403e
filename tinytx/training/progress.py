"""Progress of a long run: a bar with time left through tqdm, or plain lines where it is missing."""

import sys
import time

from tinytx.extras import MissingExtra, require


def progress(total, start=0, unit="step"):
    """Return a progress display with ``update(text)``, ``say(line)`` and ``close()``.

    Parameters
    ----------
    total, start : int
        Steps in all, and steps done before.
    unit : str
    """
    try:
        tqdm = require("tqdm", "train", "a progress bar").tqdm
    except MissingExtra:
        return Lines(total, start, unit)
    return Bar(tqdm(total=total, initial=start, unit=unit, dynamic_ncols=True, smoothing=0.05))


def say(line):
    """Print a line on standard error; above a bar, if one stands there."""
    try:
        require("tqdm", "train", "a progress bar").tqdm.write(line, file=sys.stderr)
    except MissingExtra:
        print(line, file=sys.stderr, flush=True)


class Bar:
    """A tqdm bar."""

    def __init__(self, bar):
        self._bar = bar

    def update(self, text):
        """One step done; ``text`` stands behind the bar."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    def say(self, line):
        """Print a line above the bar."""
        self._bar.write(line)

    def close(self):
        """Leave the bar as it is."""
        self._bar.close()


class Lines:
    """A line every ten seconds, with the time left."""

    every = 10.0  # seconds

    def __init__(self, total, start, unit):
        self._total, self._start, self._unit = total, start, unit
        self._done = start
        self._began = self._said = time.monotonic()

    def update(self, text):
        """One step done."""
        self._done += 1
        now = time.monotonic()
        if now - self._said >= self.every or self._done == self._total:
            self._said = now
            left = (now - self._began) / (self._done - self._start) * (self._total - self._done)
            self.say(f"{self._unit} {self._done}/{self._total}, {left:.0f} s left, {text}")

    def say(self, line):
        """Print a line."""
        print(line, file=sys.stderr, flush=True)

    def close(self):
        """Nothing to close."""
