"""state_check: what reads a text in parts as it reads the whole passes; each way to lose the state is rejected."""

import numpy as np
import pytest
from broken_scales import Scale

from tinytx import layers
from tinytx.core import Layer
from tinytx.models import GPT, T5, GPTConfig, T5Config
from tinytx.ops.attention_patterns import CAUSAL, FULL
from tinytx.tasks import NextToken
from tinytx.testing import state_check

RNG = np.random.default_rng(0)
B, T, D, V = 3, 7, 6, 11
X, IDS = RNG.normal(size=(B, T, D)), RNG.integers(1, V, (B, T))


def attention(pattern=CAUSAL):
    return layers.MultiHeadAttention(D, 3, core=layers.DotProduct(pattern=pattern), rng=RNG)


def test_what_is_right():
    config = GPTConfig(vocab_size=V, max_len=9, d_model=D, n_heads=3, n_layers=2)
    state_check(GPT(config, rng=RNG), IDS)
    state_check(NextToken(GPT(config, rng=RNG)), IDS)
    state_check(attention(), X)
    state_check(layers.LSTM(D, 5, rng=RNG), X)


def test_a_memory_is_given_whole():
    """Before x or behind it; its rows are reversed with the others', and so are the keys made of it, in the state."""

    class MemoryFirst(Layer):
        def __init__(self, decoder):
            self.decoder = decoder

        def forward(self, memory, ids, tape=None, *, state=None):
            return self.decoder(ids, memory, tape, state=state)

    config = T5Config(V, d_model=D, n_heads=3, d_key=4, d_ff=8, n_encoder_layers=1, n_decoder_layers=2)
    decoder = T5(config, rng=RNG).decoder
    state_check(decoder, IDS, X[:, :4])
    state_check(MemoryFirst(decoder), X[:, :4], IDS, causal=1)


class Mean(Scale):
    """A weight times the mean of all positions so far, whose sum and count are remembered."""

    def forward(self, x, tape=None, *, state=None):
        total, n = np.zeros_like(x[:, :1]), np.zeros((len(x), 1, 1))
        slot = state.next() if state is not None else None
        if slot and slot.arrays:
            total, n = self.recall(*slot.arrays)
        total, n = total + x.cumsum(axis=1), n + np.arange(1, x.shape[1] + 1)[:, None]
        if slot:
            slot.arrays = total[:, -1:], n[:, -1:]
        return super().forward(total / n)

    def recall(self, total, n):
        return total, n


class ForgetsTheCount(Mean):
    def recall(self, total, n):
        return total, 0 * n


class KeepsRowsInPlace(Mean):
    """What is remembered is not in the state, where rows can be selected."""

    def forward(self, x, tape=None, *, state=None):
        y = super().forward(x, tape, state=state)
        if state is not None:
            self.total = state._slots[0].arrays[0]
        return y

    def recall(self, total, n):
        return self.total, n


class ForgetsAll(Mean):
    def forward(self, x, tape=None, *, state=None):
        return super().forward(x, tape)


def test_a_layer_of_ones_own():
    state_check(Mean(D), X)


@pytest.mark.parametrize(
    ("layer", "x", "says"),
    [
        (ForgetsAll(D), X, r"ForgetsAll: read part by part with a state, positions 1 to 2: y beside the whole differs by"),
        (ForgetsTheCount(D), X, "positions 1 to 2"),
        (KeepsRowsInPlace(D), X, "positions 3 to 6"),  # after the rows are reversed
        (attention(pattern=FULL), X, "positions 0 to 0"),
    ],
)
def test_what_is_wrong(layer, x, says):
    with pytest.raises(AssertionError, match=says):
        state_check(layer, x)


def test_positions_that_start_again():
    class StartsAgain(GPT):
        def _embed(self, ids, segments, places, start, tape):
            return super()._embed(ids, segments, places, 0, tape)

    model = StartsAgain(GPTConfig(vocab_size=V, max_len=9, d_model=D, n_heads=3, n_layers=1), rng=RNG)
    with pytest.raises(AssertionError, match="positions 1 to 2"):
        state_check(model, IDS)


def test_nothing_is_remembered():
    """A layer without memory reads parts as it reads the whole, and it takes no state either."""

    class Takes(Scale):
        def forward(self, x, tape=None, *, state=None):
            return super().forward(x, tape)

    with pytest.raises(AssertionError, match="Takes: nothing was written to the state"):
        state_check(Takes(D), X)


def test_too_short():
    with pytest.raises(ValueError, match=r"state_check: x has shape \(3, 3, 6\), the output .*: expected \(B, T, ...\) with T > 3"):
        state_check(Mean(D), X[:, :3])
