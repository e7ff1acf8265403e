import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from tinytx.data import BERT_SPECIAL, DataError, WordPieceTokenizer  # noqa: E402
from tinytx.extras import MissingExtra  # noqa: E402

SEA = "She sells sea shells by the sea shore, and the shells she sells are surely sea shells."
TEXTS = [SEA, "So if she sells shells there: I am sure that she sells shells of the sea shore, ça va!"] * 3
TOKENIZER = WordPieceTokenizer.from_texts(TEXTS, 60)
PIECES = ["un", "##aff", "##able", "##a", "a", "the", "able", ",", "[", "]", "mask"]
SMALL = WordPieceTokenizer(PIECES)
WORDS = st.text(st.sampled_from("unafbleTÉA ,[]mask#\n"))


def longest_first(word):
    """The page's own rule: the longest piece that the word begins with, and so on with the rest."""
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = [end for end in range(len(word), start, -1) if prefix + word[start:end] in PIECES]
        if not ends:
            return ["[UNK]"]
        pieces.append(prefix + word[start : ends[0]])
        start = ends[0]
    return pieces


@given(WORDS)
def test_words_are_cut_into_the_longest_pieces(text):
    expected = text.lower().replace("é", "e")
    for mark in ",[]#":
        expected = expected.replace(mark, f" {mark} ")
    pieces = [piece for word in expected.split() for piece in longest_first(word)]
    assert SMALL.tokens(SMALL.encode(text)) == pieces


def test_ids_and_names():
    assert SMALL.special == BERT_SPECIAL and SMALL.names == [*BERT_SPECIAL, *PIECES]
    assert (SMALL.pad_id, SMALL.unk_id, SMALL.cls_id, SMALL.sep_id, SMALL.mask_id) == (0, 1, 2, 3, 4)
    assert SMALL.encode("Unaffable, the a").tolist() == [5, 6, 7, 12, 10, 9]
    assert SMALL.encode("").tolist() == [] and SMALL.encode("\0\u200b ").tolist() == []


@given(WORDS | st.lists(st.sampled_from([*BERT_SPECIAL, " ", "a"])).map("".join))
def test_no_text_encodes_to_a_special_token_but_unknown(text):
    assert not np.isin(SMALL.encode(text), [0, 2, 3, 4]).any()
    assert SMALL.tokens(SMALL.encode("[MASK]")) == ["[", "mask", "]"]
    plain = WordPieceTokenizer(["mas", "##k"], ["mask", "[UNK]"])
    assert plain.tokens(plain.encode("mask")) == ["mas", "##k"]


@given(st.lists(st.sampled_from([*SEA.split(), *"!,.:"])).map(" ".join))
def test_known_words_come_back(text):
    ids = TOKENIZER.encode(text)
    again = TOKENIZER.decode(ids)
    np.testing.assert_array_equal(TOKENIZER.encode(again), ids)
    assert again.replace(" ", "") == "".join(text.lower().split())


def test_decoding_joins_pieces():
    assert TOKENIZER.decode(TOKENIZER.encode(SEA)) == SEA.lower()
    assert SMALL.decode([2, 5, 6, 7, 4, 6, 3, 0, 0]) == "[CLS] unaffable [MASK] ##aff [SEP]"
    assert SMALL.decode([6, 7]) == "##affable"


def test_whole_words():
    ids = [2, 5, 6, 7, 10, 4, 8, 3, 0]
    assert SMALL.word_starts(ids).tolist() == [True, True, False, False, True, True, False, True, True]
    assert SMALL.word_starts([]).dtype == bool


def test_training():
    assert TOKENIZER.vocab_size == 60
    assert TOKENIZER.tokens(TOKENIZER.encode("The sea shells")) == ["the", "sea", "shells"]
    assert len(TOKENIZER.encode("shorells")) > 1
    characters = {c for text in TEXTS for c in text.lower().replace("ç", "c") if not c.isspace()}
    assert {piece for piece in TOKENIZER.pieces if len(piece) == 1} <= characters
    assert TOKENIZER.encode("zoo").tolist() == [1]


def test_training_is_deterministic():
    """Again here, and in other processes with other hash seeds, whose library hashes differently too."""
    assert WordPieceTokenizer.from_texts(TEXTS, 60).to_dict() == TOKENIZER.to_dict()
    program = f"from tinytx.data import WordPieceTokenizer; print(WordPieceTokenizer.from_texts({TEXTS!r}, 60).pieces)"
    for seed in "78":
        environment = {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": "true", "PYTHONPATH": ":".join(sys.path)}
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == repr(TOKENIZER.pieces)


def test_case_and_accents():
    cased = WordPieceTokenizer.from_texts(["Ça VA ça va"] * 4, 40, lower=False)
    assert cased.decode(cased.encode("Ça VA")) == "Ça VA"
    assert WordPieceTokenizer.from_dict(cased.to_dict()).tokens(cased.encode("Ça")) == cased.tokens(cased.encode("Ça"))
    np.testing.assert_array_equal(TOKENIZER.encode("ÇA VA"), TOKENIZER.encode("ca va"))


def test_rare_characters_make_a_word_unknown():
    """A thousand characters are kept; of the rarest, the first. One of the last ones occurs twice."""
    rare = [chr(0x4DBF - i) for i in range(1200)]
    tokenizer = WordPieceTokenizer.from_texts([f"common {c}a" for c in [*rare, rare[0]]], 1100)
    assert 1 not in tokenizer.encode("common")
    known = [c for c in rare if 1 not in tokenizer.encode(c)]
    assert known == [rare[0], *rare[1 - len(known) :]] and len(known) == 1000 - len(set("comna"))


@pytest.mark.parametrize(
    "build, match",
    [
        (lambda: WordPieceTokenizer([]), "no pieces"),
        (lambda: WordPieceTokenizer(["a", "b", "a"]), "'a' occurs 2 times"),
        (lambda: WordPieceTokenizer.from_texts([" ", "\n"]), "there is no word in the texts"),
        (lambda: WordPieceTokenizer.from_texts(["ab"], 6), "vocab_size is 6, expected at least 7"),
        (
            lambda: WordPieceTokenizer(["a"], ["[UNK]"], [2]),
            r"ids of the special tokens are \(2,\), expected 1 .* 0\.\.1",
        ),
        (lambda: WordPieceTokenizer(["a"], ["[UNK]"], [-1]), r"are \(-1,\)"),
        (lambda: WordPieceTokenizer(["a"], ["[UNK]"], [0, 1]), r"are \(0, 1\), expected 1 different"),
        (lambda: WordPieceTokenizer(["a"], ["[UNK]", "[PAD]"], [1, 1]), r"are \(1, 1\), expected 2 different"),
        (lambda: WordPieceTokenizer(["a"], ["[UNK]"], ["0"]), r"are \('0',\)"),
        (lambda: SMALL.encode("a\ud800"), "WordPieceTokenizer: .* at position 1 is no text"),
        (lambda: WordPieceTokenizer(PIECES, ["[PAD]"]).encode("a zoo"), "word 'zoo' at position 1 is not among the 11"),
    ],
)
def test_errors(build, match):
    with pytest.raises(ValueError, match=match):
        build()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for build in (lambda: WordPieceTokenizer.from_texts(TEXTS), lambda: WordPieceTokenizer.from_dict(SMALL.to_dict())):
        with pytest.raises(MissingExtra, match=r'word pieces needs tokenizers: pip install "tinytx\[exchange\]"'):
            build()


# ---------------------------------------------------------------------------------------- published vocabularies

LINES = ["[PAD]", "[unused0]", "a", "[UNK]", "[CLS]", "[SEP]", "b", "[MASK]", "##b", "##\u2028"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_a_vocabulary_with_special_tokens_anywhere(tmp_path, end):
    path = tmp_path / "vocab.txt"
    path.write_bytes(((end or "\n").join(LINES) + end).encode())
    tokenizer = WordPieceTokenizer.from_vocab(path)
    assert tokenizer.names == LINES and tokenizer.special_ids == (0, 3, 4, 5, 7)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.mask_id) == (0, 3, 7)
    ids = tokenizer.encode("ABB b c [MASK]")
    assert ids.tolist() == [2, 8, 8, 6, 3, 3, 3, 3]
    assert tokenizer.decode([4, *ids[:4], 7, 5, 0]) == "[CLS] abb b [MASK] [SEP]"
    again = WordPieceTokenizer.from_dict(tokenizer.to_dict())
    assert again.names == LINES and again.to_dict() == tokenizer.to_dict()
    np.testing.assert_array_equal(again.encode("ABB b c"), ids[:5])


@pytest.mark.parametrize(
    "lines, match",
    [
        (["[PAD]", "a", "", "b"], "vocab.txt: line 3: '' is empty"),
        (["[PAD]", "a", "b", "a"], "line 4: 'a' occurs in line 2 already"),
        (LINES[1:], r"has no line '\[PAD\]'"),
    ],
)
def test_vocabularies_that_are_none(tmp_path, lines, match):
    (tmp_path / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match=match):
        WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt")
