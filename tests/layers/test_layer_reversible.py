"""A reversible stack: the gradient of the stack that keeps everything, inputs computed back, a tape that does not grow."""

import numpy as np
import pytest

from tinytx import Tape
from tinytx.core import Layer
from tinytx.layers import DotProduct, FeedForward, LayerNorm, MultiHeadAttention, ReversibleStack, Sequential
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.state import State

D = 8


class Part(Layer):
    """A layer behind a norm, which notes its inputs."""

    def __init__(self, f, rng, dtype):
        self.norm, self.f, self.inputs = LayerNorm(D, dtype=dtype), f, []
        for parameter in self.parameters():
            parameter.data[...] = rng.normal(size=parameter.data.shape) * 0.5

    def forward(self, x, tape=None, **settings):
        self.inputs.append(x)
        return self.f(self.norm(x, tape), tape, **settings)

    def backward(self, dy, tape):
        return self.norm.backward(self.f.backward(dy, tape), tape)


def stack(n, dropout=0.0, dtype=np.float64):
    rng = np.random.default_rng(0)
    draw = {"rng": rng, "dtype": dtype}
    core = {"pattern": CAUSAL, "dropout": dropout}
    return ReversibleStack(
        [
            (
                Part(MultiHeadAttention(D, 2, core=DotProduct(**core), **draw), rng, dtype),
                Part(FeedForward(D, 12, activation="gelu", dropout=dropout, **draw), rng, dtype),
            )
            for _ in range(n)
        ]
    )


def plain(layer, x, dy, tape, **settings):
    """The same with a tape that keeps everything: return y and dx."""
    x1 = x2 = x
    for f, g in zip(layer.fs, layer.gs):
        x1 = x1 + f(x2, tape, **settings)
        x2 = x2 + g(x1, tape)
    d1, d2 = np.split(dy, 2, axis=-1)
    for f, g in zip(reversed(layer.fs), reversed(layer.gs)):
        d1 = d1 + g.backward(d2, tape)
        d2 = d2 + f.backward(d1, tape)
    return np.concatenate([x1, x2], axis=-1), d1 + d2


def arrays(dtype=np.float64, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 5, D)).astype(dtype), rng.normal(size=(3, 5, 2 * D)).astype(dtype)


@pytest.mark.parametrize("n", [1, 4])
def test_the_gradient_is_that_of_the_stack_which_keeps_everything(n):
    """With dropout and a mask; catches masks drawn anew, d_2 before d_1, a setting that the second forward does not get."""
    (x, dy), mask = arrays(), np.random.default_rng(2).random((3, 1, 1, 5)) < 0.8
    layer, other = stack(n, dropout=0.3), stack(n, dropout=0.3)
    tape = Tape(seed=1, step=4, first_row=2)
    y = layer(x, tape, mask=mask)
    dx = layer.backward(dy, tape)
    tape.check_empty()
    expected, dx_expected = plain(other, x, dy, Tape(seed=1, step=4, first_row=2), mask=mask)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(dx, dx_expected, rtol=0, atol=1e-10)
    for (path, ours), theirs in zip(layer.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=0, atol=1e-10 * max(1, np.abs(theirs.grad).max()), err_msg=path)


@pytest.mark.parametrize(("n", "dtype", "atol"), [(24, np.float64, 1e-10), (24, np.float32, 2e-3)])
def test_inputs_are_computed_back(n, dtype, atol):
    """Every part reads in backward what it read in forward; the values are up to 20 here."""
    layer, tape, (x, dy) = stack(n, dtype=dtype), Tape(), arrays(dtype)
    layer(x, tape)
    layer.backward(dy, tape)
    for part in layer.fs + layer.gs:
        forward, back = part.inputs
        np.testing.assert_allclose(back, forward, rtol=0, atol=atol)


def test_the_tape_is_as_long_for_24_pairs_as_for_2():
    sizes = []
    for n in (2, 24):
        tape = Tape()
        stack(n)(arrays()[0], tape)
        sizes.append(sum(size for _, _, size in tape.kept()))
    assert sizes == [3 * 5 * 2 * D * 8] * 2


def test_without_a_tape_it_is_the_same_word_by_word():
    """A state goes to each f; with a tape it is refused, because every forward runs twice."""
    layer, (x, _) = stack(2), arrays()
    whole, state = layer(x), State()
    parts = [layer(x[:, t : t + 1], state=state) for t in range(5)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="ReversibleStack: forward runs twice, and a state"):
        layer(x, Tape(), state=State())


def test_what_a_part_leaves_on_the_tape_is_named():
    layer, tape, (x, dy) = Sequential(stack(1)), Tape(), arrays()
    layer(x, tape)
    part = next(part for _, part in layer.named_layers() if isinstance(part, Part))
    part.backward = lambda dy, tape: dy
    with pytest.raises(Exception, match="values left after backward"):
        layer.backward(dy, tape)
