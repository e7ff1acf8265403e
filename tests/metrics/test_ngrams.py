"""The loss of counting equals counting one by one, and distributions add up to 1."""

import math
from collections import Counter

import numpy as np
import pytest

from tinytx.metrics import ngram_loss

TEXT, OTHER = (np.random.default_rng(seed).integers(0, 5, 60) for seed in (0, 1))


def probability(text, context, token, n, v, s):
    """Equation (1) as it reads, by counting tuples."""
    if n == 0:
        return 1 / v
    context = context[len(context) - n + 1 :]
    grams = Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
    before = sum(count for gram, count in grams.items() if gram[:-1] == context)
    return (grams[(*context, token)] + s * probability(text, context, token, n - 1, v, s)) / (before + s)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("s", [0.1, 5.0])
def test_it_equals_counting_one_by_one(n, s):
    """Catches a context that is counted one token too far, and a first token that has none."""
    text, other = TEXT.tolist(), OTHER.tolist()
    places = range(n - 1, len(other))
    expected = [-math.log(probability(text, tuple(other[i - n + 1 : i]), other[i], n, 6, s)) for i in places]
    assert abs(ngram_loss(TEXT, OTHER, 6, n=n, strength=s) - np.mean(expected)) < 1e-12


def test_probabilities_add_up_to_1():
    for context in ((0, 1), (5, 5)):
        assert abs(sum(probability(TEXT.tolist(), context, token, 3, 6, 2.0) for token in range(6)) - 1) < 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": OTHER[:2]}, r"ngram_loss: ids has shape \(2,\)"),
        ({"counted": OTHER / 2}, "ngram_loss: counted has shape .* dtype float64"),
        ({"vocab_size": 4}, r"ngram_loss: counted has ids 0\.\.4, vocab_size is 4"),
        ({"n": 40}, "n 40, expected"),
        ({"n": 0}, "ngram_loss: n is 0"),
        ({"strength": 0}, "ngram_loss: strength is 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"counted": TEXT, "ids": OTHER, "vocab_size": 5} | change
    with pytest.raises(ValueError, match=message):
        ngram_loss(**arguments)
