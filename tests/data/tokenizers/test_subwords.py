import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from tinytx.data import SPECIAL, SubwordTokenizer  # noqa: E402
from tinytx.extras import MissingExtra  # noqa: E402

SEA = "she sells sea shells by the sea shore and the shells she sells are surely sea shells"
TEXTS = [SEA, "so if she sells shells there, I am sure that she sells shells of the sea shore, ça va ☃"] * 3
TOKENIZER = SubwordTokenizer.from_texts(TEXTS, 300)


@given(st.text(st.characters(codec="utf-8")) | st.sampled_from(["<pad>", " a  b\t\n", "", "\ufeff☃\0", "l'été"]))
def test_any_text_comes_back_exactly(text):
    """Characters that it was not trained on, white space and names of special tokens too."""
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert len(ids) == 0 or (ids.min() >= 4 and ids.max() < TOKENIZER.vocab_size)


def test_frequent_parts_have_ids_of_their_own():
    assert TOKENIZER.vocab_size == 300
    assert TOKENIZER.tokens(TOKENIZER.encode(" the sea shells")) == [" the", " sea", " shells"]
    assert len(TOKENIZER.encode("zyx")) == 3


def test_the_first_merge_is_the_most_frequent_pair():
    """The page's own definition, on a text whose counts are plain: b follows a most often."""
    tokenizer = SubwordTokenizer.from_texts(["ab ab ab ab abc bc"], 4 + 256 + 2)
    assert tokenizer.merges[0] == ("a", "b")
    assert tokenizer.parts[256:] == ["ab", "Ġab"]


def test_training_is_deterministic():
    """Again here, in another process with another hash seed, and with several threads."""
    assert SubwordTokenizer.from_texts(TEXTS, 300).to_dict() == TOKENIZER.to_dict()
    program = f"from tinytx.data import SubwordTokenizer; print(SubwordTokenizer.from_texts({TEXTS!r}, 300).merges)"
    environment = {"PYTHONHASHSEED": "7", "TOKENIZERS_PARALLELISM": "true", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(TOKENIZER.merges)


def test_lower_case():
    tokenizer = SubwordTokenizer.from_texts(["SHELLS shells"] * 4, 300, lower=True)
    np.testing.assert_array_equal(tokenizer.encode("Shells"), tokenizer.encode("shells"))
    assert tokenizer.decode(tokenizer.encode("SHELLS")) == "shells"


def test_a_small_corpus_gives_a_small_vocabulary():
    assert SubwordTokenizer.from_texts(["ab ab"], 8000).vocab_size == 4 + 256 + 2
    assert SubwordTokenizer.from_texts([], 8000, special=()).vocab_size == 256


def test_special_tokens_stand_inside_a_text_by_name():
    ids = TOKENIZER.encode("ça")
    assert TOKENIZER.decode([*ids, 3, *ids]) == "ça<unk>ça"


def test_half_a_character_is_shown_as_such():
    """A model may write half of a character's bytes: no error, but the sign for it."""
    assert TOKENIZER.decode(TOKENIZER.encode("☃")[:1]) == "�"


def test_vocabularies_too_small_for_the_bytes():
    with pytest.raises(ValueError, match="vocab_size is 259, expected at least 260"):
        SubwordTokenizer.from_texts(TEXTS, 259)
    assert SubwordTokenizer.from_texts(TEXTS, 260).merges == []


@pytest.mark.parametrize("text", ["ab\ud800", "\udfff"])
def test_what_is_no_text(text):
    with pytest.raises(ValueError, match=f"SubwordTokenizer: .*at position {len(text) - 1} is no text"):
        TOKENIZER.encode(text)


@pytest.mark.parametrize(
    "parts, merges, match",
    [
        (TOKENIZER.parts[:255], [], "255 parts, 255 different, without 1 of the bytes"),
        ([*TOKENIZER.parts, "a"], [], "297 parts, 296 different"),
        (TOKENIZER.parts[:256], [("a", "b")], "do not fit"),
        (TOKENIZER.parts[:256], [("a", "ab")], "do not fit"),
    ],
)
def test_parts_that_do_not_fit(parts, merges, match):
    with pytest.raises(ValueError, match=match):
        SubwordTokenizer(parts, merges)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for build in (lambda: SubwordTokenizer.from_texts(TEXTS), lambda: SubwordTokenizer.from_dict(TOKENIZER.to_dict())):
        with pytest.raises(MissingExtra, match=r'subwords needs tokenizers: pip install "tinytx\[exchange\]"'):
            build()


def test_its_ids_are_the_librarys_after_the_special_ones():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {part: i for i, part in enumerate(TOKENIZER.parts)}
    library = Tokenizer(models.BPE(vocab=vocabulary, merges=TOKENIZER.merges))
    library.pre_tokenizer, library.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    text = "the seashore ☃"
    assert (TOKENIZER.encode(text) - len(SPECIAL)).tolist() == library.encode(text).ids


def test_whole_words():
    """A piece without a space before it goes on with the word; special tokens stand alone."""
    ids = [1, *TOKENIZER.encode(" the seashore"), 2]
    starts = TOKENIZER.word_starts(ids)
    names = TOKENIZER.tokens(ids)
    assert starts.tolist() == [name[0] == " " or name in SPECIAL for name in names]
    assert starts.sum() == 4 and len(ids) > 4
