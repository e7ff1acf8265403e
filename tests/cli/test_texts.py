"""Standard input has the lines that a file of the same bytes has."""

import io
import sys

import pytest

from tinytx.cli.texts import given_texts
from tinytx.data import CharTokenizer, read_text

TOKENIZER = CharTokenizer.from_text("abc")


@pytest.mark.parametrize("content", ["a\nb\nc", "a\r\nb\r\nc\r\n", "a\rb\rc\r", "\ufeffa\n\ufeffb\nc\n"])
def test_lines_are_those_of_a_file(content, tmp_path, monkeypatch):
    """Catches one line of three, and a byte order mark that is part of the first word."""
    (tmp_path / "text").write_bytes(content.encode())
    monkeypatch.setattr(sys, "stdin", io.StringIO(content, newline=""))
    found = given_texts(["-"], "text", TOKENIZER)
    assert [text for _, text in found] == read_text(tmp_path / "text").split() == ["a", "b", "c"]
    assert [place for place, _ in found] == [f"line {n} of standard input" for n in (1, 2, 3)]
