"""A recipe in no table: the one that README shows, in a file of its own."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def letters(tmp_path, book, monkeypatch):
    """A folder, the current one, with letters.py as README has it, and book.txt."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    (source,) = [text for text in blocks if "RECIPE = " in text]
    (tmp_path / "letters.py").write_text(source)
    (tmp_path / "book.txt").write_text(book.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path
