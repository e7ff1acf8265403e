"""Reformer: a GPT for long texts, whose attention finds its keys by a hash and whose tape does not grow (Kitaev et al. 2020, 2001.04451).

There are four differences from `GPT`. Queries are also keys, of length 1, and a word sees words of its bucket
(`tinytx.layers.HashedSelfAttention`). There are two streams, which both begin as the embedded words; attention reads one and adds
to the other, the feed-forward layer back, so that backward computes inputs again (`tinytx.layers.ReversibleStack`). The body's
vectors are both streams, so they are 2 D wide, and so are the last norm and the output layer, which shares no table. Words are
dropped out before positions are added.

Some blocks may have local attention instead (``kinds``): the usual one, with queries, keys and values of their own, in which a
word sees its chunk and the one before.

A text longer than ``chunk`` is filled up to a multiple of it. No value of a later word reaches an earlier one; but who shares a
chunk depends on all words, so the vectors of a text's beginning are not those of the beginning alone. So decoding reads the whole
text for each new word.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import (
    DotProduct,
    Dropout,
    Embedding,
    FeedForward,
    HashedSelfAttention,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    ReversibleStack,
    Sequential,
)
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.ops.attention_patterns import CAUSAL, Blocks
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting
from tinytx.shapes import check_rows


class ReformerConfig(Settings):
    """What a Reformer is made of."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(256, "tokens in the longest text", minimum=1)
    d_model: int = setting(128, "width of each of the two streams, D", minimum=1)
    n_heads: int = setting(4, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(2, "pairs of attention and feed-forward layer", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    chunk: int = setting(32, "words that see each other, and those of the chunk before, m", minimum=1)
    n_buckets: int = setting(16, "buckets of each round of hashing, an even number, about 2 max_len / chunk", minimum=2)
    kinds: str | None = setting(
        None, "attention of the blocks, hashed or local; a list such as local,hashed repeats over them; hashed if not given",
        empty=False,
    )  # fmt: skip
    local_chunk: int | None = setting(None, "words in a chunk of local attention; chunk if not given", minimum=1)
    d_key: int | None = setting(None, "width of each head, K; D / H if not given", minimum=1)
    n_rounds: int = setting(4, "rounds of hashing, R", minimum=1, free=True)
    dropout: float = setting(
        0.0, "dropout of words, inner activations, parts' outputs and the last norm's in training", minimum=0, below=1, free=True
    )
    attention_dropout: float = setting(0.0, "dropout of attention weights in training", minimum=0, below=1, free=True)
    local_dropout: float | None = setting(
        None, "dropout of the weights of local attention; attention_dropout if not given", minimum=0, below=1, free=True
    )
    activation: str = setting("relu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-12, "epsilon of every layer norm", above=0, below=1)

    def __post_init__(self):
        super().__post_init__()
        if self.d_key is None:
            check_heads(self)
        if self.n_buckets % 2:
            raise ValueError(f"ReformerConfig: n_buckets is {self.n_buckets}, expected an even number")
        if "hashed" in kinds_of(self) and self.max_len > self.chunk and self.max_len % self.chunk:
            facts = f"max_len is {self.max_len}, expected a multiple of chunk = {self.chunk}, or no more than it"
            raise ValueError(f"ReformerConfig: {facts}")

    @property
    def key_width(self):
        """The width of each head."""
        return self.d_key or self.d_model // self.n_heads

    @property
    def inner_width(self):
        """The width inside the feed-forward layers."""
        return self.d_ff or 4 * self.d_model


def kinds_of(config):
    """Return the n_layers kinds of attention: those of ``config.kinds``, repeated.

    Raises
    ------
    ValueError
        If ``kinds`` is not a list of hashed or local between commas.
    """
    kinds = (config.kinds or "hashed").split(",")
    if not set(kinds) <= {"hashed", "local"}:
        facts = f"kinds is {config.kinds!r:.60}, expected hashed or local, or a list of them between commas"
        raise ValueError(f"ReformerConfig: {facts}")
    return [kinds[i % len(kinds)] for i in range(config.n_layers)]


class Reformer(Pretrained, Layer):
    """A causal body over token and position embeddings: it turns ids into one vector for each position.

    Parameters
    ----------
    config : ReformerConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02).
    dtype : float32 or float64

    Examples
    --------
    >>> body = Reformer(ReformerConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 40), int)).shape
    (2, 40, 256)
    """

    init = staticmethod(normal(0.02))
    output_bias = True

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, draw = config.d_model, {"rng": rng, "dtype": dtype, "init": self.init}

        def part(f):
            return Sequential(LayerNorm(d, eps=config.eps, dtype=dtype), f, Dropout(config.dropout))

        def hashed():
            return HashedSelfAttention(
                d, config.n_heads, n_buckets=config.n_buckets, n_rounds=config.n_rounds, chunk=config.chunk, d_key=config.d_key,
                dropout=config.attention_dropout, **draw,
            )  # fmt: skip

        def local():
            dropout = config.attention_dropout if config.local_dropout is None else config.local_dropout
            core = DotProduct(pattern=CAUSAL & Blocks(config.local_chunk or config.chunk, 1), dropout=dropout)
            return MultiHeadAttention(d, config.n_heads, core=core, d_key=config.d_key, bias=False, **draw)

        def pair(kind):
            attention = hashed() if kind == "hashed" else local()
            feed_forward = FeedForward(d, config.inner_width, activation=config.activation, dropout=config.dropout, **draw)
            return part(attention), part(feed_forward)

        self.token, self.position = Embedding(config.vocab_size, d, **draw), LearnedPositions(config.max_len, d, **draw)
        self.dropout, self.stack = Dropout(config.dropout), ReversibleStack([pair(kind) for kind in kinds_of(config)])
        self.norm, self.last_dropout = LayerNorm(2 * d, eps=config.eps, dtype=dtype), Dropout(config.dropout)

    @property
    def width(self):
        """The width of the body's vectors: both streams."""
        return 2 * self.config.d_model

    def forward(self, ids, tape=None, *, state=None):
        """Return a vector for each position.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        state : State, optional
            Holds the tokens before ``ids``, all of which are read again. Only without a tape.

        Returns
        -------
        array (B, T, 2 D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, positions exceed ``max_len``, or there are a tape and a state.
        """
        ids = check_rows("Reformer", ids)
        n = ids.shape[1]
        if state is not None:
            if tape is not None:
                raise ValueError("Reformer: a state holds tokens, which have no gradient: give a tape or a state, not both")
            slot = state.next()
            ids = np.concatenate([*slot.arrays, ids], axis=1)
            slot.arrays = (ids,)
        length, chunk = ids.shape[1], self.config.chunk if "hashed" in kinds_of(self.config) else 1
        if length > self.config.max_len:
            raise ValueError(f"Reformer: ids are {length} positions, expected at most max_len = {self.config.max_len}")
        ids = np.pad(ids, ((0, 0), (0, -length % chunk if length > chunk else 0)))
        x = self.position(self.dropout(self.token(ids, tape), tape), tape)
        y = self.last_dropout(self.norm(self.stack(x, tape), tape), tape)
        if tape is not None:
            tape.push(self, (length, y.shape))
        return y[:, length - n : length]

    def backward(self, dy, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        length, shape = tape.pop(self)
        dx = np.zeros(shape, dy.dtype)
        dx[:, :length] = dy
        dx = self.stack.backward(self.norm.backward(self.last_dropout.backward(dx, tape), tape), tape)
        self.token.backward(self.dropout.backward(self.position.backward(dx, tape), tape), tape)
