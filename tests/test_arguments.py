"""One str for a list of them, a float for a whole number, NaN for a number: errors, wherever they are handed in."""

from fractions import Fraction

import numpy as np
import pytest

from tinytx import data
from tinytx.arguments import check_number, check_probability, check_texts, check_whole
from tinytx.data import CharTokenizer, SubwordTokenizer, WordPieceTokenizer, WordTokenizer
from tinytx.training import average_checkpoints
from tinytx.vectors import nearest, write_projector
from tinytx.viz import alignment_picture, attention_picture, word_map, word_page

TEXT = "the cat sat"
MAPS = {"blocks.0.attention.f": np.full((1, 1, 3, 3), 1 / 3)}
CALLS = {
    "CharTokenizer.from_texts": lambda: CharTokenizer.from_texts(TEXT),
    "WordTokenizer": lambda: WordTokenizer("abc"),
    "WordTokenizer.from_texts": lambda: WordTokenizer.from_texts(TEXT),
    "TutorialTokenizer.from_texts": lambda: data.TutorialTokenizer.from_texts(TEXT),
    "special": lambda: WordTokenizer(["a"], special="xy"),
    "build_tokenizers": lambda: data.build_tokenizers(TEXT, "words"),
    "split_pairs": lambda: data.split_pairs(TEXT),
    "encode_pairs": lambda: data.encode_pairs(TEXT, *2 * [WordTokenizer(["the"])]),
    "joined": lambda: data.joined(TEXT),
    "average_checkpoints": lambda: average_checkpoints("runs"),
    "attention_picture": lambda: attention_picture("a.png", MAPS, "abc"),
    "attention_picture, target": lambda: attention_picture("a.png", MAPS, list("abc"), "abc"),
    "alignment_picture": lambda: alignment_picture("a.png", np.ones((1, 3)), "abc", ["x"]),
    "alignment_picture, target": lambda: alignment_picture("a.png", np.ones((1, 3)), list("abc"), "x"),
    "word_map": lambda: word_map("abc", np.ones((3, 2)), "a.png"),
    "word_page": lambda: word_page("abc", np.ones((3, 2)), np.ones((3, 2)), "a.html"),
    "nearest": lambda: nearest(np.eye(3), "abc", "a"),
    "write_projector": lambda: write_projector("folder", "abc", np.eye(3)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_str_is_no_list_of_str(name, tmp_path, monkeypatch):
    """Catches letters that are taken for texts, words, pairs or folders: a str is a sequence, too."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=r" is a str, '.*expected a list of .*: put it in brackets"):
        CALLS[name]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [SubwordTokenizer, WordPieceTokenizer])
def test_nor_for_the_library(kind):
    pytest.importorskip("tokenizers")
    for make in (lambda: kind.from_texts(TEXT), lambda: kind.from_texts([TEXT], special="ab"), lambda: kind("abc", [])):
        with pytest.raises(TypeError, match="is a str"):
            make()


@pytest.mark.parametrize("pairs", [["ab"], [("a", "b"), "cd"], [("a", "b", "c")], [("a", 1)], [(b"a", b"b")]])
def test_a_pair_is_two_texts(pairs):
    for f in (lambda: data.build_tokenizers(pairs, "words"), lambda: data.split_pairs(pairs)):
        with pytest.raises(TypeError, match=rf"pairs\[{len(pairs) - 1}\] is .*, expected \(source, target\), two str"):
            f()


def test_texts_are_checked_when_their_turn_comes():
    """So a long file can be handed in, line by line."""
    texts = check_texts("f", "texts", iter(["a", 3]))
    assert next(texts) == "a"
    with pytest.raises(TypeError, match=r"f: texts\[1\] is a int, expected a str"):
        next(texts)
    with pytest.raises(TypeError, match=r"WordTokenizer: texts\[0\] is a list"):
        WordTokenizer.from_texts([["a", "b"]])
    with pytest.raises(TypeError, match="text is a list, expected a str"):
        CharTokenizer.from_text(["a"])
    with pytest.raises(TypeError, match="documents: text is a list, expected a str"):
        data.documents(["a"])


@pytest.mark.parametrize("value", [1, np.int32(1), np.uint8(1)])
def test_whole_numbers(value):
    assert type(check_whole("f", "n", value)) is int


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(1), "1", None, np.ones(1, int), float("nan")])
def test_what_is_no_whole_number(value):
    with pytest.raises(TypeError, match="f: n is .*, expected a whole number of at least 1"):
        check_whole("f", "n", value)


def test_whole_numbers_out_of_range():
    for value, message in ((0, "n is 0, expected a whole number of at least 1 and at most 3, so"), (4, "n is 4")):
        with pytest.raises(ValueError, match=message):
            check_whole("f", "n", value, most=3, remedy=", so")


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), Fraction(1, 2)])
def test_numbers(value):
    assert check_number("f", "p", value, "less", lambda p: p < 1) == 0.5


@pytest.mark.parametrize("value, error", [(True, TypeError), ("1", TypeError), (None, TypeError), (1j, TypeError),
                                          (np.ones(1), TypeError), (float("nan"), ValueError), (1, ValueError)])  # fmt: skip
def test_what_is_no_such_number(value, error):
    with pytest.raises(error, match="f: p is .*, expected less"):
        check_number("f", "p", value, "less", lambda p: p < 1)


@pytest.mark.parametrize("value", [-0.1, 1, float("nan")])
def test_check_probability(value):
    with pytest.raises(ValueError, match="place: p is"):
        check_probability("place", "p", value)
