"""GPT: causal blocks over token and position embeddings (Radford et al. 2019, as nanoGPT writes it)."""

import math

import numpy as np

from tinytx.layers import Embedding, LayerNorm, LearnedPositions
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.models.stacks import Stack, make_blocks
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.settings import Settings, setting


class GPTConfig(Settings):
    """What a GPT is made of."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(64, "tokens in the longest sequence (GPT-2's n_ctx, nanoGPT's block_size)", minimum=1)
    d_model: int = setting(128, "width of the model, D", minimum=1)
    n_heads: int = setting(4, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(4, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    dropout: float = setting(
        0.0, "dropout of embeddings, attention weights and each part's output in training", minimum=0, below=1, free=True
    )
    tied_head: bool = setting(True, "whether the output layer uses the embedding's table")
    norm_order: str = setting(
        "pre", "layer norm before each part (GPT-2, with one more at the end) or after it (GPT-1)", choices=NORM_ORDERS
    )
    activation: str = setting("gelu_tanh", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)


class GPT(Stack):
    """A stack of causal blocks over token and position embeddings: ids to a vector for each position.

    Parameters
    ----------
    config : GPTConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02); those that write into the residual stream are scaled by 1/sqrt(2 n_layers), so
        that its variance does not grow with depth.
    dtype : float32 or float64

    Examples
    --------
    >>> body = GPT(GPTConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 128)
    """

    init = staticmethod(normal(0.02))

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, draw = config.d_model, {"rng": rng, "dtype": dtype, "init": self.init}
        token, position = Embedding(config.vocab_size, d, **draw), LearnedPositions(config.max_len, d, **draw)
        draw["init_output"] = normal(0.02 / math.sqrt(2 * config.n_layers))
        super().__init__(
            token,
            make_blocks(config, config.n_layers, pattern=CAUSAL, **draw),
            position=position,
            norm=LayerNorm(d, dtype=dtype) if config.norm_order == "pre" else None,
            dropout=config.dropout,
            max_len=config.max_len,
            name="GPT: ids",
        )

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None where it has its own."""
        return self.token.weight if self.config.tied_head else None
