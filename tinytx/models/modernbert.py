"""ModernBERT: an encoder made of the parts of today's decoders (Warner et al. 2024, arXiv:2412.13663).

There are six differences from `Bert`. Position vectors are not added to words: queries and keys are rotated by angles
that grow with the position. Two of three blocks are local: a word sees ``window`` / 2 words on each side. Only every
``global_every``-th block, the first among them, sees the whole text, and its rotations are slower (``rope_base``).
Feed-forward layers have a gate, with a GELU. A norm stands before each part, not after it; the first block's attention
has none, because the norm of the embeddings is just before it; one more norm stands at the end. Linear maps and norms
have no biases. There are no segments.
"""

import math

import numpy as np

from tinytx.layers import (
    Block,
    DotProduct,
    Embedding,
    GatedFeedForward,
    LayerNorm,
    MultiHeadAttention,
    Residual,
    Rotary,
    Sequential,
    padding_mask,
)
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads, check_special_ids
from tinytx.models.stacks import Stack
from tinytx.ops.attention_patterns import FULL, Band
from tinytx.ops.gate import GATES
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting


class ModernBertConfig(Settings):
    """What a ModernBERT is made of; the defaults are the paper's base model."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(8192, "tokens in the longest text", minimum=1)
    d_model: int = setting(768, "width of the model, D", minimum=1)
    n_heads: int = setting(12, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(22, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers, F; 3/2 D if not given", minimum=1)
    window: int = setting(128, "words that a local block sees, half of them on each side, beside the word itself", minimum=0)
    global_every: int = setting(3, "every n-th block sees the whole text, beginning with the first", minimum=1)
    rope_base: float = setting(160_000.0, "base of the rotary positions where the whole text is seen", minimum=1)
    rope_base_local: float = setting(10_000.0, "base of the rotary positions in local blocks", minimum=1)
    activation: str = setting("gelu", "function of the gates", choices=sorted(GATES))
    eps: float = setting(1e-5, "epsilon of every norm", above=0, below=1)
    pad_id: int = setting(0, "id of padding, which attention masks", minimum=0)
    dropout: float = setting(0.0, "dropout of attention weights and each part's output in training", minimum=0, below=1, free=True)
    embedding_dropout: float = setting(0.0, "dropout of the embedded words", minimum=0, below=1, free=True)
    feed_forward_dropout: float = setting(0.0, "dropout inside the feed-forward layers", minimum=0, below=1, free=True)
    recompute: int = setting(
        0, "blocks that are computed a second time in backward together, to save memory; 0 for none; 1 saves most where there "
        "are fewer than about 28 blocks, and more of them together where there are more",
        minimum=0, free=True,
    )  # fmt: skip

    bias = False  # of linear maps and norms, a head's too

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        check_special_ids(self, ("pad_id",), self.vocab_size)
        if self.d_model // self.n_heads % 2:
            width = self.d_model // self.n_heads
            raise ValueError(f"ModernBertConfig: the width of a head is {width}, expected an even number: pairs are turned")

    @property
    def inner_width(self):
        """The width F inside the feed-forward layers."""
        return -(-3 * self.d_model // 2) if self.d_ff is None else self.d_ff


class ModernBert(Pretrained, Stack):
    """An encoder of texts: it turns ids into one vector for each position.

    Parameters
    ----------
    config : ModernBertConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02). Matrices that write into the residual stream are multiplied by 1/sqrt(2 n_layers).
    dtype : float32 or float64

    Examples
    --------
    >>> config = ModernBertConfig(20, d_model=16, n_heads=2, n_layers=3)
    >>> body = ModernBert(config, rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7)).shape
    (2, 5, 16)
    """

    init = staticmethod(normal(0.02))

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, p, draw = config.d_model, config.dropout, {"rng": rng, "dtype": dtype, "init": self.init}
        token, half = Embedding(config.vocab_size, d, **draw), config.window // 2
        draw["init_output"] = normal(0.02 / math.sqrt(2 * config.n_layers))
        inner = {"activation": config.activation, "dropout": config.feed_forward_dropout}
        whole, local = (Rotary(d // config.n_heads, base=base) for base in (config.rope_base, config.rope_base_local))

        def norm():
            return LayerNorm(d, eps=config.eps, bias=config.bias, dtype=dtype)

        def block(i):
            pattern, rotary = (Band(half, half), local) if i % config.global_every else (FULL, whole)
            core = DotProduct(pattern=pattern, dropout=p)
            attention = MultiHeadAttention(d, config.n_heads, core=core, rotary=rotary, bias=config.bias, **draw)
            feed_forward = GatedFeedForward(d, config.inner_width, **inner, **draw)
            first = norm() if i else Sequential()  # the identity: the embeddings' norm is just before
            return Block(Residual(attention, first, dropout=p), Residual(feed_forward, norm(), dropout=p))

        super().__init__(
            token,
            [block(i) for i in range(config.n_layers)],
            embedding_norm=norm(),
            norm=norm(),
            dropout=config.embedding_dropout,
            recompute=config.recompute,
            max_len=config.max_len,
            name="ModernBert: ids",
        )

    @property
    def output_table(self):
        """The parameter (V, D) that an output layer may share."""
        return self.token.weight

    def forward(self, ids, tape=None):
        """Return a vector for each word, which depends on its text: ids (B, T) -> (B, T, D)."""
        ids = np.asarray(ids)
        mask = padding_mask(ids, self.config.pad_id) if ids.ndim == 2 else None  # the stack refuses other shapes
        return super().forward(ids, tape=tape, mask=mask)
