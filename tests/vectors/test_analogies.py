"""Analogies: on vectors that are sums of meanings, beside a search word by word."""

import sys

import numpy as np
import pytest

from tinytx.vectors import analogies, read_questions

WORDS = ["man", "woman", "king", "queen", "boy", "girl", "fish"]
VECTORS = np.array([[1, 0, 0.1, 0], [-1, 0, 0.1, 0], [1, 1, 0, 0], [-1, 1, 0, 0], [1, 0, 0, 1], [-1, 0, 0, 1], [0, 0.1, 5, 0.1]])
QUESTIONS = [("man", "king", "woman", "queen"), ("man", "boy", "woman", "girl"), ("king", "queen", "boy", "girl")]


def test_sums_of_meanings_are_understood():
    """All right; catches words of the question that answer it: without the sum, woman is nearest to itself."""
    assert analogies(VECTORS, WORDS, QUESTIONS) == (3, 3, 0)
    assert analogies(VECTORS, WORDS, [("man", "king", "woman", "girl"), ("man", "king", "duke", "queen")]) == (0, 1, 1)
    assert analogies(VECTORS, WORDS, []) == (0, 0, 0)


@pytest.mark.parametrize("at_once", [1, 30, 10**6])
def test_many_questions_beside_a_search(monkeypatch, at_once):
    """Vectors of different lengths: catches a sum of vectors as they are, and questions between two parts."""
    monkeypatch.setattr(sys.modules["tinytx.vectors.analogies"], "AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    vectors, words = rng.normal(size=(12, 3)) * rng.uniform(0.2, 5, (12, 1)), [f"w{i}" for i in range(12)]
    ids = np.array([rng.permutation(12)[:4] for _ in range(60)])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    questions, answers = [], []
    for a, b, c, _ in ids:
        target = unit[b] - unit[a] + unit[c]
        answers.append(max((w for w in range(12) if w not in (a, b, c)), key=lambda w: unit[w] @ target))
        questions.append((words[a], words[b], words[c], words[answers[-1]]))
    assert analogies(vectors, words, questions) == (60, 60, 0)
    wrong = [(*question[:3], words[(answer + 1) % 12]) for question, answer in zip(questions, answers, strict=True)]
    assert analogies(vectors, words, [*questions[:7], *wrong]) == (7, 67, 0)


def test_questions_are_read():
    text = ": capitals\nAthens Greece Oslo Norway\n\n: family\n boy  girl king queen \n"
    assert read_questions(text) == [("Athens", "Greece", "Oslo", "Norway"), ("boy", "girl", "king", "queen")]
    with pytest.raises(ValueError, match="read_questions: line 2 has 3 words, expected 4: 'a b c'"):
        read_questions(": x\na b c\n")
    with pytest.raises(ValueError, match="read_questions: there is no question"):
        read_questions(": x\n")
