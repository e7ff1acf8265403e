"""leak_check and batch_check: what is right passes, and each kind of mistake is rejected where it is."""

import numpy as np
import pytest
from blocks import make_block
from broken_scales import Scale

from tinytx import layers
from tinytx.core import Layer
from tinytx.models import GPT, GPTConfig
from tinytx.ops.attention_patterns import FULL
from tinytx.tasks import NextToken
from tinytx.testing import batch_check, leak_check

RNG = np.random.default_rng(0)
B, T, S, D, H, F, V = 4, 5, 8, 6, 3, 7, 11
X = RNG.normal(size=(B, T, D))
IDS = RNG.integers(0, V, (B, T))


def gpt():
    return NextToken(GPT(GPTConfig(vocab_size=V, max_len=9, d_model=D, n_heads=H, n_layers=2, d_ff=F), rng=RNG))


def attention(**options):
    return layers.MultiHeadAttention(D, H, rng=RNG, **options)


# -------------------------------------------------------------------------------------------------- the future


class RowLooksAhead(Scale):
    """One row of the batch sees the position behind its own."""

    def forward(self, x, tape=None):
        y = super().forward(x, tape)
        y[1, :-1] += 1e-6 * x[1, 1:]
        return y


class LooksAheadBehindZero(layers.Linear):
    """What leaks is multiplied with a weight that starts at 0."""

    def __init__(self):
        super().__init__(D, F, rng=RNG, init=lambda rng, shape: np.zeros(shape))

    def forward(self, x, tape=None):
        return super().forward(x[:, ::-1], tape)


class CausalMean(Layer):
    """Of all positions up to each, by Fourier transforms: causal but for rounding."""

    def forward(self, x, tape=None):
        n = x.shape[1]
        kernel, padded = np.ones(2 * n), [(0, 0), (0, n), (0, 0)]
        kernel[n:] = 0
        y = np.fft.fft(np.pad(x, padded), axis=1) * np.fft.fft(kernel)[:, None]
        return np.fft.ifft(y, axis=1).real[:, :n]


@pytest.mark.parametrize(
    ("model", "x"),
    [(gpt(), IDS), (make_block(D, H, F, causal=True, rng=RNG), X), (layers.LayerNorm(D), X), (CausalMean(), X)],
    ids=lambda value: type(value).__name__,
)
def test_causal_models_pass(model, x):
    leak_check(model, x)


def test_a_leak_is_found_in_one_layer_of_many():
    model = gpt()
    model.body.blocks[1].attention.f.core.pattern = FULL
    message = r"NextToken: x changed from position 1 on, and y differs by \S+ at row \d, position 0, index \(\d, 0, \d+\)"
    with pytest.raises(AssertionError, match=message):
        leak_check(model, IDS)


def test_a_leak_is_found_in_one_row_and_however_small():
    message = r"and y differs by \S+e-0\d at row 1, position 0"
    with pytest.raises(AssertionError, match=message):
        leak_check(RowLooksAhead(D), X)


@pytest.mark.parametrize("position", range(1, T))
def test_a_leak_is_found_between_any_two_neighbours(position):
    """Catches a walk along the positions that leaves one out, such as the last."""

    class Leaks(Scale):
        def forward(self, x, tape=None):
            y = super().forward(x, tape)
            y[:, position - 1] += x[:, position]
            return y

    message = f"Leaks: x changed from position {position} on, and y differs .* position {position - 1}, "
    with pytest.raises(AssertionError, match=message):
        leak_check(Leaks(D), X)


def test_a_leak_is_found_behind_a_weight_of_zero():
    with pytest.raises(AssertionError, match="LooksAheadBehindZero"):
        leak_check(LooksAheadBehindZero(), X)


def test_without_a_config_ids_are_replaced_by_others_in_x():
    leak_check(layers.Embedding(V, D, rng=RNG), IDS)
    with pytest.raises(ValueError, match=r"no id to put in the place of \[3\]: let x hold at least two ids"):
        leak_check(layers.Embedding(V, D, rng=RNG), np.full((2, 3), 3))


@pytest.mark.parametrize("x", [X[:, :1], X[0, 0]], ids=["one position", "no positions"])
def test_where_nothing_can_leak_there_is_nothing_to_check(x):
    with pytest.raises(ValueError, match=r"leak_check: x has shape .* expected \(B, T, ...\) with T > 1"):
        leak_check(layers.LayerNorm(D), x)


# ------------------------------------------------------------------------------------------------ other rows


class CentresBatch(Scale):
    def forward(self, x, tape=None):
        return super().forward(x - x.mean(axis=0), tape)


class AveragesDx(Scale):
    def backward(self, dy, tape):
        dx = super().backward(dy, tape)
        dx[-1] = dx.mean(axis=0)
        return dx


MEMORY, MASK = RNG.normal(size=(B, S, D)), {"mask": RNG.random((B, 1, T, S)) < 0.5}


@pytest.mark.parametrize(
    ("model", "inputs", "options"),
    [
        (gpt(), [IDS], {}),
        (make_block(D, H, F, rng=RNG), [X], {}),
        (attention(), [X, MEMORY], MASK),
        (attention(), [X], {"mask": RNG.random((1, 1, T, T)) < 0.5}),
        (layers.LearnedPositions(9, D, rng=RNG), [X], {"start": 2}),
        (layers.Linear(D, F, rng=RNG), [X[:, 0]], {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_independent_rows_pass(model, inputs, options):
    batch_check(model, *inputs, options=options)


def test_outputs_that_depend_on_other_rows_are_found():
    message = r"CentresBatch: of a batch: y beside row 0 alone differs by \S+ at row 0, position \d"
    with pytest.raises(AssertionError, match=message):
        batch_check(CentresBatch(D), X)


def test_a_backward_that_mixes_rows_is_found():
    message = r"AveragesDx: of a batch: the gradient of x beside row 3 alone differs by \S+ at row 3, position \d"
    with pytest.raises(AssertionError, match=message):
        batch_check(AveragesDx(D), X)


def test_a_memory_that_goes_to_another_row_is_found():
    class ShiftsMemory(layers.MultiHeadAttention):
        def backward(self, dy, tape):
            dx, dmemory = super().backward(dy, tape)
            return dx, np.roll(dmemory, 1, axis=0)

    with pytest.raises(AssertionError, match="of a batch: the gradient of memory beside row 0 alone"):
        batch_check(ShiftsMemory(D, H, rng=RNG), X, MEMORY, options=MASK)


def test_one_row_has_no_others():
    with pytest.raises(ValueError, match=r"batch_check: inputs have shape \(1, 5, 6\), expected \(B, ...\) with one B > 1"):
        batch_check(layers.LayerNorm(D), X[:1])
