"""Generated reviews: their words agree with their labels, but for the noise."""

import numpy as np
import pytest

from tinytx.data import polar_texts
from tinytx.data.texts.polar import WORDS


def test_words_agree_but_for_noise():
    """Of the words that judge, 20 % are any of 25, 10 of which have the other polarity."""
    counts = {kind: np.zeros(2) for kind in ("negative", "positive")}
    for text, label in polar_texts(2000, seed=1):
        for kind in counts:
            counts[kind][label] += sum(word in WORDS[kind] for word in text.split())
    for label, (other, own) in enumerate((("positive", "negative"), ("negative", "positive"))):
        assert counts[other][label] / counts[own][label] == pytest.approx(0.2 * 0.4 / (0.8 + 0.2 * 0.4), rel=0.1)
    assert {word for text, _ in polar_texts(300, noise=0) for word in text.split()} >= {*WORDS["negative"], *WORDS["positive"]}
    for text, label in polar_texts(300, noise=0):
        assert not {*text.split()} & {*WORDS["negative" if label else "positive"]}


def test_reviews_are_drawn_by_their_seed():
    few, many = polar_texts(50, seed=3), polar_texts(500, seed=3)
    assert few == many[:50] and len({text for text, _ in many}) > 490 and few != polar_texts(50, seed=4)
    assert [label for _, label in few] == [0, 1] * 25 and polar_texts(0) == []


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="polar_texts: noise is 1.5, expected a number from 0 to 1"):
        polar_texts(2, noise=1.5)
    with pytest.raises(ValueError, match="polar_texts: n is -1"):
        polar_texts(-1)
