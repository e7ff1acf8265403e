"""Masks: what they hide, their shapes, and what a query that may look nowhere gets."""

import numpy as np
import pytest
from cases import Seeded

from tinytx.core import Tape
from tinytx.layers import DotProduct, MultiHeadAttention, causal_mask, padding_mask, permutation_masks
from tinytx.ops.attention_patterns import CAUSAL


def layer_of(**options):
    layer = MultiHeadAttention(6, 2, rng=np.random.default_rng(0), dtype=np.float64, **options)
    make = Seeded(0)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.4)
    return layer


def test_padding_is_hidden_from_all_queries():
    """Catches a mask over the queries, and one that is True where it hides."""
    mask = padding_mask([[4, 0, 5], [3, 3, 3], [0, 0, 0]], pad_id=0)
    assert mask.shape == (3, 1, 1, 3)
    assert mask.tolist() == [[[[True, False, True]]], [[[True] * 3]], [[[False] * 3]]]
    with pytest.raises(ValueError, match=r"ids have shape \(3,\), expected \(B, S\)"):
        padding_mask([1, 2, 3], pad_id=0)


def test_later_positions_are_hidden():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(1, 4).tolist() == [[True] * 4]
    assert causal_mask(2, 1).tolist() == [[False], [True]]


@pytest.mark.parametrize(("t", "s"), [(5, 5), (2, 5), (5, 2), (1, 4)])
def test_causal_mask_is_what_causal_layers_do(t, s):
    """Catches two definitions of "later", one aligned at the first key and one at the last."""
    x, memory = Seeded(1).array(3, t, 6), Seeded(2).array(3, s, 6)
    by_mask = layer_of()(x, memory, mask=causal_mask(t, s))
    np.testing.assert_allclose(layer_of(core=DotProduct(pattern=CAUSAL))(x, memory), by_mask, rtol=0, atol=1e-14)


def test_both_masks_combine():
    """A padded batch under both masks is each sequence alone under the causal one."""
    ids, x = np.array([[1, 2, 3, 4], [1, 2, 0, 0]]), Seeded(1).array(2, 4, 6)
    layer = layer_of()
    mask = padding_mask(ids, 0) & causal_mask(4)
    assert mask.shape == (2, 1, 4, 4)
    y = layer(x, mask=mask)
    np.testing.assert_allclose(y[:1], layer(x[:1], mask=causal_mask(4)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(y[1:, :2], layer(x[1:, :2], mask=causal_mask(2)), rtol=0, atol=1e-14)


def test_a_query_that_may_look_nowhere_gets_zero():
    """Catches softmax of nothing, 0/0: the output is the output map's bias, gradients are finite, padding gets none."""
    layer, x, memory, tape = layer_of(), Seeded(1).array(2, 3, 6), Seeded(2).array(2, 4, 6), Tape()
    memory[1] = np.nan
    y = layer(x, memory, tape, mask=padding_mask([[5, 5, 5, 0], [0, 0, 0, 0]], 0))
    np.testing.assert_array_equal(y[1], np.broadcast_to(layer.output.bias.data, (3, 6)))
    with np.errstate(invalid="ignore"):
        dx, _ = layer.backward(np.ones_like(y), tape)
    assert not dx[1].any() and np.isfinite(dx).all()


@pytest.mark.parametrize("n_context", [0, 1, 3, 5])
def test_permutation_masks_are_the_ranks(n_context):
    """By definition, pair by pair; another order in each row."""
    order = np.array([[3, 0, 4, 2, 1], [0, 1, 2, 3, 4]])
    content, query = permutation_masks(order, n_context)
    for b, t, s in np.ndindex(2, 5, 5):
        rank_t, rank_s = (max(order[b].tolist().index(place), n_context - 1) for place in (t, s))
        assert content[b, 0, t, s] == (rank_s <= rank_t) and query[b, 0, t, s] == (rank_s < rank_t)
