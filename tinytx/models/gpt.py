"""GPT: causal blocks over token and position embeddings (Radford et al. 2019, written as in nanoGPT).

A GPT reads words from left to right and, at each place, makes a vector that tells the next word. With w_t the words of a
text, E the table of words (V, D), P that of positions (max_len, D), and n a layer norm, each with weights of its own,

    x_0 = E[w] + P                                          (1)
    a_l = x_{l-1} + attention(n(x_{l-1}))                   (2)
    x_l = a_l + W2 gelu(W1 n(a_l) + b1) + b2,  l = 1 .. L   (3)

and the body returns n(x_L). In (2) a word attends to itself and to the words before it. `tinytx.tasks.NextToken` multiplies
the vectors by E^T, which are the logits of the next words, and takes their cross-entropy.

By default the parts are those of GPT-2. `GPTConfig.gpt1` is the first GPT (Radford et al. 2018): a norm follows each
part, there is none at the end, and all matrices start with the same standard deviation. If ``windows`` is "all,256",
dense and banded blocks alternate, as in GPT-3 (Brown et al. 2020, arXiv:2005.14165) and GPT-Neo.
"""

import math
import re

import numpy as np

from tinytx.layers import DotProduct, Embedding, LayerNorm, LearnedPositions
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.models.stacks import Stack, make_blocks
from tinytx.ops.attention_patterns import CAUSAL, Band
from tinytx.pretrained import Pretrained
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
    embedding_dropout: float | None = setting(
        None, "dropout of the sum of the embeddings; as dropout if not given", minimum=0, below=1, free=True
    )
    attention_dropout: float | None = setting(
        None, "dropout of attention weights; as dropout if not given", minimum=0, below=1, free=True
    )
    tied_head: bool = setting(True, "whether the output layer uses the embedding's table")
    norm_order: str = setting(
        "pre", "layer norm before each part (GPT-2, with one more at the end) or after it (GPT-1)", choices=NORM_ORDERS
    )
    windows: str | None = setting(
        None, "how many positions a word sees in each block, itself included; a list such as all,256 repeats over the "
        "blocks; all if not given", empty=False,
    )  # fmt: skip
    activation: str = setting("gelu_tanh", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-5, "epsilon of every layer norm", above=0, below=1)
    scaled_init: bool = setting(
        True, "whether matrices that write into the residual stream start smaller, by 1/sqrt(2 n_layers) (GPT-2)"
    )

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        patterns_of(self)

    @classmethod
    def gpt1(cls, vocab_size=40478, **changes):
        """Return the config of the first GPT, in its published size."""
        settings = {"max_len": 512, "d_model": 768, "n_heads": 12, "n_layers": 12, "dropout": 0.1}
        return cls(vocab_size, **settings | {"norm_order": "post", "scaled_init": False} | changes)


def patterns_of(config):
    """Return the n_layers attention patterns of the blocks: those of ``config.windows``, repeated.

    Raises
    ------
    ValueError
        If ``windows`` is not a list of numbers of at least 1, or "all", between commas.
    """
    windows = (config.windows or "all").split(",")
    wrong = [window for window in windows if window != "all" and not re.fullmatch("[1-9][0-9]{0,8}", window)]
    if wrong:
        raise ValueError(f"GPTConfig: windows is {config.windows!r:.60}, expected numbers of at least 1, or all, between commas")
    patterns = [CAUSAL if window == "all" else Band(int(window) - 1, 0) for window in windows]
    return [patterns[i % len(patterns)] for i in range(config.n_layers)]


class GPT(Pretrained, Stack):
    """A stack of causal blocks over token and position embeddings: it turns ids into one vector for each position.

    Parameters
    ----------
    config : GPTConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02). Matrices that write into the residual stream are multiplied by 1/sqrt(2 n_layers),
        so that its variance does not grow with depth, unless ``scaled_init`` is False.
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
        if config.scaled_init:
            draw["init_output"] = normal(0.02 / math.sqrt(2 * config.n_layers))
        options = {"attention_dropout": config.attention_dropout, "eps": config.eps}
        super().__init__(
            token,
            make_blocks(config, config.n_layers, pattern=patterns_of(config), core=self.core_maker(), **options, **draw),
            position=position,
            norm=LayerNorm(d, eps=config.eps, dtype=dtype) if config.norm_order == "pre" else None,
            dropout=config.dropout if config.embedding_dropout is None else config.embedding_dropout,
            max_len=config.max_len,
            name="GPT: ids",
        )

    def core_maker(self):
        """Return the function that makes the core of a block's attention."""
        return DotProduct

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.token.weight if self.config.tied_head else None
