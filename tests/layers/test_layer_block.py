"""Residual and Block: the two orders of norm, dropout where it belongs, and shared layers."""

import numpy as np
import pytest
from blocks import make_block
from cases import Seeded
from layer_cases import Twice

from tinytx.core import Tape
from tinytx.layers import LayerNorm, Linear, Residual, Sequential


def rng():
    return np.random.default_rng(0)


def randomised(layer, seed=0, scale=0.4):
    make = Seeded(seed)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=scale)
    return layer


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_residual_is_what_its_docstring_says(norm_order):
    """Catches a pre-norm forward with a post-norm backward's layers, and the other way round."""
    f, norm = Linear(5, 5, rng=rng(), dtype=np.float64), LayerNorm(5, dtype=np.float64)
    layer = randomised(Residual(f, norm, norm_order=norm_order))
    x = Seeded(1).array(2, 3, 5)
    expected = x + f(norm(x)) if norm_order == "pre" else norm(x + f(x))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-13, atol=1e-13)


def test_unknown_norm_order():
    with pytest.raises(ValueError, match="norm_order is 'middle', expected 'pre' or 'post'"):
        Residual(Linear(5, 5, rng=rng()), LayerNorm(5), norm_order="middle")


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_shared_blocks_equal_unrolled_blocks_with_summed_gradients(norm_order):
    """Catches a second use that overwrites what the first kept, or its gradient."""
    block = randomised(make_block(6, 2, 7, causal=True, norm_order=norm_order, rng=rng(), dtype=np.float64))
    copies = [block.replicate(), block.replicate()]
    shared, unrolled = Twice(block), Sequential(*copies)
    make = Seeded(1)
    x, dy, tapes = make.array(3, 5, 6), make.array(3, 5, 6), (Tape(), Tape())
    np.testing.assert_array_equal(shared(x, tapes[0]), unrolled(x, tapes[1]))
    np.testing.assert_array_equal(shared.backward(dy, tapes[0]), unrolled.backward(dy, tapes[1]))
    for own, first, second in zip(*(layer.parameters() for layer in (block, *copies)), strict=True):
        np.testing.assert_array_equal(own.grad, second.grad + first.grad)


def test_dropout_sites_have_masks_of_their_own():
    """Catches one dropout object at two sites, the second mask overwriting the first; and the same mask at both."""
    block = randomised(make_block(40, 2, 7, dropout=0.5, rng=rng(), dtype=np.float64))
    for part in (block.attention.f.output, block.feed_forward.f.contract):
        part.weight.data[...], part.bias.data[...] = 0, 1  # each part's output is 1 before its dropout
    x = np.zeros((4, 3, 40))
    y = block(x, Tape(seed=1))
    values, counts = np.unique(y, return_counts=True)
    np.testing.assert_array_equal(values, [0, 2, 4])  # neither, one or both kept
    assert np.abs(counts / y.size - [0.25, 0.5, 0.25]).max() < 0.1
    assert (block(x, Tape(seed=1)) == y).all() and not (block(x, Tape(seed=1, step=1)) == y).all()


def test_options_reach_the_attention():
    """Catches a mask that stops at the residual: x_2 must not matter where it is masked."""
    block = randomised(make_block(6, 2, 7, rng=rng(), dtype=np.float64))
    x = Seeded(1).array(2, 4, 6)
    mask = np.array([True, True, False, True])
    expected = block(x, mask=mask)
    x[:, 2] += 1
    moved = block(x, mask=mask)
    np.testing.assert_array_equal(moved[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    assert not np.allclose(block(x)[:, 0], expected[:, 0])
