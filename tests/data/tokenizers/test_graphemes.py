"""Marks, joiners and flags: Unicode's tables say what goes on with what; a few scripts are looked at by eye."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import WordTokenizer
from tinytx.data.tokenizers.graphemes import _MARKED, count_letters, goes_on, shown
from tinytx.data.tokenizers.words import text_of, words_of
from tinytx.metrics import corpus_bleu

HINDI = ["क्या आपके पास दूध है?", "मुझे दो किलो चावल चाहिए।", "यह किताब बहुत अच्छी है।"]
MARKS = st.text(st.sampled_from("aक\u0301ाु्\u200c\u200d\ufe0f👨👩🏽🇫🇷'-.,1( \n"))


def test_every_mark_goes_on():
    """Catches a mark beyond the ranges that are searched, and letters among them."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == "M":
            assert any(code in codes for codes in _MARKED), hex(code)
            assert goes_on(chr(code))
    assert not any(map(goes_on, "aकあ한ก€'1 \n😀🇫"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("दूध है", ["दूध", "है"]),
        ("ที่นี่", ["ที่นี่"]),
        ("كِتَابٌ جَدِيدٌ", ["كِتَابٌ", "جَدِيدٌ"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("क्\u200dष", ["क्\u200dष"]),
        ("cafe\u0301 l\u0301'e\u0301te\u0301", ["cafe\u0301", "l\u0301'", "e\u0301te\u0301"]),
        ("İstanbul".lower(), ["i\u0307stanbul"]),
        ("👨\u200d👩\u200d👧\u200d👦!", ["👨\u200d👩\u200d👧\u200d👦", "!"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("❤\ufe0f☀", ["❤\ufe0f", "☀"]),
        ("🇫🇷🇩🇪 🇫", ["🇫🇷", "🇩🇪", "🇫"]),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f.", ["\U0001f3f4\U000e0067\U000e0062\U000e007f", "."]),
        ("1\ufe0f\u20e3 2", ["1\ufe0f\u20e3", "2"]),
        ("a \u0301 b", ["a", "\u0301", "b"]),
    ],
)
def test_words(text, words):
    """Catches words that are cut at their vowel signs, and emoji at what joins them."""
    assert words_of(text) == words
    assert words_of(text_of(words)) == words


@given(MARKS)
def test_marks_change_no_rule(text):
    """Only spaces change, and what comes back is cut into the same words."""
    words = words_of(text)
    assert "".join(words) == "".join(text.split())
    assert words_of(text_of(words)) == words


def test_hindi_comes_back():
    """It was 0.93 of 100: each vowel sign stood apart."""
    tokenizer = WordTokenizer.from_texts(HINDI)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in HINDI] == HINDI
    assert corpus_bleu([tokenizer.decode(tokenizer.encode(text)) for text in HINDI], HINDI).score == pytest.approx(100)


@pytest.mark.parametrize("text", ["ما اسمك؟", "你好。", "（你好！）", "¿Qué?"])
def test_punctuation_of_other_scripts_has_no_space(text):
    assert text_of(words_of(text)) == text


@pytest.mark.parametrize(
    "word, n", [("किताब", 3), ("cafe\u0301", 4), ("café", 4), ("ที่", 1), ("R2", 0), ("a-b", 0), ("", 0), ("\u0301", 0)]
)
def test_letters_are_counted_without_their_marks(word, n):
    assert count_letters(word) == n


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a", "'a'"),
        ("किताब", "'किताब'"),
        (" ", "' '"),
        ("\u0301", r"'\u0301' (U+0301 combining acute accent)"),
        ("a\u200d", r"'a\u200d' (U+200D zero width joiner)"),
        ("\u202eb", r"'\u202eb' (U+202E right-to-left override)"),
        ("\xa0", r"'\xa0' (U+00A0 no-break space)"),
        ("\n", r"'\n' (U+000A)"),
        ("\ud800", r"'\ud800' (U+D800)"),
    ],
)
def test_what_does_not_show_has_its_number(text, expected):
    assert shown(text) == expected
