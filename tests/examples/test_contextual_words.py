"""The example of words in their sentences: its second language, its vectors, and the table."""

import doctest
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytx.data import BERT_SPECIAL, WordTokenizer

FILE = Path(__file__).resolve().parents[2] / "examples" / "contextual_words.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("contextual_words_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_second_language_tells_tags(example):
    assert doctest.testmod(example).failed == 0
    sentence = [("he", "PRON"), ("walks", "VERB"), ("fast", "ADV"), ("near", "ADP"), ("quiet", "ADJ"), ("plans", "NOUN"), (".", "PUNCT")]
    assert example.translated(sentence) == ["he", "walksas", "faste", "near", "planso", "quieta", "."]


def test_a_translators_vectors_are_those_of_the_words_and_of_the_sentence(example):
    """Catches annotations of another position, a table that the translator has changed, and states taken for words."""
    pairs = [("the walk helps .", "the walko helpsas ."), ("they walk .", "they walkas .")]
    tokenizer = WordTokenizer.from_texts([text for text, _ in pairs], special=BERT_SPECIAL)
    table = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, example.WIDTH)).astype(np.float32)
    body = example.translator(pairs, tokenizer, table, steps=2, seed=0, threads=1)
    ids = np.stack([tokenizer.encode("the walk helps ."), tokenizer.encode("they walk . .")])
    vectors = example.cove(body, ids)
    assert vectors.shape == (2, 4, 1, 3 * example.WIDTH)
    np.testing.assert_array_equal(vectors[:, :, 0, : example.WIDTH], table[ids])
    other = np.stack([ids[0], ids[0]])
    other[1, -1] = ids[1, -2]
    np.testing.assert_array_equal(example.cove(body, other)[0], vectors[0])
    assert not np.allclose(vectors[0, 1], vectors[1, 1])  # "walk" in two sentences


def test_the_table(example, tmp_path, monkeypatch, capsys):
    """With real pairs; CI runs it without."""
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("They walk home .\tils marchent .\nthe walk .\tla marche .\n")
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--threads", "1", "--pairs", str(pairs)])
    example.main()
    head, *rows, last = capsys.readouterr().out.splitlines()
    names = ["word2vec", "ELMo, token", "ELMo, layer1", "ELMo, layer2", "ELMo, mix", "word2vec and CoVe"]
    assert [row[:20].strip() for row in rows] == names and head in example.__doc__
    assert [int(row[20:26]) for row in rows] == [32, 32, 32, 32, 32, 96] and last.startswith("Shares")
    assert all(0 <= float(figure) <= 1 for row in rows for figure in row[26:].split())
