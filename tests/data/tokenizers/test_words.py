import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import WordTokenizer
from tinytx.data.tokenizers.words import text_of, words_of

TEXTS = st.text(st.sampled_from("l'’-1,. ()é!_$\n🙂"))


@pytest.mark.parametrize(
    "text, words, again",
    [
        ("Hello, world!", ["Hello", ",", "world", "!"], "Hello, world!"),
        ("l'heure, aujourd’hui", ["l'", "heure", ",", "aujourd’", "hui"], "l'heure, aujourd’hui"),
        ("peut-être - ou non", ["peut-", "être", "-", "ou", "non"], "peut-être - ou non"),
        ("1,000.5 or 3. End", ["1,", "000.", "5", "or", "3", ".", "End"], "1,000.5 or 3. End"),
        ("the dogs' (two) tails", ["the", "dogs", "'", "(", "two", ")", "tails"], "the dogs ' (two) tails"),
        ("Cours\u202f! Ça  va ?", ["Cours", "!", "Ça", "va", "?"], "Cours! Ça va?"),
        ("5 € <unk>", ["5", "€", "<", "unk", ">"], "5 € < unk >"),
        (" \t\n", [], ""),
    ],
)
def test_the_rules(text, words, again):
    assert words_of(text) == words
    assert text_of(words) == again


@given(TEXTS | st.text())
def test_only_spaces_change(text):
    """And what comes back is cut into the same words: decoding then encoding is the identity on ids."""
    words = words_of(text)
    assert "".join(words) == "".join(text.split())
    assert words_of(text_of(words)) == words


@given(TEXTS.filter(str.strip), st.booleans())
def test_round_trip(text, lower):
    tokenizer = WordTokenizer.from_texts([text], lower=lower)
    ids = tokenizer.encode(text)
    assert tokenizer.tokens(ids) == words_of(text.lower() if lower else text)
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(ids)), ids)


def test_frequent_words_come_first_and_equally_frequent_ones_in_order():
    texts = ["b a c", "c a", "c d"]
    assert WordTokenizer.from_texts(texts).words == ["c", "a", "b", "d"]
    assert WordTokenizer.from_texts(reversed(texts)).words == ["c", "a", "b", "d"]
    assert WordTokenizer.from_texts(texts, 2).words == ["c", "a"]
    assert WordTokenizer.from_texts(texts, min_count=2).words == ["c", "a"]
    assert WordTokenizer.from_texts(texts, 1, min_count=2).vocab_size == 5


def test_unknown_words():
    tokenizer = WordTokenizer(["the", "cat"])
    assert tokenizer.encode("the dog, the cat").tolist() == [4, 3, 3, 4, 5]
    assert tokenizer.decode(tokenizer.encode("the dog")) == "the <unk>"
    with pytest.raises(ValueError, match="word 'dog' at position 1 is not among the 2 .*<unk>"):
        WordTokenizer(["the", "cat"], special=["<pad>"]).encode("the dog")


def test_lower_case():
    tokenizer = WordTokenizer.from_texts(["The THE the Été"], lower=True)
    assert tokenizer.words == ["the", "été"]
    assert tokenizer.encode("THE ÉTÉ").tolist() == [4, 5]
    assert WordTokenizer.from_dict(tokenizer.to_dict()).encode("THE").tolist() == [4]
    assert WordTokenizer.from_texts(["The the"]).words == ["The", "the"]


@pytest.mark.parametrize(
    "build, match",
    [
        (lambda: WordTokenizer([]), "no words"),
        (lambda: WordTokenizer(["a", "b", "a"]), "'a' occurs 2 times"),
        (lambda: WordTokenizer.from_texts([]), "no word of 0 is left"),
        (lambda: WordTokenizer.from_texts(["a b"], min_count=2), "no word of 2 is left .* min_count 2"),
        (lambda: WordTokenizer.from_texts(["a b"], 0), "max_words 0"),
    ],
)
def test_what_is_no_vocabulary(build, match):
    with pytest.raises(ValueError, match=match):
        build()
