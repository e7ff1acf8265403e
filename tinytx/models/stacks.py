"""Encoder and decoder: embedded tokens, a stack of blocks, and what ends it; wired by the models that have them."""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import (
    Block,
    DecoderBlock,
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    SinusoidalPositions,
)

POSITIONS = ("sinusoidal", "learned", "doubled")  # the last: `tinytx.ops.positions`, equation (5)


class _Stack(Layer):
    """What encoder and decoder share: embedded tokens with positions, blocks, and perhaps a norm at the end.

    Parameters
    ----------
    config : TransformerConfig or BertConfig
    token : Embedding
    block : type
        `Block` or `DecoderBlock`.
    n_layers : int
    what : str
        Names the ids in messages.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        Of the blocks' matrices, and of learned positions.
    init_embedding : function (rng, shape) -> array, optional
        Of positions and segments, where they have another.
    n_segments : int
        Kinds of segment, each of which has a vector that is added; 0 for none.
    embedding_norm : bool
        Whether a layer norm follows the sum of tokens, segments and positions.
    embedding_dropout : float in [0, 1), optional
        If not given, as the config's other dropout.
    eps : float
        Of every layer norm.
    **options
        Of each block beside: ``feed_forward_dropout``.
    """

    def __init__(
        self,
        config,
        token,
        block,
        n_layers,
        what,
        *,
        rng,
        dtype,
        init,
        init_embedding=None,
        n_segments=0,
        embedding_norm=False,
        embedding_dropout=None,
        eps=1e-5,
        **options,
    ):
        d, draw, norm = config.d_model, {"rng": rng, "dtype": dtype}, {"eps": eps, "dtype": dtype}
        options |= {name: getattr(config, name) for name in ("n_heads", "dropout", "norm_order", "activation")}
        options |= {"d_model": d, "d_ff": config.d_ff or 4 * d, "init": init, "eps": eps}
        blocks = [block(**options, **draw) for _ in range(n_layers)]
        draw["init"] = init_embedding or init
        self.what, self.max_len = what, config.max_len
        self.token = token
        self.segment = Embedding(n_segments, d, **draw) if n_segments else None
        if config.positions == "learned":
            self.position = LearnedPositions(config.max_len, d, **draw)
        else:
            self.position = SinusoidalPositions(config.max_len, d, doubled=config.positions == "doubled", dtype=dtype)
        self.embedding_norm = LayerNorm(d, **norm) if embedding_norm else None
        self.dropout = Dropout(config.dropout if embedding_dropout is None else embedding_dropout)
        self.blocks = blocks
        self.norm = LayerNorm(d, **norm) if config.ends_with_norm else None

    def _embed(self, ids, tape, *, segments=None, start=0):
        """Ids (B, T), and segments (B, T) if there are such -> (B, T, D)."""
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.size == 0 or start + ids.shape[1] > self.max_len:
            raise ValueError(
                f"{self.what} has shape {ids.shape} after {start} cached positions, expected ids of two axes, "
                f"at least (1, 1), and at most max_len = {self.max_len} positions in all"
            )
        x = self.token(ids, tape)
        if self.segment:
            x = x + self.segment(segments, tape)
        x = self.position(x, tape, start=start)
        if self.embedding_norm:
            x = self.embedding_norm(x, tape)
        return self.dropout(x, tape)

    def _embed_backward(self, dx, tape):
        dx = self.dropout.backward(dx, tape)
        if self.embedding_norm:
            dx = self.embedding_norm.backward(dx, tape)
        dx = self.position.backward(dx, tape)
        if self.segment:
            self.segment.backward(dx, tape)
        self.token.backward(dx, tape)


class Encoder(_Stack):
    """Blocks that look both ways, over source tokens: ids to memory.

    Parameters
    ----------
    config : TransformerConfig or BertConfig
    token : Embedding
    n_layers : int
    what : str
        Names the ids in messages.
    **options
        As for `_Stack`.
    """

    def __init__(self, config, token, n_layers, what="Transformer: source", **options):
        super().__init__(config, token, Block, n_layers, what, **options)

    def forward(self, source, tape=None, *, mask=None, segments=None):
        """Ids (B, S), a mask that broadcasts to (B, H, S, S), perhaps segments (B, S) -> memory (B, S, D)."""
        x = self._embed(source, tape, segments=segments)
        for block in self.blocks:
            x = block(x, tape, mask=mask)
        return self.norm(x, tape) if self.norm else x

    def backward(self, dmemory, tape):
        """Return None: ids have no gradient."""
        dx = self.norm.backward(dmemory, tape) if self.norm else dmemory
        for block in reversed(self.blocks):
            dx = block.backward(dx, tape)
        self._embed_backward(dx, tape)


class Decoder(_Stack):
    """Causal blocks that also read a memory, over target tokens: ids and memory to vectors.

    Parameters
    ----------
    config : TransformerConfig
    token : Embedding
    **options
        As for `_Stack`.
    """

    def __init__(self, config, token, **options):
        super().__init__(config, token, DecoderBlock, config.n_decoder_layers, "Transformer: target", **options)

    def forward(self, target, memory, tape=None, *, memory_mask=None, state=None):
        """Ids (B, T), memory (B, S, D), and a mask that broadcasts to (B, H, T, S) -> (B, T, D)."""
        x = self._embed(target, tape, start=state.length if state is not None else 0)
        for block in self.blocks:
            x = block(x, memory, tape, memory_mask=memory_mask, state=state)
        return self.norm(x, tape) if self.norm else x

    def backward(self, dx, tape):
        """Return (None, dmemory): ids have no gradient; every block reads the memory, so its gradients add up."""
        dx = self.norm.backward(dx, tape) if self.norm else dx
        dmemory = None
        for block in reversed(self.blocks):
            dx, dmemory_here = block.backward(dx, tape)
            dmemory = dmemory_here if dmemory is None else dmemory + dmemory_here
        self._embed_backward(dx, tape)
        return None, dmemory
