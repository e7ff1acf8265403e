import numpy as np
import pytest

from tinytx.data import CharTokenizer, WordTokenizer, encode_pairs

WORDS = WordTokenizer(["a", "b"])
CHARACTERS = CharTokenizer.from_texts(["xyz"])


def test_targets_have_start_and_stop_and_sources_have_not():
    encoded = encode_pairs([("a b c", "xz"), ("b", "")], WORDS, CHARACTERS)
    assert [row.tolist() for row in encoded.sources] == [[4, 5, 3], [5]]
    assert [row.tolist() for row in encoded.targets] == [[1, 4, 6, 2], [1, 2]]
    assert all(row.dtype == np.int64 for row in encoded.sources + encoded.targets)
    assert encoded.skipped == [] and encoded.report == "2 of 2 pairs, the longest of 3 tokens"


@pytest.mark.parametrize("max_len, skipped", [(4, []), (3, [1]), (2, [0, 1]), (1, [0, 1, 2])])
def test_pairs_longer_than_the_model_are_left_out_and_counted(max_len, skipped):
    """Lengths 3 (source), 4 (target with start), 2 and 1."""
    pairs = [("a a a", "x"), ("a", "xyz"), ("a", "x"), ("a", "")]
    encoded = encode_pairs(pairs, WORDS, CHARACTERS, max_len=max_len)
    assert encoded.skipped == skipped
    assert len(encoded.sources) == len(encoded.targets) == 4 - len(skipped)
    assert max(len(t) - 1 for t in encoded.targets) <= max_len >= max(len(s) for s in encoded.sources)
    assert f"{4 - len(skipped)} of 4 pairs, the longest of 4 tokens" in encoded.report
    assert (f"left out as longer than {max_len} token{'s' if max_len != 1 else ''}: {len(skipped)}" in encoded.report) == bool(skipped)


@pytest.mark.parametrize(
    "pairs, target, max_len, match",
    [
        ([("a", "x"), ("", "x")], CHARACTERS, None, "pair 1 has no token in its source"),
        ([("a a", "x")], CHARACTERS, 1, "all are longer than max_len 1: the longest has 2"),
        ([], CHARACTERS, None, "there are no pairs"),
        ([("a", "x")], CharTokenizer("x"), None, "'<start>' is not among its special tokens"),
    ],
)
def test_what_cannot_be_encoded(pairs, target, max_len, match):
    with pytest.raises(ValueError, match=match):
        encode_pairs(pairs, WORDS, target, max_len=max_len)
