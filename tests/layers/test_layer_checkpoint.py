"""A checkpointed layer is the plain one to the bit, and the tape holds less."""

import numpy as np
import pytest
from blocks import make_block

from tinytx import Tape
from tinytx.core import Layer
from tinytx.layers import Checkpoint
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import AdamW, Trainer


class Chain(Layer):
    """Blocks with dropout one behind the other, each of them wrapped."""

    def __init__(self, wrap, n=3):
        self.blocks = [wrap(make_block(8, 2, 12, causal=True, dropout=0.3, rng=np.random.default_rng(i))) for i in range(n)]

    def forward(self, x, tape=None):
        for block in self.blocks:
            x = block(x, tape)
        return x

    def backward(self, dy, tape):
        for block in reversed(self.blocks):
            dy = block.backward(dy, tape)
        return dy


def plain(block):
    return block


def second(block):
    """A checkpoint inside a checkpoint."""
    return Checkpoint(Checkpoint(block))


def results(wrap):
    rng = np.random.default_rng(7)
    x, dy = (rng.normal(size=(3, 5, 8)).astype(np.float32) for _ in range(2))
    layer, tape = Chain(wrap), Tape(seed=1, step=4, first_row=2)
    y = layer(x, tape)
    size = sum(size for _, _, size in tape.kept())
    dx = layer.backward(dy, tape)
    tape.check_empty()
    return size, [y, dx, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("wrap", [Checkpoint, second])
def test_equals_the_plain_layer_to_the_bit_and_keeps_less(wrap):
    """Catches masks that the second forward draws anew, and blocks behind that draw those of the ones before."""
    (size, expected), (less, found) = results(plain), results(wrap)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert less == 3 * 3 * 5 * 8 * 4  # the inputs of three blocks
    assert size > 10 * less


def trained(wrap, threads):
    config = GPTConfig(vocab_size=11, max_len=6, d_model=8, n_heads=2, n_layers=2, dropout=0.3)
    body = GPT(config, rng=np.random.default_rng(0))
    body.blocks = [wrap(block) for block in body.blocks]
    model = NextToken(body)
    trainer = Trainer(model, AdamW(model, 1e-2), threads=threads)
    for step in range(3):
        ids = np.random.default_rng(step).integers(0, 11, (5, 7))
        trainer.step(ids[:, :-1], ids[:, 1:])
    return [parameter.data for parameter in model.parameters()]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_training_in_shards_is_the_same_to_the_bit(threads):
    for one, other in zip(trained(Checkpoint, threads), trained(plain, threads), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_tape_it_is_the_layer():
    x = np.random.default_rng(0).normal(size=(2, 4, 8)).astype(np.float32)
    np.testing.assert_array_equal(Chain(Checkpoint)(x), Chain(plain)(x))


def test_a_layer_that_leaves_something_on_the_tape_is_named():
    """Catches a fork that nobody looks at."""
    layer = Checkpoint(make_block(8, 2, 12, rng=np.random.default_rng(0)))
    layer.layer.backward = lambda dy, tape: dy
    tape = Tape()
    y = layer(np.ones((1, 2, 8), np.float32), tape)
    with pytest.raises(Exception, match="values left after backward"):
        layer.backward(y, tape)
