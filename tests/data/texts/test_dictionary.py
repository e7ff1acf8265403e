"""The invented language: each link joins a word and its translation, A and B change places, and nothing else moves."""

import numpy as np
import pytest

from tinytx.data import Dictionary
from tinytx.data.texts.dictionary import MOST_WORDS


@pytest.fixture(scope="module")
def dictionary():
    return Dictionary(120)


def test_links_are_exact(dictionary):
    """Each target word has one link, to the source word that it translates; a word with two translations has two."""
    seen = set()
    for source, target, links in dictionary.sentences(np.random.default_rng(0), 200):
        source, target = source.split(), target.split()
        assert sorted(t for _, t in links) == [*range(len(target))]
        for s, word in enumerate(source):
            said = [target[t] for of, t in sorted(links, key=lambda link: link[1]) if of == s]
            assert said == list(dictionary.translations[word][: len(said)])
            seen.add((word, len(said)))
    assert {n for _, n in seen} == {0, 1, 2}
    assert len(seen) > 2 * len({word for word, _ in seen})  # nothing in a word says how many


def test_only_a_before_b_changes_places(dictionary):
    """By hand: a word that has moved once does not move again."""
    kinds = {kind: [word for word in dictionary.translations if word[-1] == kind] for kind in "aoe"}
    (a, other_a, *_), (b, other_b, *_), (c, *_) = kinds["a"], kinds["o"], kinds["e"]

    def said(*words):
        aligned = dictionary.translate([*words], [1] * len(words))
        order = [s for _, s in sorted((t, s) for s, t in aligned.links)]
        assert aligned.target.split() == [dictionary.translations[words[s]][0] for s in order]
        return order

    assert said(a, b) == [1, 0] and said(b, a) == [0, 1] and said(c, a, b, c) == [0, 2, 1, 3]
    assert said(a, other_a, b) == [0, 2, 1] and said(a, b, other_b) == [1, 0, 2] and said(a, c, b) == [0, 1, 2]


def test_words_are_told_apart(dictionary):
    targets = [word for words in dictionary.translations.values() for word in words]
    assert len(dictionary.translations) == 120 and len(set(targets)) == len(targets) == 240
    assert len(Dictionary(MOST_WORDS).translations) == MOST_WORDS
    assert Dictionary(120).translations == dictionary.translations != Dictionary(120, seed=1).translations


def test_sentences_have_the_lengths_asked_for(dictionary):
    found = dictionary.sentences(np.random.default_rng(1), 300, shortest=2, longest=4)
    assert {len(each.source.split()) for each in found} == {2, 3, 4} and all(each.target for each in found)
    assert len({each.source for each in found}) > 290


def test_what_is_refused():
    for n in (2, MOST_WORDS + 1):
        with pytest.raises(ValueError, match="Dictionary: n_words"):
            Dictionary(n)
