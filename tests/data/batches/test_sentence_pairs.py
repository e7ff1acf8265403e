import math

import numpy as np
import pytest

from tinytx.data import SentencePairs, next_sentence_pairs, sentence_order_pairs

CLS, SEP = 1, 2
IDS = {"cls_id": CLS, "sep_id": SEP}
OPTIONS = IDS | {"seed": 0, "max_len": 64}


def corpus(*sizes):
    """Return documents of so many sentences; sentence s of document d is the ids 1000 d + 10 s, and that plus 1."""
    return [
        [np.array([1000 * d + 10 * s, 1000 * d + 10 * s + 1]) for s in range(size)] for d, size in enumerate(sizes, 1)
    ]


def sentences_of(row):
    """Return (A, B) of a row as (document, sentence) each."""
    assert row[0] == CLS and row[-1] == SEP and (row == SEP).sum() == 2
    first, second = np.split(row[1:-1], np.flatnonzero(row[1:-1] == SEP))
    return [(ids[0] // 1000, ids[0] % 1000 // 10) for ids in (first, second[1:])]


def half(count, n):
    return abs(count - n / 2) <= 3 * math.sqrt(n / 4)


# ---------------------------------------------------------------------------------------- next sentence


@pytest.mark.parametrize("sizes", [(50, 1, 70, 99, 2) * 20, (90,) * 40])
def test_next_sentences(sizes):
    pairs = next_sentence_pairs(corpus(*sizes), **OPTIONS)
    n = sum(size - 1 for size in sizes)
    assert isinstance(pairs, SentencePairs) and pairs.labels.dtype == np.int64
    assert len(pairs.rows) == len(pairs.segments) == len(pairs.labels) == n
    assert half(pairs.labels.sum(), n)
    firsts, drawn = [], set()
    for row, label in zip(pairs.rows, pairs.labels, strict=True):
        first, second = sentences_of(row)
        firsts.append(first)
        if label == 0:
            assert second == (first[0], first[1] + 1)
        else:
            assert second[0] != first[0]
            drawn.add(second[0])
    assert firsts == [(d, s) for d, size in enumerate(sizes, 1) for s in range(size - 1)]
    assert {1, len(sizes)} <= drawn  # the first and the last document too


def test_of_one_document_the_other_sentence_is_neither_of_the_pair():
    drawn = {s: set() for s in range(4)}
    for seed in range(200):
        pairs = next_sentence_pairs(corpus(5), **OPTIONS | {"seed": seed})
        for row, label in zip(pairs.rows, pairs.labels, strict=True):
            (_, s), (_, other) = sentences_of(row)
            if label:
                drawn[s].add(other)
            else:
                assert other == s + 1
    assert drawn == {s: set(range(5)) - {s, s + 1} for s in range(4)}


def test_random_sentences_are_drawn_alike():
    counts = np.zeros(10)
    for seed in range(4000):
        pairs = next_sentence_pairs(corpus(2, 10), **OPTIONS | {"seed": seed})
        if pairs.labels[0]:
            counts[sentences_of(pairs.rows[0])[1][1]] += 1
    n = counts.sum()
    assert half(n, 4000)
    assert (abs(counts - n / 10) <= 3.5 * math.sqrt(n * 0.09)).all()


# ---------------------------------------------------------------------------------------- sentence order


def test_sentence_order():
    sizes = (50, 1, 0, 70, 99, 2) * 20
    pairs = sentence_order_pairs(corpus(*sizes), **OPTIONS)
    n = sum(max(size - 1, 0) for size in sizes)
    assert len(pairs.rows) == n and half(pairs.labels.sum(), n)
    seen = []
    for row, label in zip(pairs.rows, pairs.labels, strict=True):
        first, second = sentences_of(row)[:: -1 if label else 1]
        assert second == (first[0], first[1] + 1)
        seen.append(first)
    assert seen == [(d, s) for d, size in enumerate(sizes, 1) for s in range(size - 1)]


# ---------------------------------------------------------------------------------------- both

both = pytest.mark.parametrize("make", [next_sentence_pairs, sentence_order_pairs])


@both
def test_pairs_are_a_function_of_the_seed(make):
    documents = corpus(9, 9, 9)
    one, again, other = (make(documents, **OPTIONS | {"seed": seed}) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one.rows, again.rows, strict=True))
    np.testing.assert_array_equal(one.labels, again.labels)
    assert (one.labels != other.labels).any()
    before = np.random.get_state()[1].copy()
    make(documents, **OPTIONS)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@both
def test_rows_are_cut_and_segments_fit(make):
    documents = [[np.arange(10, 10 + n) for n in (3, 30, 8, 1)], [np.arange(10, 25)] * 3]
    pairs = make(documents, **OPTIONS | {"max_len": 16})
    assert max(map(len, pairs.rows)) == 16
    for row, segments in zip(pairs.rows, pairs.segments, strict=True):
        assert row.dtype == segments.dtype == np.int64
        assert segments.tolist() == [0] * (row.tolist().index(SEP) + 1) + [1] * (segments.sum())
        assert (row == SEP).sum() == 2 and len(row) == len(segments)


@both
@pytest.mark.parametrize(
    "documents, match",
    [
        ([], "none of 0 documents has two sentences"),
        (corpus(1, 1, 1), "none of 3 documents has two sentences, so there is no pair; take a text with"),
        ([*corpus(2), [[5], []]], "sentence 1 of document 1 has no token; leave it out"),
    ],
)
def test_texts_without_pairs(make, documents, match):
    with pytest.raises(ValueError, match=f"{make.__name__}: {match}"):
        make(documents, **OPTIONS)


@both
def test_too_short_rows(make):
    with pytest.raises(ValueError, match="max_len is 4, expected at least 5"):
        make(corpus(2, 2), **OPTIONS | {"max_len": 4})


def test_nothing_from_elsewhere():
    with pytest.raises(ValueError, match="next_sentence_pairs: none of 2 sentences is left to draw at random"):
        next_sentence_pairs(corpus(2), **OPTIONS)
    assert len(next_sentence_pairs(corpus(2, 0, 1), **OPTIONS).rows) == 1
    assert len(next_sentence_pairs(corpus(3), **OPTIONS).rows) == 2
    assert len(next_sentence_pairs(corpus(0, 3, 0), **OPTIONS).rows) == 2  # one document, and two of nothing
