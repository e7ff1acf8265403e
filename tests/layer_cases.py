"""The table of layers: name -> function (Maker) -> LayerCase. A new layer is tested by a new line here.

Every parameter is random, biases and layer norm's gain included: a backward that forgets gamma is right at gamma = 1.
"""

import numpy as np
from attention_layer_cases import ATTENTION_LAYERS
from blocks import make_block
from cases import LayerCase, features
from geometric_layer_cases import GEOMETRIC_LAYERS
from recurrent_layer_cases import RECURRENT_LAYERS
from row_layer_cases import ROW_LAYERS

from tinytx.core import Layer, Tape
from tinytx.layers import (
    Activation,
    Alibi,
    Checkpoint,
    Dropout,
    Embedding,
    FeedForward,
    GatedFeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    LowRankLinear,
    Maxout,
    MultiHeadAttention,
    Pool,
    RelativePositionBias,
    Residual,
    ReversibleStack,
    RMSNorm,
    Scale,
    Sequential,
    SinusoidalPositions,
    TiedLinear,
)


def rng():
    return np.random.default_rng(0)


def seeded_tape():
    """A tape that switches dropout on; every one draws the same masks."""
    return Tape(seed=5, step=2, first_row=3)


def linear(make, **options):
    b, t, d_in, d_out = make.sizes(4)
    return LayerCase(
        make, lambda dtype: Linear(d_in, d_out, rng=rng(), dtype=dtype, **options), {"x": make.array(b, t, d_in)}
    )


def low_rank(make, **options):
    """The base is thawed, so that all gradients can be compared; alpha is not the rank."""
    b, t, d_in, d_out = make.sizes(4)

    def build(dtype):
        layer = LowRankLinear(Linear(d_in, d_out, rng=rng(), dtype=dtype), 2, alpha=3.0, rng=rng(), **options)
        for parameter in layer.parameters():
            parameter.frozen = False
        return layer

    return LayerCase(make, build, {"x": make.array(b, t, d_in)}, tape=seeded_tape if options else Tape)


class Tied(Layer):
    """An embedding and the output layer that shares its table, on opposite sides of a layer norm."""

    def __init__(self, vocab_size, d_model, dtype):
        self.embed = Embedding(vocab_size, d_model, rng=rng(), dtype=dtype)
        self.norm = LayerNorm(d_model, dtype=dtype)
        self.head = TiedLinear(self.embed.weight)

    def forward(self, ids, tape=None):
        return self.head(self.norm(self.embed(ids, tape), tape), tape)

    def backward(self, dy, tape):
        return self.embed.backward(self.norm.backward(self.head.backward(dy, tape), tape), tape)


class Penalised(Layer):
    """Attention with a fixed bias."""

    def __init__(self, attention, alibi):
        self.attention, self.alibi = attention, alibi

    def forward(self, x, tape=None):
        places = np.arange(x.shape[1])
        return self.attention(x, None, self.alibi(places, places, tape), tape)

    def backward(self, dy, tape):
        dx, _, dbias = self.attention.backward(dy, tape)
        self.alibi.backward(dbias, tape)
        return dx


class Twice(Layer):
    """One layer used at two places, as ALBERT does with its blocks."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, tape=None):
        return self.layer(self.layer(x, tape), tape)

    def backward(self, dy, tape):
        return self.layer.backward(self.layer.backward(dy, tape), tape)


def tied_linear(make, **options):
    b, t, v, d = make.sizes(4)
    table = Embedding(v, d, rng=rng())
    return LayerCase(
        make,
        lambda dtype: TiedLinear(Embedding(v, d, rng=rng(), dtype=dtype).weight, **options),
        {"x": make.array(b, t, table.weight.data.shape[1])},
    )


def tied(make):
    b, t, v, d = make.sizes(4)
    ids = make.ids(v, b, t)
    return LayerCase(make, lambda dtype: Tied(v, features(d), dtype), {}, before=(ids,), shares=True)


def embedding(make, tape=Tape, **options):
    b, t, v, d = make.sizes(4)
    ids = make.ids(v, b, t)
    return LayerCase(make, lambda dtype: Embedding(v, d, rng=rng(), dtype=dtype, **options), {}, before=(ids,), tape=tape)


def positions(kind):
    def case(make):
        b, t, d = make.sizes(3)
        start = make.integers(0, 2)
        return LayerCase(make, lambda dtype: kind(t + 3, d, dtype), {"x": make.array(b, t, d)}, start=start)

    return case


def layer_norm(make, bias=True):
    b, t, d = make.sizes(3)
    d = features(d)
    return LayerCase(make, lambda dtype: LayerNorm(d, dtype=dtype, eps=0.01, bias=bias), {"x": make.array(b, t, d)})


def rms_norm(make):
    b, t, d = make.sizes(3)
    return LayerCase(make, lambda dtype: RMSNorm(d, dtype=dtype, eps=0.01), {"x": make.array(b, t, d)})


def pool(make):
    b, t, d = make.sizes(3)
    mask = np.arange(t) < make.integers(1, t, (b, 1))
    return LayerCase(make, lambda dtype: Pool("last", "max", "mean"), {"x": make.array(b, t, d)}, reach=0.002, mask=mask)


def relative_bias(make, two_sided=True):
    h, t, s = make.sizes(3)
    places = np.arange(s, s + t), np.arange(s + t)
    return LayerCase(
        make,
        lambda dtype: RelativePositionBias(h, n_buckets=8, max_distance=6, two_sided=two_sided, rng=rng(), dtype=dtype),
        {},
        before=places,
    )


def one_input(build, reach=0.25, **options):
    """A layer whose parameters, if any, do not depend on x's width."""

    def case(make):
        return LayerCase(make, lambda dtype: build(), {"x": make.array(*make.sizes(3))}, reach=reach, **options)

    return case


def maxout(make):
    b, t, n = make.sizes(3)
    x = make.array(b, t, n, 2)
    x[..., 1] += np.where(x[..., 1] < x[..., 0], -0.5, 0.5)  # no step reaches the kink
    return LayerCase(make, lambda dtype: Maxout(), {"x": x.reshape(b, t, 2 * n)}, reach=0.1)


def feed_forward(make, reach=0.25, tape=Tape, kind=FeedForward, **options):
    b, t, d, f = make.sizes(4)
    return LayerCase(
        make,
        lambda dtype: kind(d, f, rng=rng(), dtype=dtype, **options),
        {"x": make.array(b, t, d)},
        reach=reach,
        tape=tape,
    )


def alibi(make):
    h, k, b, t = make.sizes(4)

    def build(dtype):
        return Penalised(MultiHeadAttention(h * k, h, rng=rng(), dtype=dtype), Alibi(h, dtype=dtype))

    return LayerCase(make, build, {"x": make.array(b, t, h * k)})


def residual(make, **options):
    b, t, d, f = make.sizes(4)
    d = features(d)
    return LayerCase(
        make,
        lambda dtype: Residual(FeedForward(d, f, rng=rng(), dtype=dtype), LayerNorm(d, dtype=dtype), **options),
        {"x": make.array(b, t, d)},
        tape=seeded_tape if "dropout" in options else Tape,
    )


def block(make, reach=0.25, wrap=None, **options):
    h, k = make.sizes(2)
    d = h * features(k)
    b, t, f = make.sizes(3, but=(h, k, d))

    def build(dtype):
        layer = make_block(d, h, f, rng=rng(), dtype=dtype, **options)
        return wrap(layer) if wrap else layer

    tape = seeded_tape if "dropout" in options else Tape
    return LayerCase(make, build, {"x": make.array(b, t, d)}, reach=reach, tape=tape, shares=wrap is Twice)


def reversible(make):
    b, t, d, f, g = make.sizes(5)
    d = features(d)

    def build(dtype):
        draw = {"rng": rng(), "dtype": dtype}
        pairs = [(Residual(FeedForward(d, f, **draw), LayerNorm(d, dtype=dtype), dropout=0.3), FeedForward(d, g, **draw)) for _ in range(2)]
        return ReversibleStack(pairs)

    return LayerCase(make, build, {"x": make.array(b, t, d)}, tape=seeded_tape)


def cross_residual(make, **options):
    h, k = make.sizes(2)
    d = h * features(k)
    b, t, s = make.sizes(3, but=(h, k, d))
    return LayerCase(
        make,
        lambda dtype: Residual(
            MultiHeadAttention(d, h, rng=rng(), dtype=dtype), LayerNorm(d, dtype=dtype), **options
        ),
        {"x": make.array(b, t, d), "memory": make.array(b, s, d)},
    )


def decoder_block(make, reach=0.25, masked=False, **options):
    h, k = make.sizes(2)
    d = h * features(k)
    b, t, s, f = make.sizes(4, but=(h, k, d))
    call = {"memory_mask": np.arange(s) < make.integers(0, s, (b, 1, 1, 1))} if masked else {}
    return LayerCase(
        make,
        lambda dtype: make_block(d, h, f, causal=True, reads_memory=True, rng=rng(), dtype=dtype, **options),
        {"x": make.array(b, t, d), "memory": make.array(b, s, d)},
        reach=reach,
        tape=seeded_tape if "dropout" in options else Tape,
        **call,
    )


LAYERS = ROW_LAYERS | RECURRENT_LAYERS | GEOMETRIC_LAYERS | ATTENTION_LAYERS | {
    "Linear": linear,
    "Linear without bias": lambda make: linear(make, bias=False),
    "TiedLinear": tied_linear,
    "TiedLinear with bias": lambda make: tied_linear(make, bias=True),
    "tied embedding": tied,
    "Embedding": embedding,
    "Embedding word dropout": lambda make: embedding(make, tape=seeded_tape, word_dropout=0.4),
    "Embedding scaled": lambda make: embedding(make, scale=0.3),
    "LearnedPositions": positions(lambda n, d, dtype: LearnedPositions(n, d, rng=rng(), dtype=dtype)),
    "SinusoidalPositions": positions(lambda n, d, dtype: SinusoidalPositions(n, d, dtype=dtype)),
    "SinusoidalPositions doubled": positions(lambda n, d, dtype: SinusoidalPositions(n, d, doubled=True, dtype=dtype)),
    "LayerNorm": layer_norm,
    "LayerNorm without bias": lambda make: layer_norm(make, bias=False),
    "RMSNorm": rms_norm,
    "RelativePositionBias": relative_bias,
    "RelativePositionBias one-sided": lambda make: relative_bias(make, two_sided=False),
    "Scale": one_input(lambda: Scale(0.3)),
    "Sequential": one_input(lambda: Sequential(Activation("gelu"), Scale(-2.0), Activation("tanh"))),
    "Activation gelu": one_input(lambda: Activation("gelu")),
    "Activation gelu_tanh": one_input(lambda: Activation("gelu_tanh")),
    "Activation relu": one_input(lambda: Activation("relu"), reach=0.05),
    "Activation tanh": one_input(lambda: Activation("tanh")),
    "Maxout": maxout,
    "Dropout": one_input(lambda: Dropout(0.4), tape=seeded_tape),
    "Dropout switched off": one_input(lambda: Dropout(0.4)),
    "FeedForward": feed_forward,
    "FeedForward gelu, dropout": lambda make: feed_forward(make, activation="gelu", dropout=0.3, tape=seeded_tape),
    "FeedForward without biases": lambda make: feed_forward(make, bias=False),
    "GatedFeedForward": lambda make: feed_forward(make, kind=GatedFeedForward),
    "GatedFeedForward dropout": lambda make: feed_forward(make, kind=GatedFeedForward, dropout=0.3, tape=seeded_tape),
    "attention with Alibi": alibi,
    "LowRankLinear": low_rank,
    "LowRankLinear dropout": lambda make: low_rank(make, dropout=0.4),
    "Pool": pool,
    "Residual pre": residual,
    "Residual post": lambda make: residual(make, norm_order="post"),
    "Residual pre, dropout": lambda make: residual(make, dropout=0.3),
    "Residual post, dropout": lambda make: residual(make, dropout=0.3, norm_order="post"),
    "Block": lambda make: block(make, causal=True),
    "Block post, dropout": lambda make: block(make, norm_order="post", dropout=0.3, activation="gelu"),
    "Block dropout inside, eps": lambda make: block(make, dropout=0.1, feed_forward_dropout=0.3, eps=0.02),
    "ReversibleStack": reversible,
    "Checkpoint": lambda make: block(make, wrap=Checkpoint, dropout=0.3),
    "Block used twice": lambda make: block(make, wrap=Twice),
    "Residual with a memory pre": cross_residual,
    "Residual with a memory post": lambda make: cross_residual(make, norm_order="post"),
    "DecoderBlock": decoder_block,
    "DecoderBlock masked": lambda make: decoder_block(make, masked=True),
    "DecoderBlock post, dropout": lambda make: decoder_block(make, norm_order="post", dropout=0.3, activation="gelu"),
}
