"""Transformer-XL: a transformer that reads a text in segments and remembers (Dai et al. 2019, arXiv:1901.02860).

It is a `GPT` with these differences. Each block remembers its inputs of the last M words, and attends to them and to
the segment that it reads (`tinytx.layers.SegmentMemory`). No vectors of positions are added to words: attention's scores
tell keys apart by their distance (`tinytx.layers.Relative`), because a word of the memory has no position that keeps its
meaning. A norm follows each part; there is none before it. Linear maps of the attention have no biases, the function of
the feed-forward layers is a ReLU, and embeddings are multiplied by sqrt(D).

There is no longest text. With L blocks a word can depend on the L M words before its segment. A GPT that slides its
window along a text by one word reads the whole window again for each word; here a word is read once. What is written
word by word is read in segments of one word, which see the M words before them.

From the authors' program it differs in three points: each block has its own u and w, as in XLNet, the sinusoids of
distances get no dropout, and words share one table without adaptive softmax.
"""

from contextlib import nullcontext

import numpy as np

from tinytx.layers import (
    Block,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    Relative,
    Residual,
    SegmentMemory,
)
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.models.stacks import Stack
from tinytx.settings import Settings, setting
from tinytx.shapes import check_rows
from tinytx.state import State


class TransformerXLConfig(Settings):
    """What a Transformer-XL is made of; the defaults are a small one."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    segment: int = setting(64, "tokens in a segment, T: a longer text is read in several", minimum=1)
    memory: int = setting(64, "tokens before the segment that each block remembers, M", minimum=0, free=True)
    d_model: int = setting(128, "width of the model, D", minimum=1)
    n_heads: int = setting(4, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(4, "blocks, L", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    dropout: float = setting(
        0.0, "dropout of embeddings, inner activations and outputs of parts and of the last block in training", minimum=0,
        below=1, free=True,
    )  # fmt: skip
    attention_dropout: float = setting(0.0, "dropout of attention weights in training", minimum=0, below=1, free=True)
    activation: str = setting("relu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-5, "epsilon of every layer norm", above=0, below=1)
    tied_head: bool = setting(True, "whether the output layer uses the embedding's table")

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)


def blocks_with_memory(config, attention, core, **draw):
    """Return blocks whose attention has a memory, with a norm after each part.

    Parameters
    ----------
    config : TransformerXLConfig
    attention : class
        `SegmentMemory`, or a subclass of it.
    core : function (d_model, n_heads, d_key, dropout=, **draw) -> Layer
        Makes the core of each attention: `Relative`.
    **draw
        ``rng, dtype, init``.

    Returns
    -------
    list of Block
    """
    d, h, p = config.d_model, config.n_heads, config.dropout

    def residual(f):
        return Residual(f, LayerNorm(d, eps=config.eps, dtype=draw["dtype"]), dropout=p, norm_order="post")

    def block():
        relative = core(d, h, d // h, dropout=config.attention_dropout, **draw)
        heads = MultiHeadAttention(d, h, core=relative, bias=False, **draw)
        feed_forward = FeedForward(d, config.d_ff or 4 * d, activation=config.activation, dropout=p, **draw)
        return Block(residual(attention(heads, config.memory)), residual(feed_forward))

    return [block() for _ in range(config.n_layers)]


class TransformerXL(Stack):
    """Blocks with a memory over embedded tokens: they turn ids into one vector for each position.

    Parameters
    ----------
    config : TransformerXLConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02).
    dtype : float32 or float64

    Examples
    --------
    >>> body = TransformerXL(TransformerXLConfig(vocab_size=65, segment=4, memory=8), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 10), int)).shape  # three segments
    (2, 10, 128)
    """

    init = staticmethod(normal(0.02))

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        draw = {"rng": rng, "dtype": dtype, "init": self.init}
        super().__init__(
            Embedding(config.vocab_size, config.d_model, scale=config.d_model**0.5, **draw),
            blocks_with_memory(config, SegmentMemory, Relative, **draw),
            norm=Dropout(config.dropout),
            dropout=config.dropout,
            max_len=config.segment,
            name="TransformerXL: ids",
        )

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.token.weight if self.config.tied_head else None

    def forward(self, ids, tape=None, *, state=None):
        """Return a vector for each position.

        Parameters
        ----------
        ids : integers (B, T)
            If there are more than ``segment``, they are read in segments, one after the other; the last may be shorter.
        tape : Tape, optional
            No gradient goes from a segment to those before it.
        state : State, optional
            Holds each block's memory of the tokens before ``ids``; afterwards, of those of ``ids`` too. Without it the
            first segment has no memory.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If ids do not have the shape (B, T), or an id is not in the vocabulary.
        """
        ids, size = check_rows("TransformerXL", ids), self.config.segment
        state, starts, segments = State() if state is None else state, range(0, ids.shape[1], size), []
        with nullcontext() if state.inside else state.forward():
            for start in state.passes(starts):
                segments.append(super().forward(ids[:, start : start + size], tape=tape, state=state))
        if tape is not None:
            tape.push(self, starts)
        return np.concatenate(segments, axis=1)

    def backward(self, dx, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        for start in reversed(tape.pop(self)):
            super().backward(dx[:, start : start + self.config.segment], tape)
