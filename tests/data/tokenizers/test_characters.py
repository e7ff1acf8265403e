import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytx.data import CharTokenizer
from tinytx.data.tokenizers.graphemes import shown


def test_ids_are_positions_in_the_vocabulary():
    tokenizer = CharTokenizer("zab")
    assert tokenizer.encode("abz").tolist() == [1, 2, 0]
    assert tokenizer.decode([0, 0, 2]) == "zzb"
    assert tokenizer.vocab_size == 3


def test_from_text_sorts():
    assert CharTokenizer.from_text("hello, wörld\n𝄞").characters == "\n ,dehlorwö𝄞"


@settings(deadline=None)
@given(st.text(min_size=1))
def test_round_trip(text):
    tokenizer = CharTokenizer.from_text(text)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64 and ids.shape == (len(text),)
    assert ids.tolist() == [tokenizer.characters.index(character) for character in text]
    assert tokenizer.decode(ids) == text
    again = CharTokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again.characters == tokenizer.characters


@settings(deadline=None)
@given(st.text(min_size=1), st.text())
def test_the_first_unknown_character_is_named_or_there_is_none(known, text):
    tokenizer = CharTokenizer.from_text(known)
    unknown = [position for position, character in enumerate(text) if character not in known]
    if not unknown:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        return
    with pytest.raises(ValueError) as caught:
        tokenizer.encode(text)
    assert f"character {shown(text[unknown[0]])} at position {unknown[0]} " in str(caught.value)


@pytest.mark.parametrize("character", ["\0", "`", "b", chr(97 + 101), chr(97 + 256), "\ud800", "\U0010ffff"])
def test_unknown_characters_below_between_and_above(character):
    with pytest.raises(ValueError, match="at position 2 is not among the 2"):
        CharTokenizer("ac").encode("ac" + character)


def test_nothing_to_encode():
    tokenizer = CharTokenizer("ab")
    assert tokenizer.encode("").shape == (0,) and tokenizer.encode("").dtype == np.int64
    assert tokenizer.decode([]) == "" and tokenizer.decode(np.empty(0, np.int64)) == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_any_integers_can_be_decoded(dtype):
    assert CharTokenizer("ab").decode(np.array([1, 0], dtype)) == "ba"


@pytest.mark.parametrize(
    "ids, error, match",
    [
        ([0, 1, 2], ValueError, r"id 2 at position 2 is outside 0\.\.1"),
        ([0, -1], ValueError, "id -1 at position 1"),
        (np.array([2**64 - 1], np.uint64), ValueError, "id 18446744073709551615"),
        ([0.0], TypeError, "float64"),
        ([[0]], ValueError, r"shape \(1, 1\)"),
        (0, ValueError, r"shape \(\)"),
    ],
)
def test_what_cannot_be_decoded(ids, error, match):
    with pytest.raises(error, match=match):
        CharTokenizer("ab").decode(ids)


@pytest.mark.parametrize(
    "characters, match", [("", "no characters"), ("abcb", "'b' occurs 2"), ("a\ud800", "surrogates")]
)
def test_what_is_no_vocabulary(characters, match):
    with pytest.raises(ValueError, match=match):
        CharTokenizer(characters)


@pytest.mark.parametrize("state", [{}, None, {"kind": "bytes", "characters": "a"}, {"kind": "characters"}, "ab"])
def test_from_dict_refuses_what_is_not_its_own(state):
    with pytest.raises(ValueError, match="CharTokenizer"):
        CharTokenizer.from_dict(state)


@settings(deadline=None)
@given(st.text(min_size=1), st.text())
def test_special_tokens_shift_ids_and_unknown_characters_have_one(known, text):
    tokenizer = CharTokenizer.from_texts([known], special=("<pad>", "<unk>"))
    ids = tokenizer.encode(text)
    characters = tokenizer.characters
    assert ids.tolist() == [characters.index(c) + 2 if c in characters else 1 for c in text]
    assert tokenizer.decode(ids) == "".join(c if c in characters else "<unk>" for c in text)
    assert tokenizer.vocab_size == len(characters) + 2


def test_files_written_before_there_were_special_tokens():
    tokenizer = CharTokenizer.from_dict({"kind": "characters", "characters": "ab"})
    assert tokenizer.special == () and tokenizer.encode("ba").tolist() == [1, 0]


def test_a_text_in_another_form_of_unicode():
    """Catches a message that shows a mark on top of its quote, and a remedy that does not help: é is known, written as
    one character."""
    tokenizer = CharTokenizer.from_text("Le café")
    known = r"in Unicode's form NFC all of it is known: pass unicodedata.normalize\('NFC', text\)"
    with pytest.raises(ValueError, match=rf"character '\\u0301' \(U\+0301 combining acute accent\) at position 4 .*{known}"):
        tokenizer.encode("cafe\u0301")
    with pytest.raises(ValueError, match="character 'é' at position 3 .*form NFD all of it is known"):
        CharTokenizer.from_text("cafe\u0301").encode("café")
    with pytest.raises(ValueError, match="build it from a text that has every character"):
        tokenizer.encode("cafe\u0301 noir")
    with pytest.raises(ValueError, match=r"'\\u200d' \(U\+200D zero width joiner\)"):
        tokenizer.encode("a\u200d")
