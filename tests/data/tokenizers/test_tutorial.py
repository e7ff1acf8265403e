from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinytx
from tinytx.data import (
    IGNORE_INDEX,
    TUTORIAL_SPECIAL,
    MaskedBatches,
    TutorialTokenizer,
    joined,
    sentences,
    tutorial_words,
)

EUROPARL = Path(tinytx.__file__).parents[2] / "shared/data/europarl.fr"
SPACED = ",?;.:/*!+-()[]{}\"'&"
TEXTS = st.text(st.sampled_from(SPACED + "aÉb1€_<> \n"))


@given(TEXTS | st.text())
def test_the_rule(text):
    """Written once more, without an expression: every mark alone, then cut at white space."""
    expected = "".join(f" {c} " if c in SPACED else c for c in text.lower()).split()
    assert tutorial_words(text) == expected
    assert "".join(expected) == "".join(text.lower().split())


def test_examples():
    assert tutorial_words("L'an 2000-2001: 3.5% (50€)!") == [
        "l", "'", "an", "2000", "-", "2001", ":", "3", ".", "5%", "(", "50€", ")", "!"
    ]  # fmt: skip
    assert tutorial_words("a".join(SPACED)) == list("a".join(SPACED))
    assert tutorial_words(" \t") == []
    assert tutorial_words("Été", lower=False) == ["Été"]


def test_special_tokens_are_the_last():
    tokenizer = TutorialTokenizer.from_texts(["b a c", "c a", "C <mask>"])
    assert tokenizer.names == ["c", "a", "<mask>", "b", "<ignore>", "<oov>", "<mask>"]
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.mask_id) == tokenizer.special_ids == (4, 5, 6)
    assert tokenizer.special == TUTORIAL_SPECIAL and tokenizer.vocab_size == 7
    assert (tokenizer.start_id, tokenizer.stop_id, tokenizer.cls_id, tokenizer.sep_id) == (None,) * 4
    assert tokenizer.encode("A d, <mask> <oov>").tolist() == [1, 5, 5, 2, 5]  # a text about <mask> is no mask
    assert tokenizer.special_id("<mask>") == 6


def test_the_most_frequent_words_and_of_equally_frequent_ones_the_first():
    texts = ["b a c", "c a", "c d"]
    assert TutorialTokenizer.from_texts(texts).words == ["c", "a", "b", "d"]
    assert TutorialTokenizer.from_texts(texts[::-1], 3).words == ["c", "a", "b"]
    assert len(TutorialTokenizer.from_texts([" ".join(f"w{i}" for i in range(40_010))]).words) == 40_000


@given(TEXTS.filter(str.strip))
def test_round_trip(text):
    tokenizer = TutorialTokenizer.from_texts([text])
    ids = tokenizer.encode(text)
    assert tokenizer.tokens(ids) == tutorial_words(text)
    assert tokenizer.decode(ids) == " ".join(tutorial_words(text))
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(ids)), ids)
    again = TutorialTokenizer.from_dict(tokenizer.to_dict())
    assert again.names == tokenizer.names and again.special_ids == tokenizer.special_ids


def test_padding_is_left_out_and_masks_are_shown():
    tokenizer = TutorialTokenizer.from_texts(["un deux"])
    assert tokenizer.decode([1, 4, 3, 2, 2]) == "un <mask> <oov>"


def test_no_words():
    with pytest.raises(ValueError, match="TutorialTokenizer: no word of 0 is left"):
        TutorialTokenizer.from_texts(["", " "])
    with pytest.raises(ValueError, match="TutorialTokenizer: 'a' occurs 2 times; use TutorialTokenizer.from_texts"):
        TutorialTokenizer(["a", "a"])


# ---------------------------------------------------------------------------------------- its own data


@pytest.mark.skipif(not EUROPARL.exists(), reason="the shared data are not here")
def test_the_vocabulary_of_europarl():
    """7,669 rows of the embedding, the three special tokens among them, as the tutorial's own script has it."""
    lines = EUROPARL.read_text(encoding="utf-8").split("\n")[:2999]
    tokenizer = TutorialTokenizer.from_texts(lines)
    assert tokenizer.vocab_size == 7669 and len(tokenizer.words) == 7666
    counts = Counter(word for line in lines for word in tutorial_words(line))
    in_order = [counts[word] for word in tokenizer.words]
    assert in_order == sorted(in_order, reverse=True)
    assert in_order[:3] == [count for _, count in counts.most_common(3)]


@pytest.mark.skipif(not EUROPARL.exists(), reason="the shared data are not here")
def test_a_batch_of_europarl():
    texts = sentences(EUROPARL.read_text(encoding="utf-8"))
    tokenizer = TutorialTokenizer.from_texts(texts)
    rows = joined([tokenizer.encode(text) for text in texts])
    batches = MaskedBatches(
        rows, tokenizer=tokenizer, batch_size=128, seed=0, never=[tokenizer.pad_id], replace=(1, 0, 0)
    )
    for ids, targets in batches.epoch():
        assert ids.shape[1] == 20 and 124 <= len(ids) <= 128
        np.testing.assert_array_equal(targets != IGNORE_INDEX, ids == tokenizer.mask_id)
        assert 0.1 < (targets != IGNORE_INDEX).mean() < 0.2
