"""corpus_bleu beside sacrebleu, whose default settings it promises."""

import random

import pytest

sacrebleu = pytest.importorskip("sacrebleu")
pytestmark = pytest.mark.oracle

from hypothesis import example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a  # noqa: E402

from tinytx.metrics import corpus_bleu  # noqa: E402
from tinytx.metrics.bleu import words_13a  # noqa: E402

WORDS = ["the", "cat", "sat", "mat", ".", "l'eau", "3.5", "1,000-odd", "&amp;quot;", "-", "(a)", "Cours\u202f!", "\n"]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
TEXTS = st.text(st.sampled_from("ab 09.,-'&;\n<>\"/{}~`@\t\x1c\u00a0\u202féİ") | st.characters(codec="utf-8"))


def assert_equal(hypotheses, references):
    """Compare every number; sacrebleu takes references by stream, ours by sentence."""
    streams = [list(stream) for stream in zip(*references, strict=True)]
    theirs = sacrebleu.BLEU(force=True).corpus_score(hypotheses, streams)
    ours = corpus_bleu(hypotheses, references)
    assert ours.score == pytest.approx(theirs.score, abs=1e-9, rel=0)
    assert ours.precisions == pytest.approx(theirs.precisions, abs=1e-9, rel=0)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, abs=1e-12, rel=0)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)
    return ours


@settings(max_examples=300)
@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=5))
@example([("", "the cat")])  # nothing said
@example([("", "")])
@example([("the cat", "")])
@example([("the cat sat", "the cat sat")])  # right, and too short for a 4-gram
@example([("the cat sat on", "the cat sat mat")])  # no 4-gram matches
@example([("the mat sat cat", "the cat sat mat")])  # no n-gram above 1 matches: the smoothing's powers
@example([("dog dog dog dog dog", "the cat sat mat")])  # nothing matches
@example([("the the the the the", "the cat the")])  # counts are clipped
@example([("the cat", "the cat sat on the mat"), ("", "the"), ("the cat sat on the mat", "the cat sat on the mat")])
def test_one_reference(pairs):
    assert_equal([hypothesis for hypothesis, _ in pairs], [[reference] for _, reference in pairs])


@settings(max_examples=200)
@given(
    st.integers(2, 3).flatmap(lambda n: st.lists(st.lists(SENTENCES, min_size=n, max_size=n), min_size=1)), st.data()
)
def test_several_references(references, data):
    """Catches clipping at the sum of counts, and the wrong length among several."""
    hypotheses = [data.draw(SENTENCES) for _ in references]
    assert_equal(hypotheses, references)


@settings(max_examples=500)
@given(TEXTS)
@example("<skipped> a-\nb 1-2 3,4.5, .5 &amp;lt; it's\n")
@example(" -\n")
def test_tokenisation(text):
    assert " ".join(words_13a(text)) == Tokenizer13a()(text.rstrip())


@pytest.mark.parametrize("seed", range(5))
def test_a_corpus_of_translations_with_faults(seed):
    """Long enough that every precision is of its own size, and none is smoothed."""
    rng = random.Random(seed)
    references = [" ".join(rng.choices(WORDS, k=rng.randint(5, 30))) for _ in range(200)]
    hypotheses = [" ".join(w for w in r.split(" ") if rng.random() < 0.9) for r in references]
    bleu = assert_equal(hypotheses, [[r] for r in references])
    assert 20 < bleu.score < 95 and bleu.brevity_penalty < 1
