"""The example of word vectors: the table, what judges neighbours, and how texts become numbers."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "word_vectors.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("word_vectors_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table(example, tmp_path, monkeypatch, capsys):
    """Catches a form that is left out, and questions that are not asked."""
    text, questions = tmp_path / "text.txt", tmp_path / "questions.txt"
    text.write_text("".join(f"{' '.join(example.GROUPS['numbers'])} and {i} more\n" for i in range(9)))
    questions.write_text(": numbers\nTwo Three four five\nTwo Three five hundred\n")
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--text", str(text), "--questions", str(questions)])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "99 words, 11 distinct, 1 epochs"
    forms = [line for line in lines[1:] if not line.startswith(" ")]
    assert [line.split(":")[0] for line in forms] == [f"{name:20}" for name in example.FORMS] and len(forms) == 5
    assert all("numbers " in line and "of 1 (1 left out; by chance 12.50%)" in line and "months" not in line for line in forms)
    assert sum(line.startswith("    two: ") for line in lines) == 3


def test_ids_are_frequent_words_of_lines(example):
    """Catches a sentence that goes on in the next line, and words that are too rare."""
    words, ids = example.read_ids(["The cat\n\nthe <unk> dog the cat."], 2)
    assert words == ["the", "cat"]
    assert ids.tolist() == [0, 1, -1, -1, 0, 0, 1, -1]
