"""T5, the text-to-text transformer (Raffel et al. 2019, arXiv:1910.10683), in both versions.

It is a `Transformer` with these differences. Position vectors are not added to words. Instead, a bias that depends on
the distance between two words is added to attention's scores; all blocks of a stack use the same table of biases
(`tinytx.layers.RelativePositionBias`). The norm is an RMS norm, before each part and at the end of each stack. Linear
maps have no biases. Embeddings are not multiplied by sqrt(D). Scores are not divided by sqrt(K); instead, the queries'
matrix starts smaller. Sources and targets share one vocabulary and one embedding table.

Version 1 has a ReLU; its output layer uses the embedding table, and its input is multiplied by 1/sqrt(D). Version 1.1
(`T5Config.v1_1`) has a gated GELU (Shazeer 2020, arXiv:2002.05202) and an output layer with its own matrix.
"""

import numpy as np

from tinytx.layers import (
    Block,
    DecoderBlock,
    DotProduct,
    Dropout,
    Embedding,
    FeedForward,
    GatedFeedForward,
    MultiHeadAttention,
    RelativePositionBias,
    Residual,
    RMSNorm,
    Scale,
    Sequential,
)
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_special_ids
from tinytx.models.stacks import Stack
from tinytx.models.transformer import Transformer
from tinytx.ops.attention_patterns import CAUSAL, FULL
from tinytx.ops.gate import GATES
from tinytx.settings import Settings, setting


class T5Config(Settings):
    """What a T5 is made of; the defaults are version 1, small."""

    vocab_size: int = setting(help="number of tokens, V, of sources and targets together", minimum=1)
    d_model: int = setting(512, "width of the model, D", minimum=1)
    n_heads: int = setting(8, "attention heads, H", minimum=1)
    d_key: int = setting(64, "width of each head, K", minimum=1)
    d_ff: int = setting(2048, "width inside the feed-forward layers", minimum=1)
    n_encoder_layers: int = setting(6, "blocks of the encoder", minimum=1, maximum=MOST_LAYERS)
    n_decoder_layers: int = setting(6, "blocks of the decoder", minimum=1, maximum=MOST_LAYERS)
    max_len: int = setting(512, "tokens in the longest source, and in the longest input of the decoder", minimum=1)
    n_buckets: int = setting(
        32, "buckets of distances, each with a learned bias for each head", minimum=4, maximum=1024
    )
    max_distance: int = setting(128, "distance from which on all distances are in one bucket", minimum=2)
    dropout: float = setting(
        0.1, "dropout of embeddings, attention weights, inner activations and outputs in training", minimum=0, below=1,
        free=True,
    )  # fmt: skip
    activation: str = setting("relu", "function inside the feed-forward layers", choices=sorted(GATES))
    gated: bool = setting(False, "whether the feed-forward layers have a gate (version 1.1)")
    tied_head: bool = setting(True, "whether the output layer uses the embedding's table (version 1)")
    scaled_head: bool | None = setting(
        None, "whether vectors are multiplied by 1/sqrt(D) before the output layer; as tied_head if not given"
    )
    eps: float = setting(1e-6, "epsilon of every norm", above=0, below=1)
    pad_id: int = setting(0, "id of padding", minimum=0)
    start_id: int = setting(0, "id of the token before a target's first word; T5's own is that of padding", minimum=0)
    stop_id: int = setting(1, "id of the token after a target's last word", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id", "stop_id"), self.vocab_size)
        check_special_ids(self, ("start_id", "stop_id"), self.vocab_size)

    @classmethod
    def v1_1(cls, vocab_size, **changes):
        """Return the config of the small version 1.1, without dropout, as it was pre-trained."""
        settings = {"d_ff": 1024, "n_heads": 6, "n_encoder_layers": 8, "n_decoder_layers": 8, "dropout": 0.0}
        return cls(vocab_size, **settings | {"activation": "gelu_tanh", "gated": True, "tied_head": False} | changes)

    @property
    def scales_head(self):
        """Whether vectors are multiplied by 1/sqrt(D) before the output layer."""
        return self.tied_head if self.scaled_head is None else self.scaled_head

    @property
    def source_vocab_size(self):
        """The same as ``vocab_size``: sources and targets have one vocabulary."""
        return self.vocab_size

    target_vocab_size = source_vocab_size


class T5(Transformer):
    """An encoder and a decoder: they turn source ids and target ids into one vector for each position of the target.

    Parameters
    ----------
    config : T5Config
    rng : numpy.random.Generator
        Weights are normal. The standard deviation is 1 for embeddings, 1/sqrt(D K) for the queries' matrices,
        1/sqrt(d_in) for all other matrices, and 1/sqrt(D) for the biases of distances.
    dtype : float32 or float64

    Examples
    --------
    >>> config = T5Config(20, d_model=16, n_heads=2, d_key=8, d_ff=32, n_encoder_layers=1, n_decoder_layers=1)
    >>> body = T5(config, rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7), np.full((2, 3), 8)).shape
    (2, 3, 16)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, self.init = config, normal(config.d_model**-0.5)
        d, draw = config.d_model, {"rng": rng, "dtype": dtype}
        token = Embedding(config.vocab_size, d, init=normal(1.0), **draw)

        def residual(f):
            return Residual(f, RMSNorm(d, eps=config.eps, dtype=dtype), dropout=config.dropout)

        def attention(pattern=FULL):
            h, k = config.n_heads, config.d_key
            core = DotProduct(pattern=pattern, dropout=config.dropout, scale=1.0)
            init = {"init": self.init, "init_output": normal((h * k) ** -0.5)}
            made = MultiHeadAttention(d, h, d_key=k, core=core, bias=False, **init, **draw)
            made.query.weight.data *= made.query.weight.data.dtype.type(k**-0.5)
            return residual(made)

        def feed_forward():
            options = {"activation": config.activation, "dropout": config.dropout, **draw}
            options |= {"init": self.init, "init_output": normal(config.d_ff**-0.5)}
            if config.gated:
                return residual(GatedFeedForward(d, config.d_ff, **options))
            return residual(FeedForward(d, config.d_ff, bias=False, **options))

        def stack(blocks, name, *last, two_sided):
            buckets = {"n_buckets": config.n_buckets, "max_distance": config.max_distance, "two_sided": two_sided}
            return Stack(
                token,
                blocks,
                relative=RelativePositionBias(config.n_heads, init=self.init, **buckets, **draw),
                norm=Sequential(RMSNorm(d, eps=config.eps, dtype=dtype), Dropout(config.dropout), *last),
                dropout=config.dropout,
                max_len=config.max_len,
                name=f"T5: {name}",
            )

        blocks = [Block(attention(), feed_forward()) for _ in range(config.n_encoder_layers)]
        self.encoder = stack(blocks, "source", two_sided=True)
        blocks = [
            DecoderBlock(attention(CAUSAL), attention(), feed_forward()) for _ in range(config.n_decoder_layers)
        ]
        scaled = [Scale(d**-0.5)] if config.scales_head else []
        self.decoder = stack(blocks, "target", *scaled, two_sided=False)

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.decoder.token.weight if self.config.tied_head else None
