r"""Text on its way to a terminal: no character of it commands the terminal, and none is too strange to be written.

``harmless``  a text without control characters, whoever wrote it
``visible``   a word in which everything can be seen, spaces too
``safe``      standard streams that write harmless text alone, and whose loss is no traceback
"""

import contextlib
import os
import re
import sys
import time

# Controls but newline and tab; line separators; what turns the direction of writing; halves of surrogate pairs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]|^ +$"
)


def harmless(text):
    r"""Return a text in which control characters are written as Python escapes; newlines and tabs stay.

    A name in a file can hold the bytes that set a terminal's title, move its cursor or hide what was printed before.

    >>> print(harmless("\x1b]0;owned\x07 l’été"))
    \x1b]0;owned\x07 l’été
    """
    return _CONTROL.sub(_escape, text)


def visible(word):
    r"""Return a word as one line of text in which everything can be seen.

    Tabs, newlines, other control characters, half surrogates and spaces of unusual kinds are written as Python escapes;
    so are the spaces of a word that has nothing else, and an empty word becomes ``''``.

    >>> print(visible("a\tb"), visible(" "), visible("l’été"))
    a\tb \x20 l’été
    """
    return _UNSEEN.sub(_escape, word) or "''"


def one_line(text, width=1000):
    r"""Return a text as one harmless line, cut in its middle where it is longer than ``width`` characters.

    Facts stand at an error's beginning and its remedy at the end, so both are kept.

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
    """What is known of the terminal's lowest line: of both streams together, since both may be seen there."""

    def __init__(self):
        self._hide, self._at, self._is_whole = None, time.monotonic(), True

    def holds(self, hide):
        """A bar stands there, which ``hide`` takes away; or none does any more, where it is None."""
        self._hide = hide

    def clear(self):
        """Take away a bar."""
        if self._hide is not None:
            self._hide()

    def wrote(self, text):
        """A text was written."""
        if text:
            self._at, self._is_whole = time.monotonic(), text.endswith("\n")

    def quiet(self):
        """Return for how many seconds nothing has been written; 0 where a line waits for its end."""
        return time.monotonic() - self._at if self._is_whole else 0.0


LINE = Line()


class Stream:
    """A text stream that writes `harmless` text, with escapes for what its encoding cannot say.

    After an error of the system it leads nowhere, so that nobody trips over the same error again.

    Parameters
    ----------
    stream : text stream, or None
        None, which Python has for a stream that was closed before the program began, is a stream that leads nowhere.
    name : str
        For messages.
    is_vital : bool
        Whether an error is raised. One that says that the reader is gone (BrokenPipeError) is raised in any case.
    """

    def __init__(self, stream, name, *, is_vital):
        self.unfiltered = open(os.devnull, "w") if stream is None else stream
        self._name, self._is_vital, self._is_lost = name, is_vital, False
        self.filters = True

    def write(self, text):
        """Write a text, where no bar stands any more; return its length."""
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
        """Hand over what is written to the system."""
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
            with contextlib.suppress(OSError):  # what is left in a buffer goes nowhere when Python ends
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.unfiltered.fileno())
                os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            if self._is_vital:
                raise OSError(error.errno, error.strerror, self._name) from error


@contextlib.contextmanager
def safe():
    """Make standard output and standard error `Stream`s for the length of a block.

    Output is vital: who asks for a text on a full disk gets an error. Messages are not.
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
            replacement.filters = False  # libraries keep it, and may reset colours with it when Python ends
            if stream is None:
                replacement.close()
