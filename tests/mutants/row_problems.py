"""More problems for `by_gradcheck`: what normalises, cuts, moves and sorts rows."""

import numpy as np

from mutants.problems import _draw, _rng, _sampled, layer, pair
from tinytx.layers import FeedForward
from tinytx.layers.init import normal
from tinytx.models import ViTConfig


def vit(m, **options):
    """All of a ViT, by its parameters and by the pixels."""
    sizes = {"image_size": 4, "patch_size": 2, "n_channels": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 5}
    return _sampled(layer(m.ViT(ViTConfig(**sizes | options), rng=_rng()), 2, 4, 4, 2))


LOGITS = 3.0 * np.random.default_rng(0).permuted(np.tile(np.arange(4.0), (2, 3, 1)), axis=-1) / 4 + 0.1 * _draw(2, 3, 4)  # far from ties
CHOSEN = np.random.default_rng(1).integers(0, 4, (2, 3, 2))
SLOTS = np.array([4, 0, 4, 5, 1])
MEETING = np.random.default_rng(2).integers(0, 3, (1, 2, 2, 6))  # buckets
SPELLED = np.array([[[1, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0]], [[4, 3, 1, 0], [2, 7, 5, 6], [0, 0, 0, 0]]])
ASKED, LABELS = [[0, 2, -1], [2, 2, 1]], [[1, 0, 1], [0, 1, 0]]


def mixture(m):
    """Random weights are large, so no small step changes which experts are chosen."""
    experts = [FeedForward(4, 5, activation="gelu", rng=_rng()) for _ in range(3)]
    return layer(m.MixtureOfExperts(4, experts, renormalise=False, rng=_rng()), 2, 3, 4)


def reversible(m):
    """Two pairs, with dropout."""
    pairs = [(FeedForward(4, 5, activation="gelu", rng=_rng(), dropout=0.3), FeedForward(4, 6, activation="gelu", rng=_rng())) for _ in range(2)]
    return layer(m.ReversibleStack(pairs), 2, 3, 4, seed=1)


def batch_norm(m, mask=None):
    """With the batch's own statistics."""
    arrays = _draw(2, 3, 4), _draw(4), _draw(4, seed=1)
    return pair(lambda x, w, b: m.batch_norm(x, w, b, mask=mask), lambda dy, saved: m.batch_norm_backward(dy, saved)[:3], *arrays)



def sparse(m, **settings):
    """Two heads of queries for each of keys; five places."""
    arrays = _draw(1, 4, 5, 3), _draw(1, 2, 5, 3, seed=1), _draw(1, 2, 5, 3, seed=2)
    return pair(lambda *inputs: m.sparse_attention(*inputs, **settings), m.sparse_attention_backward, *arrays)


PROBLEMS = {
    "batch_norm": batch_norm,
    "batch_norm padded": lambda m: batch_norm(m, np.array([[True, True, False], [True, False, True]])),
    "batch_norm population": lambda m: pair(
        m.batch_norm, m.batch_norm_backward, *(_draw(*shape, seed=n) for n, shape in enumerate(((2, 3, 4), (4,), (4,), (4,)))), 1 + _draw(4) ** 2
    ),
    "ReversibleStack": reversible,
    "BatchNorm": lambda m: layer(m.BatchNorm(4), 2, 3, 4),
    "patches": lambda m: pair(lambda x: m.patches(x, 2), m.patches_backward, _draw(2, 4, 6, 3)),
    "patches square": lambda m: pair(lambda x: m.patches(x, 2), m.patches_backward, _draw(2, 4, 4, 2)),
    "conv1d": lambda m: pair(
        lambda x, w, b: m.conv1d(x, w, b, left=1, right=2, step=2), m.conv1d_backward, _draw(2, 5, 3), _draw(3, 3, 4), _draw(4)
    ),
    "conv1d square": lambda m: pair(m.conv1d, m.conv1d_backward, _draw(2, 4, 3), _draw(2, 3, 3)),
    "compress square": lambda m: pair(m.compress, m.compress_backward, _draw(2, 2, 4, 3), _draw(2, 4, 4)),
    "compress padding": lambda m: pair(
        lambda x, e: m.compress(x, e, mask=np.arange(4) < [[4], [2]]), m.compress_backward, _draw(2, 3, 4, 2), _draw(3, 5)
    ),
    "lsh_attention": lambda m: pair(
        lambda q, k, v: m.lsh_attention(q, k, v, MEETING, chunk=2, scale=0.7), m.lsh_attention_backward, *(_draw(1, 2, 6, 3, seed=n) for n in range(3))
    ),
    "HashedSelfAttention": lambda m: layer(m.HashedSelfAttention(4, 2, n_buckets=2, chunk=3, rng=_rng()), 2, 3, 4),
    "sparse_attention": lambda m: sparse(m, kind="strided", stride=2),
    "sparse_attention fixed": lambda m: sparse(m, kind="fixed", stride=3, n_ends=2),
    "pair_sum square": lambda m: pair(m.pair_sum, m.pair_sum_backward, _draw(2, 3, 4), _draw(2, 3, 4, seed=1)),
    "Pairs": lambda m: layer(m.Pairs(4, 5, rng=_rng()), 2, 3, 4),
    "gelu_linear": lambda m: pair(m.gelu_linear, m.gelu_linear_backward, _draw(2, 3, 4), _draw(4, 4, seed=1), _draw(4)),
    "gelu_linear exact": lambda m: pair(
        lambda x, w, b: m.gelu_linear(x, w, b, "gelu"), m.gelu_linear_backward, _draw(2, 3, 4), _draw(4, 5), _draw(5)
    ),
    "FeedForward in one call": lambda m: layer(m.FeedForward(4, 5, rng=_rng()), 2, 3, 4),
    "maxout": lambda m: pair(m.maxout, m.maxout_backward, _draw(2, 3, 8)),
    "Maxout": lambda m: layer(m.Maxout(), 2, 3, 8),
    "prepend": lambda m: pair(m.prepend, m.prepend_backward, _draw(2, 3, 4), _draw(2, 4, seed=1)),
    "PatchEmbedding": lambda m: layer(m.PatchEmbedding(2, 3, 4, rng=_rng(), init=normal(1.0)), 2, 4, 6, 3),
    "Highway": lambda m: layer(m.Highway(4, rng=_rng()), 2, 3, 4),
    "CharacterWords": lambda m: layer(m.CharacterWords(8, 3, 4, 5, n_widths=3, rng=_rng()), x=SPELLED),
    "ClassToken": lambda m: layer(m.ClassToken(4, rng=_rng()), 2, 3, 4),
    "ViT": vit,
    "route": lambda m: pair(lambda x: m.route(x, 2), m.route_backward, LOGITS),
    "route as they are": lambda m: pair(lambda x: m.route(x, 2, renormalise=False), m.route_backward, LOGITS),
    "balance": lambda m: pair(lambda x: m.balance(x, CHOSEN), m.balance_backward, _draw(2, 3, 4)),
    "add_rows": lambda m: pair(lambda x, w: m.add_rows(x, w, SLOTS), m.add_rows_backward, _draw(5, 4), _draw(3, 2)),
    "glove_loss": lambda m: pair(
        lambda *tables: m.glove_loss(*tables, [0, 2, 0], [1, 1, 0], np.array([0.5, 2.0, 3.0]), x_max=2.5),
        m.glove_loss_backward, _draw(3, 4), _draw(2, 4, seed=1), _draw(3), _draw(2, seed=1),
    ),  # fmt: skip
    "logistic_rows": lambda m: pair(
        lambda h, table: m.logistic_rows(h, table, ASKED, LABELS), m.logistic_rows_backward, _draw(2, 4), _draw(3, 4)
    ),
    "MixtureOfExperts": lambda m: mixture(m),
}
