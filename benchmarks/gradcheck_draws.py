"""What calibrate_gradcheck.py draws: operations and layers of random sizes and scales, all of them right."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.layers import (
    Activation,
    Block,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    Residual,
    SinusoidalPositions,
    TiedLinear,
)
from tinytx.ops.attention_patterns import CAUSAL, FULL

SCALES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


class Draw:
    """Sizes, arrays and choices of one check."""

    def __init__(self, rng):
        self.rng = rng
        self.x_scale, self.w_scale = rng.choice(SCALES, 2)

    def sizes(self, n):
        return [int(size) for size in self.rng.permutation(np.arange(2, 4 + n))[:n]]

    def x(self, *shape):
        return self.x_scale * self.rng.normal(size=shape)

    def w(self, *shape):
        return self.w_scale * self.rng.normal(size=shape)

    def ids(self, size, *shape):
        return self.rng.integers(0, size, shape)

    def chance(self):
        return bool(self.rng.integers(2))

    def layer(self, layer, *inputs, **settings):
        """Return the arguments for a layer, its parameters at this check's scale."""
        for parameter in layer.parameters():
            parameter.data = self.w(*parameter.data.shape)
        return layer, inputs, {"randomize": False, **settings}


def pair(op, backward, *inputs):
    return op, inputs, {"backward": backward}


def linear(d):
    b, t, i, o = d.sizes(4)
    if d.chance():
        return pair(ops.linear, ops.linear_backward, d.x(b, t, i), d.w(i, o), d.w(o))
    return pair(ops.linear, lambda dy, saved: ops.linear_backward(dy, saved)[:2], d.x(b, t, i), d.w(i, o))


def layer_norm(d):
    b, t, w = d.sizes(3)
    eps = d.rng.choice((1e-5, 1e-12, 0.1))
    return pair(
        lambda x, weight, bias: ops.layer_norm(x, weight, bias, eps),
        ops.layer_norm_backward, d.x(b, t, w + 1), d.w(w + 1), d.w(w + 1),
    )  # fmt: skip


def softmax(d, masked=False):
    b, t, s = d.sizes(3)
    mask = None
    if masked:
        mask = d.rng.random((b, t, s)) < 0.7
        mask[0, 0] = False
    return pair(lambda x: ops.softmax(x, mask), ops.softmax_backward, d.x(b, t, s))


def elementwise(op, backward):
    return lambda d: pair(op, backward, d.x(*d.sizes(2)))


def relu_at_zero(d):
    """A third of the entries sit on the kink."""
    x = d.x(*d.sizes(2))
    x[d.rng.random(x.shape) < 0.3] = 0.0
    return pair(ops.relu, ops.relu_backward, x)


def embedding(d):
    b, t, v, w = d.sizes(4)
    return pair(ops.embedding, lambda dy, saved: (None, ops.embedding_backward(dy, saved)), d.ids(v, b, t), d.w(v, w))


def add_positions(d):
    b, t, w = d.sizes(3)
    start = int(d.rng.integers(0, 3))
    op = lambda x, table: ops.add_positions(x, table, start)  # noqa: E731
    return pair(op, ops.add_positions_backward, d.x(b, t, w), d.w(t + 3, w))


def dropout(d):
    p, key = d.rng.choice((0.1, 0.5, 0.9)), int(d.rng.integers(2**62))
    return pair(lambda x: ops.dropout(x, p, key, 3), ops.dropout_backward, d.x(*d.sizes(3)))


def cross_entropy(d, smoothing=0.0, ignore=False):
    b, t, v = d.sizes(3)
    targets = d.ids(v, b, t)
    if ignore:
        targets[d.rng.random((b, t)) < 0.3] = -100
    return pair(
        lambda logits: ops.cross_entropy(logits, targets, label_smoothing=smoothing),
        ops.cross_entropy_backward, d.x(b, t, v),
    )  # fmt: skip


def attention(d, mask="", dropout=0.0, causal=False):
    b, h, t, s, k = d.sizes(5)
    b, h = min(b, 2), min(h, 3)
    if causal and t > s and d.chance():
        t, s = s, t
    settings = {"pattern": CAUSAL if causal else FULL, "dropout": dropout, "key": 12345 if dropout else None}
    if mask == "padding":
        settings["mask"] = np.arange(s) < d.rng.integers(0, s + 1, (b, 1, 1, 1))
    if mask == "random":
        settings["mask"] = d.rng.random((b, 1, t, s)) < 0.7
    op = lambda q, k, v: ops.attention(q, k, v, **settings)  # noqa: E731
    return pair(op, ops.attention_backward, d.x(b, h, t, k), d.x(b, h, s, k), d.w(b, h, s, k))


OPS = {
    "linear": linear,
    "layer_norm": layer_norm,
    "softmax": softmax,
    "softmax masked": lambda d: softmax(d, masked=True),
    "gelu": elementwise(ops.gelu, ops.gelu_backward),
    "gelu_tanh": elementwise(ops.gelu_tanh, ops.gelu_tanh_backward),
    "relu": elementwise(ops.relu, ops.relu_backward),
    "relu at 0": relu_at_zero,
    "embedding": embedding,
    "add_positions": add_positions,
    "dropout": dropout,
    "cross_entropy": cross_entropy,
    "cross_entropy smoothed": lambda d: cross_entropy(d, smoothing=0.1),
    "cross_entropy ignored": lambda d: cross_entropy(d, ignore=True, smoothing=0.2),
    "attention": attention,
    "attention causal": lambda d: attention(d, causal=True),
    "attention padding": lambda d: attention(d, "padding"),
    "attention random mask": lambda d: attention(d, "random"),
    "attention causal, mask": lambda d: attention(d, "random", causal=True),
    "attention dropout": lambda d: attention(d, dropout=0.3, causal=True),
}


class Tied(Layer):
    """An embedding whose table is the output layer's weight."""

    def __init__(self, v, w, rng):
        self.token = Embedding(v, w, rng=rng)
        self.head = TiedLinear(self.token.weight)

    def forward(self, ids, tape=None):
        return self.head(self.token(ids, tape), tape)

    def backward(self, dy, tape):
        return self.token.backward(self.head.backward(dy, tape), tape)


def tied(d):
    b, t, v, w = d.sizes(4)
    return d.layer(Tied(v, w, d.rng), d.ids(v, b, t))


def seeded():
    return Tape(seed=5, step=2)


def a_layer(make):
    """Return a builder for a layer of (B, T, D) made by make(draw, D)."""

    def build(d):
        b, t, w = d.sizes(3)
        return d.layer(make(d, w), d.x(b, t, w), tape=seeded)

    return build


def multi_head(d, cross=False, **settings):
    b, t, s, h = 2, *d.sizes(3)
    settings = {"causal": d.chance() and not cross, "dropout": 0.2 * d.chance(), "bias": d.chance(), **settings}
    layer = MultiHeadAttention(2 * h, h, rng=d.rng, **settings)
    inputs = [d.x(b, n, 2 * h) for n in ((t, s) if cross else (t,))]
    options = {"mask": d.rng.random((b, 1, t, s if cross else t)) < 0.8}
    return d.layer(layer, *inputs, options=options, tape=seeded)


def block(d):
    b, t, f = d.sizes(3)
    order, activation = d.rng.choice(("pre", "post")), d.rng.choice(("gelu", "gelu_tanh", "relu"))
    kinds = {"norm_order": str(order), "activation": str(activation)}
    layer = Block(6, 2, f + 4, causal=d.chance(), dropout=0.1 * d.chance(), **kinds, rng=d.rng)
    return d.layer(layer, d.x(b, t, 6), tape=seeded)


LAYERS = {
    "Linear": a_layer(lambda d, w: Linear(w, w + 3, rng=d.rng)),
    "TiedLinear": tied,
    "LayerNorm": a_layer(lambda d, w: LayerNorm(w, eps=float(d.rng.choice((1e-5, 1e-12))))),
    "LearnedPositions": a_layer(lambda d, w: LearnedPositions(9, w, rng=d.rng)),
    "SinusoidalPositions": a_layer(lambda d, w: SinusoidalPositions(9, w)),
    "Dropout": a_layer(lambda d, w: Dropout(0.4)),
    "Activation": a_layer(lambda d, w: Activation("gelu")),
    "FeedForward": a_layer(lambda d, w: FeedForward(w, w + 3, dropout=0.1 * d.chance(), rng=d.rng)),
    "FeedForward relu": a_layer(lambda d, w: FeedForward(w, w + 3, activation="relu", rng=d.rng)),
    "Residual pre": a_layer(lambda d, w: Residual(Linear(w, w, rng=d.rng), LayerNorm(w))),
    "Residual post": a_layer(lambda d, w: Residual(Linear(w, w, rng=d.rng), LayerNorm(w), norm_order="post")),
    "MultiHeadAttention": multi_head,
    "MultiHeadAttention cross": lambda d: multi_head(d, cross=True),
    "Block": block,
}
