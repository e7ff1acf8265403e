"""Rotary and Alibi: what depends on distances alone, is the same for a text in parts, and equals the published numbers."""

import math

import numpy as np
import pytest

from tinytx.layers import Alibi, DotProduct, MultiHeadAttention, Rotary
from tinytx.ops import rotary_frequencies
from tinytx.ops.alibi import slopes
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.testing import leak_check, state_check

RNG = np.random.default_rng(0)
B, T, D, H, G, K = 2, 7, 12, 4, 2, 6


def attention(rotary):
    core = DotProduct(pattern=CAUSAL)
    return MultiHeadAttention(D, H, n_kv_heads=G, d_key=K, rotary=rotary, core=core, rng=RNG, dtype=np.float64)


@pytest.mark.parametrize("neighbours", [False, True])
def test_scores_depend_on_distances_alone(neighbours):
    """Equation (5): a query and a key, both later by any number of positions, have the same product."""
    layer, x = Rotary(K, base=5.0, neighbours=neighbours), RNG.normal(size=(B, T, H, K))
    q, k = layer(x), layer(x[:, ::-1])
    products = np.einsum("bthk,bshk->bhts", q, k)
    for start in (1, 50, 10**6):
        q, k = layer(x, start=start), layer(x[:, ::-1], start=start)
        np.testing.assert_allclose(np.einsum("bthk,bshk->bhts", q, k), products, rtol=0, atol=1e-8)
    assert abs(np.einsum("bthk,bshk->bhts", layer(x, start=1), layer(x[:, ::-1])) - products).max() > 0.1


def test_the_layouts_differ_by_a_permutation():
    """Hugging Face's columns are Meta's in another order: the scores of the one are those of the other."""
    x = RNG.normal(size=(B, T, H, K))
    order = [0, 2, 4, 1, 3, 5]  # of neighbours, the first of each pair, then the second
    halves = Rotary(K)(x[..., order], start=3)
    np.testing.assert_allclose(halves, Rotary(K, neighbours=True)(x, start=3)[..., order], rtol=0, atol=1e-14)


def test_a_text_in_parts():
    """Catches keys that are turned again, and positions that start again."""
    layer = attention(Rotary(4, base=3.0))
    x = RNG.normal(size=(B, T, D))
    state_check(layer, x)
    leak_check(layer, x)


def test_a_memory_has_no_positions():
    with pytest.raises(ValueError, match="MultiHeadAttention: rotary positions are of one sequence"):
        attention(Rotary(4))(np.zeros((B, T, D)), np.zeros((B, T, D)))


def test_pictures_see_turned_keys():
    layer, x = attention(Rotary(4, base=3.0)), RNG.normal(size=(B, T, D))
    other = attention(None)
    other.load_state_dict(layer.state_dict())
    assert np.abs(layer.attention_weights(x) - other.attention_weights(x)).max() > 1e-3
    assert layer.attention_weights(x).shape == (B, H, T, T)


def test_frequencies():
    """Of the paper; and Llama 3.1's: fast pairs stay, slow ones are divided, those between follow a line."""
    np.testing.assert_allclose(rotary_frequencies(6, 1000.0), [1, 0.1, 0.01])
    plain, lowered = rotary_frequencies(128, 500000.0), rotary_frequencies(128, 500000.0, scaling=("llama3", 8, 1, 4, 8192))
    waves = 2 * math.pi / plain
    np.testing.assert_array_equal(lowered[waves < 8192 / 4], plain[waves < 8192 / 4])
    np.testing.assert_allclose(lowered[waves > 8192], plain[waves > 8192] / 8, rtol=1e-15)
    between = (waves >= 8192 / 4) & (waves <= 8192)
    m = (8192 / waves[between] - 1) / 3
    assert between.sum() == 6
    np.testing.assert_allclose(lowered[between], ((1 - m) / 8 + m) * plain[between], rtol=1e-14)


def test_all_frequencies_are_lowered():
    """With half the frequencies, position 6 looks as position 3 did."""
    x = RNG.normal(size=(B, 1, H, K))
    half = Rotary(K, base=5.0, scaling=("linear", 2))
    np.testing.assert_allclose(half(x, start=6), Rotary(K, base=5.0)(x, start=3), rtol=0, atol=1e-14)


def test_frequencies_of_yarn():
    """Of Qwen2.5, for 32 pairs: those that turn 32 times in 4,096 positions stay, those that turn once are divided."""
    plain, lowered = rotary_frequencies(64, 10000.0), rotary_frequencies(64, 10000.0, scaling=("yarn", 4, 1, 32, 4096))
    turns = 4096 * plain / (2 * math.pi)
    first, last = (turns > 32).sum() - 1, (turns > 1).sum()  # rounded outwards
    assert (first, last) == (10, 23)
    np.testing.assert_array_equal(lowered[: first + 1], plain[: first + 1])
    np.testing.assert_allclose(lowered[last:], plain[last:] / 4, rtol=1e-15)
    m = (last - np.arange(first, last + 1)) / (last - first)
    np.testing.assert_allclose(lowered[first : last + 1], (m + (1 - m) / 4) * plain[first : last + 1], rtol=1e-14)
    step = rotary_frequencies(4, 10000.0, scaling=("yarn", 4, 1, 2, 2 * math.pi))  # both borders are at the first pair
    np.testing.assert_allclose(step, [1, 0.01 / 4], rtol=1e-14)
    with pytest.raises(ValueError, match="base is 1, expected more"):
        rotary_frequencies(4, 1.0, scaling=("yarn", 4, 1, 32, 4096))


def test_turned_numbers_are_scaled():
    """And those that are not turned stay."""
    x = RNG.normal(size=(B, T, H, K))
    expected = Rotary(4)(x)
    expected[..., :4] *= 1.3
    np.testing.assert_allclose(Rotary(4, scale=1.3)(x), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="Rotary: scale is 0, expected a number above 0"):
        Rotary(4, scale=0)


def test_settings_reach_the_operation():
    scaling = ("llama3", 8, 1, 4, 100)
    expected = rotary_frequencies(6, 50.0, scaling=scaling)
    np.testing.assert_array_equal(Rotary(6, base=50.0, scaling=scaling).frequencies, expected)
    assert (expected < rotary_frequencies(6, 50.0)).any()


def test_slopes():
    """The paper's for 8 heads; for 12 those of the authors' program."""
    np.testing.assert_array_equal(slopes(8), [2.0**-h for h in range(1, 9)])
    np.testing.assert_allclose(slopes(12), [2.0**-h for h in range(1, 9)] + [2.0 ** -(h + 0.5) for h in range(4)])
    assert len(slopes(1)) == 1 and [len(slopes(h)) for h in (3, 5, 16)] == [3, 5, 16]


def test_a_penalty_for_distance():
    """Both sides alike, in a state from the right place on, and 0 at the word itself."""
    layer = Alibi(2)
    whole = layer(np.arange(4), np.arange(4))
    np.testing.assert_array_equal(whole[0, 0, 1], [-1 / 16, 0, -1 / 16, -2 / 16])
    np.testing.assert_array_equal(whole[0, 1], whole[0, 0] / 16)
    np.testing.assert_array_equal(layer(np.arange(2, 4), np.arange(4)), whole[:, :, 2:])
