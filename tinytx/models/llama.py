"""Llama: the decoder of most language models since 2023 (Touvron et al. 2023, arXiv:2302.13971).

It is a `GPT` with six differences. Position vectors are not added to words: queries and keys are rotated by angles that
grow with the position (`tinytx.layers.Rotary`). The norm is an RMS norm. The feed-forward layers have a gate, with a
SiLU. Linear maps have no biases. Several heads of queries may share a head of keys and values (``n_kv_heads``, from
Llama 2 on). The output layer has its own matrix.

Some settings make other models of it: ``window`` makes Mistral (Jiang et al. 2023, arXiv:2310.06825), ``qkv_bias``
Qwen2, and ``rope_factor`` Llama 3.1. With ``rope_share`` only a part of each head's numbers is rotated, as in Phi-3 and
GLM-4; GLM-4 also has ``rope_neighbours``. With ``n_experts`` feed-forward layers in each block, of which each token
uses ``n_chosen``, it is Mixtral (Jiang et al. 2024, arXiv:2401.04088).
"""

import math

import numpy as np

from tinytx.layers import (
    Block,
    DotProduct,
    Embedding,
    GatedFeedForward,
    MixtureOfExperts,
    MultiHeadAttention,
    Residual,
    RMSNorm,
    Rotary,
)
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.models.stacks import Stack
from tinytx.ops.attention_patterns import CAUSAL, Band
from tinytx.ops.gate import GATES
from tinytx.ops.rotate import SCALINGS
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting


class LlamaConfig(Settings):
    """What a Llama is made of; the defaults are a small one."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(256, "tokens in the longest sequence", minimum=1)
    d_model: int = setting(128, "width of the model, D", minimum=1)
    n_heads: int = setting(4, "heads of queries, H", minimum=1)
    n_kv_heads: int | None = setting(None, "heads of keys and values, G, a divisor of H; H if not given", minimum=1)
    d_key: int | None = setting(None, "width of each head, K, an even number; D / H if not given", minimum=2)
    n_layers: int = setting(4, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(
        None, "width inside the feed-forward layers; 8/3 D if not given, rounded up to a multiple of 32", minimum=1
    )
    window: int | None = setting(None, "positions that a word sees, itself included; all if not given", minimum=1)
    activation: str = setting("silu", "function of the gates", choices=sorted(GATES))
    rope_base: float = setting(
        10000.0, "of n turned numbers, pair i turns by base^(-2i/n) radians for each position", minimum=1
    )
    rope_share: float = setting(1.0, "share of each head's numbers that are turned, the first ones", above=0, maximum=1)
    rope_neighbours: bool = setting(False, "whether pairs are neighbours, not the i-th numbers of two halves")
    rope_factor: float | None = setting(
        None, "divisor of the slow pairs' frequencies, for texts longer than in training (8 in Llama 3.1)", minimum=1
    )
    rope_scaling: str = setting("llama3", "for rope_factor: how slow pairs are found; linear: all", choices=SCALINGS)
    rope_scale: float | None = setting(
        None, "factor of turned numbers; if not given, 0.1 ln(rope_factor) + 1 with yarn, and otherwise 1", above=0
    )
    rope_low: float = setting(1.0, "pairs that turn fewer times in rope_length positions are slow", above=0)
    rope_high: float = setting(4.0, "pairs that turn more times in rope_length positions do not change", above=0)
    rope_length: int = setting(8192, "positions in a text of the training, for rope_factor", minimum=1)
    qkv_bias: bool = setting(False, "whether the maps to queries, keys and values have a bias")
    eps: float = setting(1e-5, "epsilon of every norm", above=0, below=1)
    dropout: float = setting(
        0.0, "dropout of embeddings, attention weights and each part's output in training", minimum=0, below=1, free=True
    )
    n_experts: int | None = setting(
        None, "feed-forward layers in each block, of which a token uses n_chosen; one for all if not given", minimum=1
    )
    n_chosen: int = setting(2, "experts that each token uses, for n_experts", minimum=1, free=True)
    balance: float = setting(0.01, "factor of each layer's balance of experts in the loss", minimum=0, free=True)
    tied_head: bool = setting(False, "whether the output layer uses the embedding's table")

    def __post_init__(self):
        super().__post_init__()
        if self.d_key is None:
            check_heads(self)
        if self.turned_width % 2 or not self.turned_width:
            facts = f"{self.turned_width} numbers of a head are turned, of {self.key_width} with rope_share {self.rope_share:g}"
            raise ValueError(f"LlamaConfig: {facts}; expected an even number above 0: pairs are turned")
        if self.n_kv_heads and self.n_heads % self.n_kv_heads:
            raise ValueError(f"LlamaConfig: n_kv_heads is {self.n_kv_heads}, expected a divisor of n_heads, {self.n_heads}")
        if self.n_experts and self.n_chosen > self.n_experts:
            raise ValueError(f"LlamaConfig: n_chosen is {self.n_chosen}, expected at most n_experts, {self.n_experts}")
        if self.rope_factor and self.rope_low >= self.rope_high:
            raise ValueError(f"LlamaConfig: rope_low is {self.rope_low}, expected less than rope_high, {self.rope_high}")

    @property
    def key_width(self):
        """The width K of each head."""
        return self.d_model // self.n_heads if self.d_key is None else self.d_key

    @property
    def turned_width(self):
        """The number of each head's numbers that are turned by rotary positions."""
        return int(self.key_width * self.rope_share)

    @property
    def inner_width(self):
        """The width F of the feed-forward layers. Three maps to or from 8/3 D have as many weights as two with 4 D."""
        return -(-8 * self.d_model // 96) * 32 if self.d_ff is None else self.d_ff


def make_rotary(config):
    """Return the layer of rotary positions that the settings ``rope_...`` describe."""
    scaling, scale = None, config.rope_scale or 1.0
    if config.rope_factor:
        bounds = () if config.rope_scaling == "linear" else (config.rope_low, config.rope_high, config.rope_length)
        scaling = config.rope_scaling, config.rope_factor, *bounds
        if config.rope_scaling == "yarn" and config.rope_scale is None:
            scale = 0.1 * math.log(config.rope_factor) + 1
    options = {"scaling": scaling, "scale": scale, "neighbours": config.rope_neighbours}
    return Rotary(config.turned_width, base=config.rope_base, **options)


class Llama(Pretrained, Stack):
    """A stack of causal blocks over embedded tokens: it turns ids into one vector for each position.

    Parameters
    ----------
    config : LlamaConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02). Matrices that write into the residual stream are multiplied by 1/sqrt(2 n_layers),
        as in GPT-2.
    dtype : float32 or float64

    Examples
    --------
    >>> body = Llama(LlamaConfig(vocab_size=65, n_kv_heads=2), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 128)
    """

    init = staticmethod(normal(0.02))

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, draw = config.d_model, {"rng": rng, "dtype": dtype, "init": self.init}
        token = Embedding(config.vocab_size, d, **draw)
        draw["init_output"] = normal(0.02 / math.sqrt(2 * config.n_layers))
        frame = {
            "n_kv_heads": config.n_kv_heads,
            "d_key": config.key_width,
            "rotary": make_rotary(config),
            "bias": config.qkv_bias,
            "output_bias": False,
        }
        pattern = Band(config.window - 1, 0) if config.window else CAUSAL

        def residual(f):
            return Residual(f, RMSNorm(d, eps=config.eps, dtype=dtype), dropout=config.dropout)

        def expert():
            return GatedFeedForward(d, config.inner_width, activation=config.activation, **draw)

        def feed_forward():
            if not config.n_experts:
                return expert()
            experts = [expert() for _ in range(config.n_experts)]
            return MixtureOfExperts(d, experts, n_chosen=config.n_chosen, rng=rng, dtype=dtype, init=self.init)

        def block():
            core = DotProduct(pattern=pattern, dropout=config.dropout)
            attention = MultiHeadAttention(d, config.n_heads, core=core, **frame, **draw)
            return Block(residual(attention), residual(feed_forward()))

        super().__init__(
            token,
            [block() for _ in range(config.n_layers)],
            norm=RMSNorm(d, eps=config.eps, dtype=dtype),
            dropout=config.dropout,
            max_len=config.max_len,
            name="Llama: ids",
        )

    @property
    def penalises(self):
        """Whether layers report a penalty to the task, which adds it to its loss: the balance of experts."""
        return bool(self.config.n_experts and self.config.balance)

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.token.weight if self.config.tied_head else None
