import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinytx.data import IGNORE_INDEX, MaskedBatches, TutorialTokenizer, framed, full_sentences, joined, packed, pad

CLS, SEP = 1, 2
IDS = {"cls_id": CLS, "sep_id": SEP}


# ---------------------------------------------------------------------------------------- framed


def test_a_row_and_its_segments():
    row, segments = framed([5, 6], [7], **IDS)
    assert row.tolist() == [CLS, 5, 6, SEP, 7, SEP]
    assert segments.tolist() == [0, 0, 0, 0, 1, 1]
    row, segments = framed([5, 6], **IDS)
    assert row.tolist() == [CLS, 5, 6, SEP] and segments.tolist() == [0, 0, 0, 0]
    assert row.dtype == segments.dtype == np.int64
    assert framed(np.array([5], np.uint8), **IDS)[0].dtype == np.int64


@given(a=st.integers(1, 30), b=st.integers(1, 30), max_len=st.integers(5, 70))
@example(a=10, b=10, max_len=12)  # an odd number of places: the first sentence has the larger half
@example(a=4, b=10, max_len=12)
@example(a=10, b=4, max_len=12)
def test_the_longer_sentence_loses_tokens_one_by_one(a, b, max_len):
    """As the rule says it: a token at a time, from the end."""
    first, second = list(range(100, 100 + a)), list(range(200, 200 + b))
    row, segments = framed(first, second, **IDS, max_len=max_len)
    while len(first) + len(second) > max_len - 3:
        (first if len(first) > len(second) else second).pop()
    assert row.tolist() == [CLS, *first, SEP, *second, SEP]
    assert segments.tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1)


@given(n=st.integers(1, 30), max_len=st.integers(3, 40))
def test_one_sentence_is_cut_at_the_end(n, max_len):
    row, _ = framed(np.arange(100, 100 + n), **IDS, max_len=max_len)
    assert row.tolist() == [CLS, *range(100, 100 + min(n, max_len - 2)), SEP]


@pytest.mark.parametrize("parts, least", [(([5],), 3), (([5], [6]), 5)])
def test_rows_without_room(parts, least):
    framed(*parts, **IDS, max_len=least)
    with pytest.raises(ValueError, match=f"framed: max_len is {least - 1}, expected at least {least}"):
        framed(*parts, **IDS, max_len=least - 1)


# ---------------------------------------------------------------------------------------- full_sentences


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=5), st.integers(3, 30))
@example([[3, 2], [4]], 12)
@example([[3], [4, 9]], 10)
def test_rows_of_whole_sentences(lengths, max_len):
    """Each sentence is in one row, whole unless it is longer than any row; a row ends where the next has no room."""
    words = iter(range(10, 10**6))
    documents = [[[next(words) for _ in range(n)] for n in document] for document in lengths]
    rows = [row.tolist() for row in full_sentences(documents, **IDS, max_len=max_len)]
    assert all(row[0] == CLS and row[-1] == SEP and row.count(CLS) == 1 and len(row) <= max_len for row in rows)
    inner = [row[1:-1] for row in rows]
    expected = [sentence[: max_len - 2] for document in documents for sentence in document]
    assert [i for row in inner for i in row if i != SEP] == [i for sentence in expected for i in sentence]
    row_of = {i: number for number, row in enumerate(inner) for i in row}
    for sentence in expected:
        assert len({row_of[i] for i in sentence}) == 1
    ends = {document[-1][: max_len - 2][-1] for document in documents}
    for row, after in zip(inner, inner[1:]):
        following = next(sentence for sentence in expected if sentence[0] == after[0])
        assert len(row) + len(following) + (row[-1] in ends) > max_len - 2
        assert all((i in ends) == (j == SEP) for i, j in zip(row, row[1:]) if i != SEP)


def test_rows_of_whole_sentences_need_room():
    with pytest.raises(ValueError, match="full_sentences: max_len is 2, expected a whole number of at least 3"):
        full_sentences([[[5]]], **IDS, max_len=2)
    assert full_sentences([], **IDS, max_len=3) == []


# ---------------------------------------------------------------------------------------- joined


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 25))
def test_a_sentence_is_joined_with_those_after_it(lengths, max_len):
    """The tutorial's own loop; it stops after one round, where the tutorial's would repeat the corpus."""
    words = iter(range(10**6))
    corpus = [np.array([next(words) for _ in range(n)]) for n in lengths]
    rows = joined(corpus, max_len)
    assert len(rows) == len(corpus)
    for index, row in enumerate(rows):
        expected = []
        for i in range(index, index + len(corpus)):
            if len(expected) < max_len:
                expected.extend(corpus[i % len(corpus)].tolist())
        assert row.tolist() == expected[:max_len] and row.dtype == np.int64


def test_twenty_words_unless_told():
    assert {len(row) for row in joined([np.arange(15)] * 3)} == {20}


def test_a_tiny_corpus_is_filled_up_with_ignore():
    tokenizer = TutorialTokenizer.from_texts(["un deux", "trois"])
    rows = joined([tokenizer.encode("un deux"), tokenizer.encode("trois")])
    assert sorted(map(len, rows)) == [3, 3]
    ids, targets = MaskedBatches([*rows, np.zeros(5, int)], tokenizer=tokenizer, batch_size=3, seed=0)(0)
    assert (ids == tokenizer.pad_id).sum() == 4 and (targets[ids == tokenizer.pad_id] == IGNORE_INDEX).all()


@pytest.mark.parametrize(
    "corpus, max_len, match",
    [
        ([], 20, "joined: there are no sentences"),
        ([np.array([1]), np.array([], int)], 20, "sentence 1 has no words; leave it out"),
        ([np.array([1])], 0, "max_len is 0"),
    ],
)
def test_errors_of_joined(corpus, max_len, match):
    with pytest.raises(ValueError, match=match):
        joined(corpus, max_len)


# ---------------------------------------------------------------------------------------- padding


def test_pad():
    assert pad([np.array([1, 2, 3]), np.array([4])], 9).tolist() == [[1, 2, 3], [4, 9, 9]]
    assert pad([], 9).shape == (0, 0) and pad([[]], 9).shape == (1, 0)


def test_packed_rows_hold_every_sentence_once():
    """Catches a sentence that is lost where a row is full, rows above their length, and room that is not used."""
    rng = np.random.default_rng(0)
    sentences = [rng.integers(0, 9, rng.integers(1, 7)) for _ in range(50)]
    rows = packed(sentences, 8)
    flat = [sentence for row in rows for sentence in row]
    assert all(a is b or np.array_equal(a, b) for a, b in zip(flat, sentences, strict=True))
    sizes = [sum(map(len, row)) for row in rows]
    assert max(sizes) <= 8 and all(size + len(after[0]) > 8 for size, after in zip(sizes, rows[1:]))
    assert packed([np.arange(9)], 4)[0][0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="packed: there are no sentences"):
        packed([], 4)
