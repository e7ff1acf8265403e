"""Text on its way to a terminal, and streams that fail."""

import errno
import io
import os
import sys

import pytest

from tinytx import terminal
from tinytx.terminal import Stream, harmless, one_line, safe, visible


@pytest.mark.parametrize("character", [*map(chr, [*range(32), *range(0x7F, 0xA0)]), "\u202e", "\u2066", "\u2028", "\udcff"])
def test_nothing_commands_the_terminal(character):
    """Catches a character that moves the cursor, rings, hides what was printed or turns the direction of writing."""
    for function in (harmless, visible, one_line):
        shown = function(f"a{character}b")
        kept = function is harmless and character in "\n\t"
        assert (character in shown) == kept
        assert shown.isprintable() or kept


@pytest.mark.parametrize("text", ["l’été, 吾輩は猫である。", "नमस्ते", "👨‍👩‍👧", "a\u00a0b", "x\u0301", "line\n\ttab", ""])
def test_text_stays_text(text):
    """Catches letters, marks, joiners and spaces of any script taken for commands."""
    assert harmless(text) == text


def test_a_line_keeps_its_beginning_and_its_end():
    """Catches a remedy that is cut off, and a short line that is cut at all."""
    line = one_line("facts " + "x" * 5000 + " remedy", 200)
    assert line.startswith("facts xxx") and line.endswith("xxx remedy") and len(line) == 200
    assert one_line("y" * 200, 200) == "y" * 200


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8", "utf-16"])
def test_a_character_that_cannot_be_said_is_an_escape(encoding):
    """Catches a UnicodeEncodeError in the middle of what was to be printed."""
    inner = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    stream = Stream(inner, "output", is_vital=True)
    assert stream.write("猫 é\n") == 4
    said = inner.buffer.getvalue().decode(encoding)
    expected = {"ascii": "\\u732b \\xe9\n", "cp1252": "\\u732b é\n", "latin-1": "\\u732b é\n"}.get(encoding, "猫 é\n")
    assert said == expected


class Failing(io.StringIO):
    """A stream that fails when it is written to."""

    def __init__(self, number, file):
        super().__init__()
        self._number, self._file = number, file

    def write(self, text):
        raise OSError(self._number, os.strerror(self._number))

    def fileno(self):
        return self._file.fileno()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBADF])
@pytest.mark.parametrize("is_vital", [True, False])
def test_a_stream_that_fails(tmp_path, number, is_vital):
    """Catches a full disk under messages that ends a run, and one under a text that nobody hears of."""
    with open(tmp_path / "file", "w") as file:
        stream = Stream(Failing(number, file), "output", is_vital=is_vital)
        if is_vital:
            with pytest.raises(OSError, match="output") as caught:
                stream.write("text")
            assert caught.value.errno == number
        else:
            stream.write("text")
        file.write("lost")  # the file's number leads nowhere now: what Python writes at its end cannot fail again
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("is_vital", [True, False])
def test_a_reader_that_is_gone_is_always_told(tmp_path, is_vital):
    """Catches a run that goes on for hours when ``| head`` has long ended."""
    with open(tmp_path / "file", "w") as file, pytest.raises(BrokenPipeError):
        Stream(Failing(errno.EPIPE, file), "output", is_vital=is_vital).write("text")


def test_streams_that_were_closed_before_the_program_began(monkeypatch):
    """Catches an AttributeError of None; Python has None for a stream that is closed when it starts."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with safe():
        print("text")
        print("message", file=sys.stderr, flush=True)
        assert not sys.stderr.isatty()
    assert sys.stdout is None and sys.stderr is None


def test_streams_are_given_back(capsys):
    """Catches a wrapper that stays around the streams of the program that called."""
    before = sys.stdout, sys.stderr
    with pytest.raises(ValueError), safe():
        print("\x1b[2J")
        kept = sys.stdout
        raise ValueError
    assert (sys.stdout, sys.stderr) == before
    print("\x1b[0m", file=kept, end="")  # as colorama does when Python ends, with the stream that it found at first
    assert capsys.readouterr().out == "\\x1b[2J\n\x1b[0m"


def test_there_is_one_function_for_words():
    """Catches a second table of what cannot be seen."""
    from tinytx.vectors import word_vectors

    assert word_vectors.visible is terminal.visible
