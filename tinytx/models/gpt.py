"""GPT: causal blocks over token and position embeddings (Radford et al. 2019, as nanoGPT writes it)."""

import math

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Block, Dropout, Embedding, LayerNorm, LearnedPositions
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
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


class GPT(Layer):
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
        d = config.d_model
        self.token = Embedding(config.vocab_size, d, rng=rng, dtype=dtype, init=self.init)
        self.position = LearnedPositions(config.max_len, d, rng=rng, dtype=dtype, init=self.init)
        self.dropout = Dropout(config.dropout)
        self.blocks = [
            Block(
                d,
                config.n_heads,
                config.d_ff or 4 * d,
                causal=True,
                dropout=config.dropout,
                norm_order=config.norm_order,
                activation=config.activation,
                rng=rng,
                dtype=dtype,
                init=self.init,
                init_output=normal(0.02 / math.sqrt(2 * config.n_layers)),
            )
            for _ in range(config.n_layers)
        ]
        self.norm = LayerNorm(d, dtype=dtype) if config.norm_order == "pre" else None

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None where it has its own."""
        return self.token.weight if self.config.tied_head else None

    def forward(self, ids, tape=None, *, state=None):
        """Return what the blocks make of each position.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        state : State, optional
            Holds the positions before ``ids``, which are added to it.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, or the positions exceed ``max_len``.
        """
        ids = np.asarray(ids)
        start = state.length if state is not None else 0
        if ids.ndim != 2 or ids.size == 0 or start + ids.shape[1] > self.config.max_len:
            raise ValueError(
                f"GPT: ids have shape {ids.shape} after {start} cached positions, expected (B, T), at least (1, 1), and "
                f"at most max_len = {self.config.max_len} positions in all"
            )
        x = self.position(self.token(ids, tape), tape, start=start)  # (B, T, D)
        x = self.dropout(x, tape)
        for block in self.blocks:
            x = block(x, tape, state=state)
        return self.norm(x, tape) if self.norm else x

    def backward(self, dx, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        if self.norm:
            dx = self.norm.backward(dx, tape)
        for block in reversed(self.blocks):
            dx = block.backward(dx, tape)
        dx = self.dropout.backward(dx, tape)
        self.token.backward(self.position.backward(dx, tape), tape)
