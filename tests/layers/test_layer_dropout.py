"""Dropout as a layer: off without a seed, and the same for a shard as for the whole batch."""

import numpy as np
import pytest
from cases import Seeded

from tinytx.core import Tape
from tinytx.layers import DotProduct, Dropout, FeedForward, MultiHeadAttention

LAYERS = {
    "Dropout": lambda: Dropout(0.4),
    "Dropout locked": lambda: Dropout(0.4, locked=True),
    "FeedForward": lambda: FeedForward(6, 9, dropout=0.4, rng=np.random.default_rng(0), dtype=np.float64),
    "attention": lambda: MultiHeadAttention(
        6, 2, core=DotProduct(dropout=0.4), rng=np.random.default_rng(0), dtype=np.float64
    ),
}


@pytest.mark.parametrize("tape", [None, Tape()])
def test_is_the_identity_without_a_seed(tape):
    """Catches dropout that stays on while generating."""
    x = Seeded(0).array(2, 3, 5)
    assert Dropout(0.4)(x, tape) is x


@pytest.mark.parametrize("name", LAYERS)
def test_a_shard_gets_the_masks_of_its_rows(name):
    """Catches first_row counted in the wrong unit: rows of the batch, of (B, T), or of (B, H, T)."""
    layer, make = LAYERS[name](), Seeded(0)
    x, dy = make.array(5, 4, 6), make.array(5, 4, 6)
    whole = Tape(seed=1, step=7)
    y, dx = layer(x, whole), layer.backward(dy, whole)
    for rows in (slice(0, 2), slice(2, 5)):
        shard = Tape(seed=1, step=7, first_row=rows.start)
        np.testing.assert_allclose(layer(x[rows], shard), y[rows], rtol=0, atol=1e-13)
        np.testing.assert_allclose(layer.backward(dy[rows], shard), dx[rows], rtol=0, atol=1e-13)


def test_a_locked_mask_is_that_of_all_positions():
    """Each row has one of its own; catches one mask for the whole batch, and one for each position."""
    y = Dropout(0.5, locked=True)(np.ones((20, 4, 30)), Tape(seed=1)) != 0
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert len(np.unique(y[:, 0], axis=0)) == 20


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("shape", [(5, 6), (5, 1), (5, 1, 6), (5, 4, 2, 3)])
def test_a_shard_of_any_number_of_axes_gets_the_masks_of_its_rows(shape, locked):
    """Catches rows counted for (B, T, D) alone: a pooled text (B, D) has one row each."""
    layer, make = Dropout(0.4, locked=locked), Seeded(0)
    x, dy = make.array(*shape), make.array(*shape)
    whole = Tape(seed=1, step=7)
    y, dx = layer(x, whole), layer.backward(dy, whole)
    for rows in (slice(0, 2), slice(2, 3), slice(3, 5)):
        shard = Tape(seed=1, step=7, first_row=rows.start)
        np.testing.assert_array_equal(layer(x[rows], shard), y[rows])
        np.testing.assert_array_equal(layer.backward(dy[rows], shard), dx[rows])


@pytest.mark.parametrize("name", LAYERS)
def test_p_zero_asks_for_no_mask(name):
    """Catches a site that is counted where nothing is dropped: with p = 0 a seed changes nothing."""
    layer = LAYERS[name]()
    for _, part in layer.named_layers():
        part.p = 0.0
    x = Seeded(0).array(2, 3, 6)
    np.testing.assert_array_equal(layer(x, Tape(seed=3)), layer(x))


@pytest.mark.parametrize("p", [-0.1, 1, 2])
def test_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match=f"Dropout: p is {p}"):
        Dropout(p)
