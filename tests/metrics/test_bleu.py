"""BLEU's parts against counts made by hand; tests/oracle compares the whole with sacrebleu."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.metrics import corpus_bleu
from tinytx.metrics.bleu import words_13a

SENTENCES = st.lists(st.sampled_from("abcde"), min_size=4, max_size=9).map(" ".join)


def test_the_whole_by_hand():
    """7 of 8 words, 5 of 7 pairs, 3 of 6 triples, 1 of 5 quadruples; a word short of the reference's 9."""
    bleu = corpus_bleu(["a b c d X e f g"], ["a b c d e f g h i"])
    assert bleu.precisions == pytest.approx([100 * 7 / 8, 100 * 5 / 7, 100 * 3 / 6, 100 * 1 / 5])
    assert bleu.brevity_penalty == pytest.approx(math.exp(1 - 9 / 8))
    assert bleu.score == pytest.approx(100 * math.exp(1 - 9 / 8) * (7 / 8 * 5 / 7 * 3 / 6 * 1 / 5) ** 0.25)
    assert (bleu.hypothesis_length, bleu.reference_length) == (8, 9)


def test_matches_are_summed_before_they_are_divided():
    """Catches a mean of sentences' scores."""
    bleu = corpus_bleu(["a b c d e", "x"], ["a b c d e", "y"])
    assert bleu.precisions == pytest.approx([100 * 5 / 6, 100, 100, 100])


@pytest.mark.parametrize("more, penalty", [(0, 1), (1, 1), (2, 1), (-1, math.exp(1 - 6 / 5))])
def test_only_short_translations_are_punished(more, penalty):
    assert corpus_bleu([" ".join("abcdefgh"[: 6 + more])], ["a b c d e f"]).brevity_penalty == pytest.approx(penalty)


def test_smoothing_halves_once_more_for_each_empty_order():
    assert corpus_bleu(["a X b Y c"], ["a b c d e"]).precisions == pytest.approx([60, 100 / 8, 100 / 12, 100 / 16])


@pytest.mark.parametrize(
    "hypothesis, reference",
    [("", "a b c d"), ("a b c", "a b c"), ("w x y z", "a b c d"), ("a b c d", ""), ("", "")],
)
def test_scores_of_zero(hypothesis, reference):
    """Nothing said, too short for a 4-gram, no word right, nothing to say."""
    assert corpus_bleu([hypothesis], [reference]).score == 0


@given(st.lists(SENTENCES, min_size=1, max_size=5))
def test_a_perfect_translation_has_100(sentences):
    assert corpus_bleu(sentences, sentences).score == pytest.approx(100)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=2, max_size=6), st.randoms())
def test_the_order_of_sentences_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert corpus_bleu(*zip(*pairs, strict=True)) == corpus_bleu(*zip(*shuffled, strict=True))


def test_several_references():
    """An n-gram of either counts, at most as often as in one of them; the closer length is r, of two the shorter."""
    bleu = corpus_bleu(["a a a b"], [["a a c", "a b b b b"]])
    assert bleu.precisions[0] == pytest.approx(75) and bleu.reference_length == 3
    assert corpus_bleu(["a b c d"], [["x", "a b c d"]]) == corpus_bleu(["a b c d"], ["a b c d"])


@pytest.mark.parametrize(
    "text, words",
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("3.5 and 1,000. End.", ["3.5", "and", "1,000", ".", "End", "."]),
        ("well-known 9-5", ["well-known", "9", "-", "5"]),
        ("don't", ["don't"]),
        ("&lt;b&gt; &amp;lt;", ["<", "b", ">", "<"]),
        ("  \n", []),
        ("cut-\noff <skipped>-\n", ["cutoff", "-"]),
    ],
)
def test_words_13a(text, words):
    assert words_13a(text) == words


@pytest.mark.parametrize(
    "hypotheses, references, error, match",
    [
        ([], [], ValueError, "0 hypotheses and 0 references"),
        (["a"], ["a", "b"], ValueError, "1 hypotheses and 2 references"),
        (["a", "b"], ["a", []], ValueError, "hypothesis 1 has no reference"),
        (["a", None], ["a", "b"], TypeError, "text 1 is a NoneType"),
        (["a"], [[3]], TypeError, "text 0 is a int"),
        ("the cat", "the cat", TypeError, "corpus_bleu: hypotheses is a str, 'the cat', expected a list of str"),
        (["a", "b"], "ab", TypeError, "references is a str"),
        (b"ab", ["a", "b"], TypeError, "hypotheses is a bytes"),
    ],
)
def test_errors(hypotheses, references, error, match):
    with pytest.raises(error, match=match):
        corpus_bleu(hypotheses, references)
