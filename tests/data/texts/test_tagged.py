"""Generated sentences with tags, and files of them."""

from functools import cache

import pytest

from tinytx.data import DataError, read_tagged, tagged_sentences
from tinytx.data.texts.tagged import BOTH, GRAMMAR, WORDS


def readings(words):
    """Return all sequences of tags that the grammar can give to some words: a parser, independent of what draws."""

    @cache
    def parsed(phrase, start):  # {(end, tags)}
        if phrase in WORDS:
            tag, known = WORDS[phrase]
            return {(start + 1, (tag,))} if start < len(words) and words[start] in known else set()
        found = set()
        for form in GRAMMAR[phrase]:
            partial = {(start, ())}
            for part in form.split():
                partial = {(end, tags + more) for at, tags in partial for end, more in parsed(part, at)}
            found |= partial
        return found

    return {tags for end, tags in parsed("sentence", 0) if end == len(words)}


def test_a_sentence_can_be_read_in_one_way_only():
    for sentence in tagged_sentences(3000, seed=1):
        words, tags = zip(*sentence)
        assert readings(words) == {tags}, words


def test_a_parser_that_sees_two_readings(monkeypatch):
    """"she will help walk" has two in a grammar whose objects may be a bare noun or a bare verb."""
    monkeypatch.setitem(GRAMMAR, "object", (*GRAMMAR["object"], "noun", "verb"))
    assert len(readings("she will help walk .".split())) == 2


def test_forty_words_are_nouns_and_verbs():
    found = {}
    for sentence in tagged_sentences(3000):
        for word, tag in sentence:
            found.setdefault(word, set()).add(tag)
    both = {word for word, tags in found.items() if tags == {"NOUN", "VERB"}}
    assert len(both) == 40 and {form for word in BOTH for form in (word, f"{word}s", f"{word}es")} >= both
    assert {word: tags for word, tags in found.items() if len(tags) > 1 and word not in both} == {
        "her": {"DET", "PRON"}, "fast": {"ADJ", "ADV"}, "early": {"ADJ", "ADV"}, "to": {"ADP", "PART"},
    }  # fmt: skip


def test_sentences_are_drawn_by_their_seed():
    few, many = tagged_sentences(50, seed=3), tagged_sentences(500, seed=3)
    assert few == many[:50] and len(set(map(tuple, many))) == 500 and few != tagged_sentences(50, seed=4)
    assert tagged_sentences(0) == []


def test_files_are_read(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("-DOCSTART- -X- O\n\nNew\tB-LOC\nYork\tI-LOC\n\n\nis NN O\n. . O")
    assert read_tagged(path) == [[("New", "B-LOC"), ("York", "I-LOC")], [("is", "O"), (".", "O")]]
    sentences = tagged_sentences(20)
    path.write_text("\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences))
    assert read_tagged(path) == sentences


@pytest.mark.parametrize(("text", "message"), [("a\tX\n\nword\n", "line 3 of .* is 'word': write a word, a tab, and its tag"),
                                               ("a\t\n", "line 1"), ("\n\n", "no sentence")])  # fmt: skip
def test_wrong_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_tagged(tmp_path / "a.tsv")
