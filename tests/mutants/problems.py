"""The problems on which `by_gradcheck` tries its mutants: each is a function of the changed module.

Sizes are pairwise distinct and every parameter is random; "square" ones have two equal sizes, where a transposed product
still has the right shape.
"""

from typing import NamedTuple
from unittest import mock

import numpy as np

from tinytx.core import Layer, Tape
from tinytx.layers import (
    DotProduct,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    Rotary,
    TiedLinear,
)
from tinytx.layers.init import normal
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.models.encoder_decoder import EncoderDecoder
from tinytx.models.stacks import make_blocks
from tinytx.ops.attention_patterns import CAUSAL, FULL, Band
from tinytx.tasks import SequenceToSequence
from tinytx.testing.problem import Loss


class Problem(NamedTuple):
    """The arguments of one gradcheck."""

    target: object
    inputs: tuple
    settings: dict


def _draw(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def pair(op, backward, *inputs):
    return Problem(op, inputs, {"backward": backward})


def layer(made, *shape, x=None, others=(), seed=None, **options):
    """Return the problem of a layer, every parameter of which is random."""
    rng = np.random.default_rng(7)
    for parameter in made.parameters():
        parameter.data = rng.normal(size=parameter.data.shape) * 0.7
    settings = {"randomize": False, "options": options, "tape": lambda: Tape(seed=seed)}
    return Problem(made, (_draw(*shape) if x is None else x, *others), settings)


class Twice(Layer):
    """A layer that is applied two times, as in ALBERT."""

    def __init__(self, part):
        self.part = part

    def forward(self, x, tape=None):
        return self.part(self.part(x, tape), tape)

    def backward(self, dy, tape):
        return self.part.backward(self.part.backward(dy, tape), tape)


class Tied(Layer):
    """An embedding whose table is also the output layer's weight."""

    def __init__(self, embedding=Embedding, head=TiedLinear, size=6):
        self.token = embedding(6, size, rng=_rng())
        self.head = head(self.token.weight, bias=True)

    def forward(self, ids, tape=None):
        return self.head(self.token(ids, tape), tape)

    def backward(self, dy, tape):
        return self.token.backward(self.head.backward(dy, tape), tape)


def _rng():
    return np.random.default_rng(0)


IDS = np.array([[0, 3, 3, 1], [5, 0, 3, 4]])
TARGETS = np.array([[1, -100, 0], [4, 2, -100]])
TARGETS_OF_IDS = np.array([[1, -100, -100, 0], [-100, -100, 2, -100]])
D, H, F = 6, 2, 9


def attention(m, *, t=4, s=5, mask=None, bias=None, groups=1, block=2, keys=2, **settings):
    """Few queries and keys in a tile, so that several tiles add to one gradient."""
    small = mock.patch.multiple("tinytx.ops.attention_tiles", BLOCK=block, KEYS=keys)
    inputs = _draw(2, 3 * groups, t, 2), _draw(2, 3, s, 2, seed=1), _draw(2, 3, s, 2, seed=2)
    inputs += () if bias is None else (_draw(*bias, seed=3),)
    return pair(small(lambda *inputs: m.attention(*inputs, mask=mask, **settings)), small(m.attention_backward), *inputs)


def cross_entropy(m, smoothing=0.0):
    return pair(
        lambda logits: m.cross_entropy(logits, TARGETS, label_smoothing=smoothing),
        m.cross_entropy_backward,
        _draw(2, 3, 5),
    )


def linear_cross_entropy(m):
    return pair(
        lambda x, weight: m.linear_cross_entropy(x, weight, TARGETS, chunk=10),
        m.linear_cross_entropy_backward,
        _draw(2, 3, 4),
        _draw(4, 5),
    )


def kl_divergence(m, smoothing=0.0):
    return pair(
        lambda logits: m.kl_divergence(logits, TARGETS % 5, pad_id=0, label_smoothing=smoothing),
        m.kl_divergence_backward,
        _draw(2, 3, 5),
    )


def tsne(m):
    """Five points in blocks of two."""
    m.BLOCK = 2
    near = np.abs(_draw(5, 5)) * (1 - np.eye(5))
    p = (near + near.T) / near.sum() / 2
    return pair(
        lambda y: m.tsne(y, p, exaggeration=1.5),
        m.tsne_backward,
        _draw(5, 2),
    )


def linear_tied(m):
    """The weight is the transpose of a table."""

    def backward(dy, saved):
        dx, dweight, _ = m.linear_backward(dy, saved)
        return dx, dweight.T

    return pair(lambda x, table: m.linear(x, table.T), backward, _draw(2, 3, 4), _draw(5, 4))


def softmax(m, mask=None):
    return pair(lambda x: m.softmax(x, mask), m.softmax_backward, _draw(2, 3, 5))


def embedding(m):
    return pair(m.embedding, lambda dy, saved: (None, m.embedding_backward(dy, saved)), IDS, _draw(6, 3))


def select_rows(m):
    rows = [0, 3, 3, 1, 5]
    return pair(lambda x: m.select_rows(x, rows), m.select_rows_backward, _draw(2, 3, 4))


def positions(m):
    op = lambda x, table: m.add_positions(x, table, start=2)  # noqa: E731
    return pair(op, m.add_positions_backward, _draw(2, 3, 4), _draw(7, 4))


def residual(m, order):
    return layer(m.Residual(Linear(D, D, rng=_rng()), LayerNorm(D), norm_order=order), 2, 3, D)


def multi_head(m, memory=None, **settings):
    others = () if memory is None else (memory,)
    return layer(m.MultiHeadAttention(D, H, rng=_rng(), **settings), 2, 3, D, others=others)


def feed_forward(m, name="gelu_tanh"):
    return layer(m.FeedForward(D, F, activation=name, dropout=0.2, rng=_rng()), 2, 3, D, seed=1)


def relative_bias(m):
    made = m.RelativePositionBias(2, n_buckets=8, max_distance=6, rng=_rng())
    return layer(made, x=np.arange(3, 5), others=(np.arange(6),))


def block(m, order="pre"):
    attention, feed_forward = MultiHeadAttention(D, H, core=DotProduct(pattern=CAUSAL), rng=_rng()), _feed_forward()
    return layer(m.Block(_short_cut(m, attention, order), _short_cut(m, feed_forward, order)), 2, 3, D)


def _feed_forward():
    return FeedForward(D, F, rng=_rng())


def _short_cut(m, f, order):
    return m.Residual(f, LayerNorm(D), norm_order=order)


def decoder_block(m, order="pre"):
    """As many queries as keys, so that dx and dmemory have one shape."""
    attentions = [MultiHeadAttention(D, H, core=DotProduct(pattern=p), rng=_rng()) for p in (CAUSAL, FULL)]
    made = m.DecoderBlock(*(_short_cut(m, f, order) for f in (*attentions, _feed_forward())))
    return _sampled(layer(made, 2, 3, D, others=[_draw(2, 3, D, seed=1)], memory_mask=MASK[:1, :3]))


CONFIG = TransformerConfig(
    6, 6, d_model=4, n_heads=H, d_ff=5, n_encoder_layers=1, n_decoder_layers=2, norm_order="pre", activation="gelu",
    dropout=0.0, pad_id=3,
)  # fmt: skip
FEW = {"mode": "sampled", "samples": 1}  # a whole model has many entries, and a mistake in the wiring spoils them all


def stack(m, n_layers, others=(), **options):
    blocks = make_blocks(CONFIG, n_layers, rng=_rng(), dtype=np.float32, init=normal(1.0), **options)
    made = m.Stack(Embedding(6, 4, rng=_rng()), blocks, norm=LayerNorm(4), dropout=0.2, max_len=5)
    return _sampled(layer(made, x=IDS, others=others, seed=1))


def _sampled(problem):
    return problem._replace(settings=problem.settings | FEW)


BERT = BertConfig(6, max_len=5, d_model=4, n_heads=H, d_ff=5, n_layers=1, eps=1e-5, dropout=0.0, pad_id=3)


def bert_stack(m):
    """With everything that a stack can have."""
    draw = {"rng": _rng(), "dtype": np.float32, "init": normal(1.0)}
    made = m.Stack(
        Embedding(6, 4, **draw), make_blocks(BERT, 1, **draw), segment=Embedding(2, 4, **draw),
        position=LearnedPositions(5, 4, **draw), embedding_norm=LayerNorm(4), max_len=5,
    )  # fmt: skip
    return _sampled(layer(made, x=IDS, segments=IDS % 2))


def head(m, kind):
    """The parts of BERT's heads."""
    options = {"rng": _rng(), "dtype": np.float32, "init": normal(1.0)}
    if kind == "text":
        return layer(m.PooledHead(D, 3, **options), 2, 3, D)
    return layer(m.Transform(D, D + 1, activation="gelu", eps=1e-5, **options), 2, 3, D)


def low_rank(m):
    made = m.LowRankLinear(Linear(D, F, rng=_rng()), 2, alpha=3.0, dropout=0.4, rng=_rng())
    made.b.weight.data[...] = _draw(2, F)
    for parameter in made.parameters():
        parameter.frozen = False
    return layer(made, 2, 3, D, seed=1)


def bert_loss(m):
    batch = TARGETS_OF_IDS, IDS % 2, np.array([1, 0])
    return _sampled(layer(Loss(m.HiddenWords.around(Bert, BERT, rng=_rng(), settings={"next_sentence": True})), x=IDS, others=batch))


def auxiliary_loss(m):
    body = GPT(GPTConfig(6, max_len=5, d_model=4, n_heads=H, d_ff=5, n_layers=1, dropout=0.0), rng=_rng())
    task = m.TextClassesNextToken(body, n_classes=3, pad_id=1, rng=_rng())
    return _sampled(layer(Loss(task), x=IDS, others=[np.array([2, 0])]))


def transformer_loss(m):
    """Of the module of what all encoder-decoders share, or of that of the task."""
    target = np.array([[1, 4, 0, 2], [1, 5, 2, 3]])
    task, shared = getattr(m, "SequenceToSequence", SequenceToSequence), getattr(m, "EncoderDecoder", EncoderDecoder)
    body = type("Body", (Transformer,), {"backward": shared.backward})
    return _sampled(layer(Loss(task(body(CONFIG, rng=_rng()))), x=IDS, others=[target]))


MASK = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 1], [0, 1, 0, 1, 1], [1, 1, 1, 1, 0]], bool)
PROBLEMS = {
    "linear": lambda m: pair(m.linear, m.linear_backward, _draw(2, 3, 4), _draw(4, 5), _draw(5)),
    "linear square": lambda m: pair(m.linear, m.linear_backward, _draw(2, 3, 4), _draw(4, 4), _draw(4)),
    "linear tied": linear_tied,
    "embedding": embedding,
    "layer_norm": lambda m: pair(m.layer_norm, m.layer_norm_backward, _draw(2, 3, 5), _draw(5), _draw(5, seed=1)),
    "rms_norm": lambda m: pair(m.rms_norm, m.rms_norm_backward, _draw(2, 3, 5), _draw(5)),
    "gate": lambda m: pair(m.gate, m.gate_backward, _draw(3, 4), _draw(3, 4, seed=1)),
    "highway": lambda m: pair(m.highway, m.highway_backward, *(_draw(3, 4, seed=n) for n in range(3))),
    "pool": lambda m: pair(
        lambda x: m.pool(x, ("last", "max", "mean"), mask=MASK[:2, :3]), m.pool_backward, _draw(2, 3, 4)
    ),
    "silu": lambda m: pair(m.silu, m.silu_backward, _draw(3, 4)),
    "rotate": lambda m: pair(lambda x: m.rotate(x, np.array([1.1, 0.3]), 2), m.rotate_backward, _draw(2, 3, 2, 5)),
    "rotate neighbours": lambda m: pair(
        lambda x: m.rotate(x, np.array([1.1, 0.3]), neighbours=True), m.rotate_backward, _draw(2, 3, 2, 5)
    ),
    "relu": lambda m: pair(m.relu, m.relu_backward, _draw(3, 4)),
    "tanh": lambda m: pair(m.tanh, m.tanh_backward, _draw(3, 4)),
    "select_rows": select_rows,
    "gelu": lambda m: pair(m.gelu, m.gelu_backward, _draw(3, 4)),
    "gelu_tanh": lambda m: pair(m.gelu_tanh, m.gelu_tanh_backward, _draw(3, 4)),
    "softmax": softmax,
    "softmax masked": lambda m: softmax(m, MASK[:3]),
    "attention": attention,
    "attention causal": lambda m: attention(m, pattern=CAUSAL),
    "attention window": lambda m: attention(m, pattern=Band(1, 1)),
    "attention bias": lambda m: attention(m, bias=(1, 1, 4, 5), scale=0.6),
    "attention bias of keys": lambda m: attention(m, bias=(2, 3, 1, 5), scale=0.6),
    "attention groups": lambda m: attention(m, groups=2),
    "attention log-sum-exp": lambda m: attention(m, log_sum_exp=True),
    "merge": lambda m: pair(m.merge, m.merge_backward, _draw(3, 2, 5, 4), _draw(3, 2, 5)),
    "attention masked": lambda m: attention(m, mask=MASK),
    "attention dropout": lambda m: attention(m, dropout=0.4, key=11),
    "attention square": lambda m: attention(m, s=4, block=4, keys=4),
    "dropout": lambda m: pair(lambda x: m.dropout(x, 0.4, 12, 1), m.dropout_backward, _draw(2, 3, 5)),
    "add_positions": positions,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "cross_entropy smoothed": lambda m: cross_entropy(m, 0.2),
    "kl_divergence": kl_divergence,
    "kl_divergence smoothed": lambda m: kl_divergence(m, 0.2),
    "tsne": tsne,
    "scale": lambda m: pair(lambda x: m.scale(x, 0.6), m.scale_backward, _draw(2, 3, 4)),
    "Linear": lambda m: layer(m.Linear(D, F, rng=_rng()), 2, 3, D),
    "Linear twice": lambda m: layer(Twice(m.Linear(D, D, rng=_rng())), 2, 3, D),
    "LowRankLinear": low_rank,
    "TiedLinear": lambda m: layer(Tied(head=m.TiedLinear), x=IDS),
    "tied Embedding": lambda m: layer(Tied(embedding=m.Embedding, size=5), x=IDS),
    "LayerNorm": lambda m: layer(m.LayerNorm(D), 2, 3, D),
    "LayerNorm twice": lambda m: layer(Twice(m.LayerNorm(D)), 2, 3, D),
    "LearnedPositions": lambda m: layer(m.LearnedPositions(8, D, rng=_rng()), 2, 3, D, start=2),
    "Embedding word dropout": lambda m: layer(m.Embedding(6, D, word_dropout=0.4, rng=_rng()), x=IDS, seed=3),
    "LearnedPositions twice": lambda m: layer(Twice(m.LearnedPositions(8, D, rng=_rng())), 2, 3, D),
    "Dropout": lambda m: layer(m.Dropout(0.4), 2, 3, D, seed=1),
    "FeedForward": feed_forward,
    "FeedForward gelu": lambda m: feed_forward(m, "gelu"),
    "MultiHeadAttention": multi_head,
    "MultiHeadAttention memory": lambda m: multi_head(m, memory=_draw(2, 4, D)),
    "MultiHeadAttention square": lambda m: multi_head(m, memory=_draw(2, 3, D, seed=1)),
    "Residual pre": lambda m: residual(m, "pre"),
    "Residual post": lambda m: residual(m, "post"),
    "GatedFeedForward": lambda m: layer(m.GatedFeedForward(D, F, dropout=0.2, rng=_rng()), 2, 3, D, seed=1),
    "MultiHeadAttention rotary": lambda m: multi_head(m, rotary=Rotary(2, base=2.0)),
    "RelativePositionBias": relative_bias,
    "Block": block,
    "Block post": lambda m: block(m, "post"),
    "DecoderBlock": decoder_block,
    "DecoderBlock post": lambda m: decoder_block(m, "post"),
    "Stack": lambda m: stack(m, 1),
    "Stack of BERT": bert_stack,
    "Transform": lambda m: head(m, "words"),
    "PooledHead": lambda m: head(m, "text"),
    "HiddenWords loss": bert_loss,
    "TextClassesNextToken loss": auxiliary_loss,
    "Stack with a memory": lambda m: stack(m, 2, others=[_draw(2, 5, 4)], pattern=CAUSAL, reads_memory=True),
    "Transformer loss": transformer_loss,
}
