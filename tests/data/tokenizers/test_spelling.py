"""Words by their letters: bytes between two marks, cut where a word is long."""

import numpy as np
import pytest

from tinytx.data import N_CHARACTERS, spelled


def test_words_can_be_read_again():
    """Each within its marks; what lies behind is 0."""
    words = ["", "a", "walked", "é", "日本", "\0", "\udcff"]
    rows = spelled(words, 9)
    assert rows.shape == (7, 9) and rows.dtype == np.int64 and rows.min() == 0 and rows.max() < N_CHARACTERS
    for word, row in zip(words, rows):
        (end,) = np.flatnonzero(row == 258)
        assert row[0] == 257 and not row[end + 1 :].any()
        assert bytes((row[1:end] - 1).tolist()).decode("utf-8", "surrogatepass") == word


def test_a_long_word_is_cut_and_keeps_its_end_mark():
    assert spelled(["abcdef"], 5).tolist() == [[257, 98, 99, 100, 258]]
    assert spelled(["abc"], 5).tolist() == [[257, 98, 99, 100, 258]]
    assert spelled([], 5).shape == (0, 5)


@pytest.mark.parametrize(
    ("words", "width", "error", "message"),
    [("walk", 5, TypeError, "spelled: words"), ([b"x"], 5, TypeError, "spelled: words"), (["x"], 2, ValueError, "spelled: width is 2")],
)
def test_what_cannot_be_spelled_is_refused(words, width, error, message):
    with pytest.raises(error, match=message):
        spelled(words, width)
