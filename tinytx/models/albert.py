"""ALBERT: a BERT whose blocks all share one set of weights (Lan et al. 2019, arXiv:1909.11942).

There are four differences from `Bert`. Embeddings have the width E, and a linear map widens their sum to D: for the
words these are V E + E D numbers in place of V D. One block is called L times, or ``n_groups`` blocks L / n_groups
times each. The second loss is about order: did the second part of a text follow the first, or precede it?
(``HiddenWords(next_sentence=True)`` on `tinytx.data.sentence_order_pairs`.) The GELU is the tanh form, and there is no
dropout, as in the paper's second version.

With x_0 the widened vectors and f the block with parameters w,

    x_l = f(x_{l-1}, w), l = 1..L:   dw = sum_l (df(x_{l-1}, w)/dw)^T dx_l,   dx_{l-1} = (df(x_{l-1}, w)/dx)^T dx_l.     (1)

Every backward of a layer adds to its gradients, so the sum over calls in (1) needs no code of its own: the block is in
a list L times. There are fewer parameters than in BERT, and so fewer gradients and moments of an optimiser; the time
and the size of the tape are as for BERT. ``recompute`` makes the tape smaller, see `tinytx.models.stacks.Stack`.
"""

import numpy as np

from tinytx.layers import Embedding, LayerNorm, LearnedPositions, Linear
from tinytx.layers.init import normal
from tinytx.models.bert import Bert, BertConfig
from tinytx.models.config import check_heads, check_special_ids
from tinytx.models.stacks import Stack, make_blocks
from tinytx.settings import Settings, extended, setting

OTHERS = ("norm_order", "embedding_norm", "positions", "masks_padding", "feed_forward_dropout", "init")  # as in BERT's paper


class AlbertConfig(extended(Settings, BertConfig, without=OTHERS, dropout=0.0, activation="gelu_tanh")):
    """What an ALBERT is made of; the defaults are the paper's base model, in its second version."""

    d_embedding: int = setting(128, "width of the tables of words, segments and positions, E", minimum=1)
    n_groups: int = setting(1, "different blocks; layer l has number floor(l n_groups / n_layers)", minimum=1)

    norm_order, masks_padding = "post", True

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        check_special_ids(self, ("pad_id",), self.vocab_size)
        if self.n_groups > self.n_layers:
            raise ValueError(f"AlbertConfig: n_groups is {self.n_groups}, expected at most n_layers, {self.n_layers}")


class WideningStack(Stack):
    """A stack whose embeddings are narrower than its blocks.

    Parameters
    ----------
    *parts, **named_parts
        As for `Stack`.
    widen : Linear
        (B, T, E) -> (B, T, D), after the embeddings' norm and dropout.
    """

    def __init__(self, *parts, widen, **named_parts):
        super().__init__(*parts, **named_parts)
        self.widen = widen

    def _embed(self, ids, segments, places, start, tape):
        return self.widen(super()._embed(ids, segments, places, start, tape), tape)

    def _embed_backward(self, dx, tape):
        super()._embed_backward(self.widen.backward(dx, tape), tape)


class Albert(Bert):
    """An encoder of texts in one or two parts, as `Bert`: it turns ids into one vector for each position.

    Parameters
    ----------
    config : AlbertConfig
    rng : numpy.random.Generator
        Matrices and embeddings are normal(0, 0.02).
    dtype : float32 or float64

    Attributes
    ----------
    blocks : list of Block
        The ``n_groups`` different blocks; ``encoder.blocks`` lists n_layers of them, in the order of their calls.

    Examples
    --------
    >>> body = Albert(AlbertConfig(20, d_embedding=4, d_model=16, n_heads=2, n_layers=3), rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7)).shape, len(body.blocks), len(body.encoder.blocks)
    ((2, 5, 16), 1, 3)
    """

    init, draws_biases = staticmethod(normal(0.02)), False

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        e, eps, draw = config.d_embedding, config.eps, {"rng": rng, "dtype": dtype, "init": self.init}
        self.blocks = make_blocks(config, config.n_groups, attention_dropout=config.attention_dropout, eps=eps, **draw)
        self.encoder = WideningStack(
            Embedding(config.vocab_size, e, **draw),
            [self.blocks[i * config.n_groups // config.n_layers] for i in range(config.n_layers)],
            segment=Embedding(config.n_segments, e, **draw) if config.n_segments else None,
            position=LearnedPositions(config.max_len, e, **draw),
            embedding_norm=LayerNorm(e, eps=eps, dtype=dtype),
            widen=Linear(e, config.d_model, **draw),
            dropout=config.dropout if config.embedding_dropout is None else config.embedding_dropout,
            recompute=config.recompute,
            max_len=config.max_len,
            name="Albert: ids",
        )
