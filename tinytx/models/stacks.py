"""Encoder and decoder: embedded tokens, a stack of blocks, and what ends it; wired by `tinytx.models.transformer`."""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import (
    Block,
    DecoderBlock,
    Dropout,
    LayerNorm,
    LearnedPositions,
    Linear,
    SinusoidalPositions,
    TiedLinear,
)


class _Stack(Layer):
    """What encoder and decoder share: embedded tokens with positions, blocks, and perhaps a norm at the end."""

    def __init__(self, config, token, blocks, *, rng, dtype, init):
        d = config.d_model
        self.max_len = config.max_len
        self.token = token
        if config.positions == "learned":
            self.position = LearnedPositions(config.max_len, d, rng=rng, dtype=dtype, init=init)
        else:
            self.position = SinusoidalPositions(config.max_len, d, dtype=dtype)
        self.dropout = Dropout(config.dropout)
        self.blocks = blocks
        final_norm = config.norm_order == "pre" if config.final_norm is None else config.final_norm
        self.norm = LayerNorm(d, dtype=dtype) if final_norm else None

    def _embed(self, what, ids, tape, start=0):
        """Ids (B, T) -> (B, T, D)."""
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.size == 0 or start + ids.shape[1] > self.max_len:
            raise ValueError(
                f"Transformer: {what} has shape {ids.shape} after {start} cached positions, expected ids of two axes, "
                f"at least (1, 1), and at most max_len = {self.max_len} positions in all"
            )
        return self.dropout(self.position(self.token(ids, tape), tape, start=start), tape)

    def _embed_backward(self, dx, tape):
        self.token.backward(self.position.backward(self.dropout.backward(dx, tape), tape), tape)


class Encoder(_Stack):
    """Blocks that look both ways, over source tokens: ids to memory.

    Parameters
    ----------
    config : TransformerConfig
    token : Embedding
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, config, token, *, rng, dtype, init):
        part = _part(config, rng, dtype, init)
        blocks = [Block(**part) for _ in range(config.n_encoder_layers)]
        super().__init__(config, token, blocks, rng=rng, dtype=dtype, init=init)

    def forward(self, source, tape=None, *, mask=None):
        """Ids (B, S), and a mask that broadcasts to (B, H, S, S) -> memory (B, S, D)."""
        x = self._embed("source", source, tape)
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
    """Causal blocks that also read a memory, over target tokens, and a linear map to the vocabulary.

    Parameters
    ----------
    config : TransformerConfig
    token : Embedding
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, config, token, *, rng, dtype, init):
        part = _part(config, rng, dtype, init)
        blocks = [DecoderBlock(**part) for _ in range(config.n_decoder_layers)]
        super().__init__(config, token, blocks, rng=rng, dtype=dtype, init=init)
        if config.tied == "none":
            size = config.d_model, config.target_vocab_size
            self.head = Linear(*size, bias=False, rng=rng, dtype=dtype, init=init)
        else:
            self.head = TiedLinear(token.weight)

    def forward(self, target, tape=None, *, memory, memory_mask=None, cache=None):
        """Ids (B, T), memory (B, S, D), and a mask that broadcasts to (B, H, T, S) -> logits (B, T, V)."""
        x = self._embed("target", target, tape, cache.length if cache is not None else 0)
        for block in self.blocks:
            x = block(x, tape, memory=memory, memory_mask=memory_mask, cache=cache)
        return self.head(self.norm(x, tape) if self.norm else x, tape)

    def backward(self, dlogits, tape):
        """Return dmemory: every block reads the memory, so what they say adds up."""
        dx = self.head.backward(dlogits, tape)
        dx = self.norm.backward(dx, tape) if self.norm else dx
        dmemory = None
        for block in reversed(self.blocks):
            dx, dmemory_here = block.backward(dx, tape)
            dmemory = dmemory_here if dmemory is None else dmemory + dmemory_here
        self._embed_backward(dx, tape)
        return dmemory


def _part(config, rng, dtype, init):
    """Return the arguments that all blocks share."""
    return {
        "d_model": config.d_model,
        "n_heads": config.n_heads,
        "d_ff": config.d_ff or 4 * config.d_model,
        "dropout": config.dropout,
        "norm_order": config.norm_order,
        "activation": config.activation,
        "rng": rng,
        "dtype": dtype,
        "init": init,
    }
