r"""Makes text safe to print: control characters are escaped, and so is what the terminal's encoding cannot write.

``harmless``  returns a text without control characters
``visible``   returns a word without invisible characters
``bars``      returns lines with bars
``safe``      makes standard output and error write harmless text only; if one is closed, there is no traceback
"""

import contextlib
import os
import re
import sys
import time

BAR = 30  # characters of a bar that stands for certainty
# Control characters except newline and tab; line separators; marks of writing direction; halves of surrogate pairs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]|^ +$"
)


def harmless(text):
    r"""Return a text in which control characters are written as Python escapes; newlines and tabs stay.

    A name in a file can contain bytes that set a terminal's title, move its cursor or hide earlier output.

    >>> print(harmless("\x1b]0;owned\x07 l’été"))
    \x1b]0;owned\x07 l’été
    """
    return _CONTROL.sub(_escape, text)


def visible(word):
    r"""Return a word as one line of text without invisible characters.

    Tabs, newlines, other control characters, half surrogates and spaces of unusual kinds are written as Python escapes;
    so are the spaces of a word that consists of spaces. An empty word becomes ``''``.

    >>> print(visible("a\tb"), visible(" "), visible("l’été"))
    a\tb \x20 l’été
    """
    return _UNSEEN.sub(_escape, word) or "''"


def bars(shares, form="6.1%"):
    """Return a line for each (name, share from 0 to 1): both, and a bar of the share's length.

    >>> print(*bars([("one", 0.25), ("three", 0.1)]), sep="\\n")
      one     25.0%  ########
      three   10.0%  ###
    """
    width = max((len(visible(name)) for name, _ in shares), default=0)
    return [f"  {visible(name):<{width}}  {share:{form}}  {'#' * round(BAR * min(1, share))}".rstrip() for name, share in shares]


def one_line(text, width=1000):
    r"""Return a text as one harmless line, cut in its middle where it is longer than ``width`` characters.

    An error begins with the facts and ends with the remedy, so both ends are kept.

    >>> print(one_line("two\nlines \x07"), one_line("0123456789" * 10, 30))
    two lines \x07 012345678901234 ... 0123456789
    """
    line = harmless(" ".join(text.split()))
    if len(line) <= width:
        return line
    end = width // 3
    return f"{line[: width - end - 5]} ... {line[-end:]}"


def _escape(match):
    return "".join(r"\x20" if c == " " else c.encode("unicode_escape").decode() for c in match.group())


class Line:
    """The state of the terminal's lowest line, which standard output and standard error share."""

    def __init__(self):
        self._hide, self._at, self._is_whole = None, time.monotonic(), True

    def holds(self, hide):
        """Remember that a bar is on the line and that ``hide`` removes it; None: there is no bar."""
        self._hide = hide

    def clear(self):
        """Remove the bar, if there is one."""
        if self._hide is not None:
            self._hide()

    def wrote(self, text):
        """Remember that a text was written."""
        if text:
            self._at, self._is_whole = time.monotonic(), text.endswith("\n")

    def quiet(self):
        """Return the seconds since the last text; 0 if that text did not end its line."""
        return time.monotonic() - self._at if self._is_whole else 0.0


LINE = Line()


class Stream:
    """A text stream that writes `harmless` text, with escapes for characters that its encoding lacks.

    After an error of the system it discards everything, so that the same error is not raised again.

    Parameters
    ----------
    stream : text stream, or None
        None (Python's value for a stream that was closed before the program started) discards everything.
    name : str
        For messages.
    is_vital : bool
        Whether errors are raised. BrokenPipeError, which means that the reader is gone, is always raised.
    """

    def __init__(self, stream, name, *, is_vital):
        self.unfiltered = open(os.devnull, "w") if stream is None else stream
        self._name, self._is_vital, self._is_lost = name, is_vital, False
        self.filters = True

    def write(self, text):
        """Remove the bar, write a text and return its length."""
        LINE.clear()
        self.write_unfiltered(harmless(text) if self.filters else text)
        LINE.wrote(text)
        return len(text)

    def write_unfiltered(self, text):
        """Write a text that may move the cursor, as a progress bar does."""
        encoding = getattr(self.unfiltered, "encoding", None)
        if encoding:
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._do(self.unfiltered.write, text)

    def flush(self):
        """Pass what is written to the system."""
        self._do(self.unfiltered.flush)

    def __getattr__(self, name):
        return getattr(self.unfiltered, name)

    def _do(self, action, *arguments):
        if self._is_lost:
            return
        try:
            action(*arguments)
        except OSError as error:
            self._is_lost = True
            with contextlib.suppress(OSError):  # the rest of the buffer is discarded when Python ends
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.unfiltered.fileno())
                os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            if self._is_vital:
                raise OSError(error.errno, error.strerror, self._name) from error


@contextlib.contextmanager
def safe():
    """Make standard output and standard error `Stream`s during a block.

    An error on standard output is raised (a full disk, for example); one on standard error is not.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = Stream(sys.stdout, "standard output", is_vital=True)
    sys.stderr = Stream(sys.stderr, "standard error", is_vital=False)
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, replacement in zip(before, ours, strict=True):
            replacement.filters = False  # a library that kept it may reset colours with it when Python ends
            if stream is None:
                replacement.close()


class Copied:
    """A text stream that hands on what is written, and keeps it in ``texts``."""

    def __init__(self, stream):
        self._stream, self.texts = stream, []

    def write(self, text):
        """Write a text, keep it, and return its length."""
        self.texts.append(text)
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)
