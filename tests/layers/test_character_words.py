"""Words by their characters: a vector depends on the word alone; where a filter's best place is; highways that begin closed."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.data import N_CHARACTERS, spelled
from tinytx.layers import CharacterWords, Highway


def layer_of(**options):
    return CharacterWords(N_CHARACTERS, 4, 5, 6, **{"n_widths": 3, "rng": np.random.default_rng(0), "dtype": np.float64} | options)


def test_a_vector_depends_on_the_word_alone():
    """Catches a maximum over other words, or over padding."""
    layer, words = layer_of(), spelled(["walk", "walked", "a", "walk"], 9).reshape(2, 2, 9)
    y = layer(words)
    np.testing.assert_array_equal(y[0, 0], y[1, 1])
    for b, t in np.ndindex(2, 2):
        np.testing.assert_allclose(layer(words[b : b + 1, t : t + 1])[0, 0], y[b, t], rtol=0, atol=1e-14)


def test_filters_of_one_character_do_not_know_their_order():
    """The largest value counts, wherever it stood; a filter of two characters sees the difference."""
    words = spelled(["tea", "eat"], 5)[None]
    single, double = (layer_of(n_widths=n)(words)[0] for n in (1, 2))
    np.testing.assert_array_equal(*single)
    assert abs(double[0] - double[1]).max() > 0.01


def test_padding_is_read_only_behind_a_word():
    layer, words = layer_of(n_widths=1), spelled(["ab", "abc"], 5)[None]
    before = layer(words)
    layer.character.weight.data[0] = 100
    np.testing.assert_array_equal(layer(words), before)


def test_only_the_best_places_learn():
    """A filter of one character: the rows of at most five characters of a long word have a gradient."""
    layer, words, tape = layer_of(n_widths=1, n_highways=0), spelled(["abcdefghij"], 12)[None], Tape()
    layer.backward(np.ones_like(layer(words, tape)), tape)
    assert 0 < abs(layer.character.weight.grad).any(axis=1).sum() <= 5


def test_a_highway_begins_as_nearly_the_identity():
    x, highway = np.ones((3, 8)), Highway(8, rng=np.random.default_rng(0), dtype=np.float64)
    assert (highway.gate.bias.data == -2).all() and not highway.transform.bias.data.any()
    highway.gate.bias.data[...] = -50
    np.testing.assert_allclose(highway(x), x, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("spelling", "error", "message"),
    [
        (np.full((1, 1, 3), N_CHARACTERS), ValueError, "CharacterWords: token id 259 at position"),
        (np.ones((2, 3), int), ValueError, r"CharacterWords: spelled has shape \(2, 3\), expected \(B, T, C\)"),
        (np.ones((1, 2, 3)), TypeError, "CharacterWords: "),
    ],
)
def test_what_is_no_spelling_is_refused(spelling, error, message):
    with pytest.raises(error, match=message):
        layer_of()(spelling)
