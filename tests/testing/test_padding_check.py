"""padding_check: what ignores padding passes, and each way not to ignore it is rejected."""

import numpy as np
import pytest
from blocks import make_block
from broken_scales import Scale

from tinytx import layers
from tinytx.core import Layer
from tinytx.models import GPT, GPTConfig
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.tasks import NextToken
from tinytx.testing import padding_check

RNG = np.random.default_rng(0)
B, T, D, H, F, V = 4, 5, 6, 3, 7, 11
X = RNG.normal(size=(B, T, D))
IDS = RNG.integers(0, V, (B, T))
LENGTHS = [3, 5, 0, 1]


def gpt():
    return NextToken(GPT(GPTConfig(vocab_size=V, max_len=9, d_model=D, n_heads=H, n_layers=2, d_ff=F), rng=RNG))


def attention(**options):
    return layers.MultiHeadAttention(D, H, rng=RNG, **options)


def key_mask(lengths, size):
    return {"mask": (np.arange(size) < lengths[:, None])[:, None, None, :]}


def told_lengths(lengths, size):
    return {"lengths": lengths}


def told_nothing(lengths, size):
    return {}


class Mean(Scale):
    """Of each sequence's own positions, (B, T, D) -> (B, D)."""

    counts_padding = False

    def forward(self, x, tape=None, *, lengths):
        inside = (np.arange(x.shape[1]) < lengths[:, None])[..., None]
        n = np.full(len(x), x.shape[1]) if self.counts_padding else np.maximum(lengths, 1)
        y = super().forward(np.where(inside, x, 0), tape).sum(axis=1) / n[:, None]
        if tape is not None:
            tape.push(self, (inside, n))
        return y

    def backward(self, dy, tape):
        inside, n = tape.pop(self)
        dy = np.broadcast_to((dy / n[:, None])[:, None], (*inside.shape[:2], dy.shape[1]))
        return np.where(inside, super().backward(dy, tape), 0)


class CountsPadding(Mean):
    counts_padding = True


class LeavesDxInPadding(Mean):
    def backward(self, dy, tape):
        dx = super().backward(dy, tape)
        dx[:, -1] += 1e-20
        return dx


class WrongWhereShort(Mean):
    """Its dx is wrong by a factor where there is padding."""

    def backward(self, dy, tape):
        inside, _ = tape._stack[-1][1]
        return super().backward(dy, tape) * (1.0 + ~inside.all(axis=1, keepdims=True))


class CountsPaddingInWeight(Mean):
    def backward(self, dy, tape):
        inside, _ = tape._stack[-1][1]
        dx = super().backward(dy, tape)
        self.weight.add_grad(np.full_like(self.weight.data, (~inside).sum()))
        return dx


class FillsScores(Layer):
    """Adds -1e9 to scores, as many do: the weight of the padding is 0, and 0 times NaN is NaN."""

    penalty = 1e9

    def forward(self, x, tape=None, *, mask):
        scores = x @ x.swapaxes(1, 2) - self.penalty * ~mask[:, 0]
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        return weights / weights.sum(axis=2, keepdims=True) @ x

    def backward(self, dy, tape):
        return np.zeros_like(dy)


class FillsScoresWithLittle(FillsScores):
    penalty = 1e2


@pytest.mark.parametrize(
    ("model", "x", "make_options"),
    [
        (attention(), X, key_mask),
        (attention(core=layers.DotProduct(pattern=CAUSAL)), X, key_mask),
        (make_block(D, H, F, rng=RNG), X, key_mask),
        (layers.LayerNorm(D), X, told_nothing),
        (layers.Embedding(V, D, rng=RNG), IDS, told_nothing),
        (gpt(), IDS, told_nothing),
        (Mean(D), X, told_lengths),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_ignores_padding_passes(model, x, make_options):
    lengths = LENGTHS if not isinstance(model, NextToken) else [3, 5, 2, 1]
    padding_check(model, x, lengths, make_options=make_options)


@pytest.mark.parametrize(
    ("model", "make_options", "message"),
    [
        (attention(), told_nothing, r"with random numbers: y beside row 0 alone differs by \S+ at row 0, position"),
        (FillsScoresWithLittle(), key_mask, "filled with large numbers: y beside row 0 alone differs by"),
        (FillsScores(), key_mask, "filled with NaN: y beside row 0 alone differs by nan"),
        (CountsPadding(D), told_lengths, r"CountsPadding: .* y beside row 0 alone differs by \S+ at row 0, position"),
        (LeavesDxInPadding(D), told_lengths, "dx of the padding, expected 0, differs by 1e-20 at row 0, position 4"),
        (WrongWhereShort(D), told_lengths, "the gradient of x beside row 0 alone differs by"),
        (CountsPaddingInWeight(D), told_lengths, r"the sequences alone: the gradient of weight differs at \(\d,\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "found",
)
def test_what_padding_changes_is_found(model, make_options, message):
    with pytest.raises(AssertionError, match=message):
        padding_check(model, X, LENGTHS, make_options=make_options)


@pytest.mark.parametrize("lengths", [[5, 5, 5, 5], [1, 2, 3], [1, 2, 3, 6], [-1, 2, 3, 4]])
def test_lengths_that_do_not_fit(lengths):
    with pytest.raises(ValueError, match="padding_check: lengths .*: expected a length of 0 to 5 for each row"):
        padding_check(attention(), X, lengths, make_options=key_mask)
