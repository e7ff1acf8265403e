"""What bodies are stacked from: embedded tokens, blocks, perhaps a norm at the end; and the blocks of a config."""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import (
    Block,
    Checkpoint,
    DecoderBlock,
    DotProduct,
    Dropout,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    Residual,
    Sequential,
    SinusoidalPositions,
)
from tinytx.layers.block import as_tuple
from tinytx.ops.attention_patterns import FULL

POSITIONS = ("sinusoidal", "learned", "doubled", "halves")  # the last two: `tinytx.ops.positions`, equations (5) and (6)


def make_blocks(
    config, n_layers, *, pattern=FULL, reads_memory=False, attention_dropout=None, feed_forward_dropout=0.0, eps=1e-5, **draw
):
    """Return the blocks of a stack, drawn one after the other.

    Parameters
    ----------
    config : GPTConfig, BertConfig or TransformerConfig
        Of its settings: ``d_model, n_heads, d_ff, dropout, norm_order, activation``.
    n_layers : int
    pattern : Pattern, or list of them
        Of the self-attention: ``CAUSAL``; or that of each block.
    reads_memory : bool
        Whether the blocks are of a decoder, which attends to a memory.
    attention_dropout : float in [0, 1), optional
        On the attention weights; the config's ``dropout`` if not given.
    feed_forward_dropout : float in [0, 1)
        On the inner activations of the feed-forward layers.
    eps : float
        Of every layer norm.
    **draw
        ``rng, dtype, init, init_output``, as for `MultiHeadAttention`.

    Returns
    -------
    list of Block or DecoderBlock
    """
    d, p = config.d_model, config.dropout

    patterns = pattern if isinstance(pattern, list) else [pattern] * n_layers

    def residual(f):
        return Residual(f, LayerNorm(d, eps=eps, dtype=draw["dtype"]), dropout=p, norm_order=config.norm_order)

    def attention(pattern):
        core = DotProduct(pattern=pattern, dropout=p if attention_dropout is None else attention_dropout)
        return residual(MultiHeadAttention(d, config.n_heads, core=core, **draw))

    def feed_forward():
        inner = {"activation": config.activation, "dropout": feed_forward_dropout}
        return residual(FeedForward(d, config.d_ff or 4 * d, **inner, **draw))

    if reads_memory:
        return [DecoderBlock(attention(pattern), attention(FULL), feed_forward()) for pattern in patterns]
    return [Block(attention(pattern), feed_forward()) for pattern in patterns]


def make_positions(config, **draw):
    """Return the layer that adds vectors of positions, as ``config.positions`` says; ``draw``: rng, dtype, init."""
    if config.positions == "learned":
        return LearnedPositions(config.max_len, config.d_model, unused=getattr(config, "unused_positions", 0), **draw)
    form = {config.positions: True} if config.positions != "sinusoidal" else {}
    return SinusoidalPositions(config.max_len, config.d_model, dtype=draw["dtype"], **form)


class Stack(Layer):
    """Embedded tokens, blocks, perhaps a norm: ids to a vector for each position.

    Parameters
    ----------
    token : Embedding
    blocks : list of Layer
        Each (B, T, D) -> (B, T, D): `tinytx.layers.Block`, `tinytx.layers.DecoderBlock`.
    position : Layer, optional
        Adds vectors of positions.
    relative : Layer, optional
        Of positions (T,) and (S,), a bias (1, H, T, S) of all blocks' self-attention: `RelativePositionBias`.
    norm : Layer, optional
        After the last block.
    segment : Embedding, optional
        Of the parts of a text.
    place : Embedding, optional
        Of places that the caller counts, in place of ``position``.
    embedding_norm : Layer, optional
        After the sum of tokens, segments and positions.
    dropout : float in [0, 1)
        Of the embedded tokens.
    recompute : int
        Blocks that are computed a second time in backward together, in which a tape then keeps only what goes into the
        first of them (`tinytx.layers.Checkpoint`); 0: a tape keeps all that the blocks save. With L blocks of c bytes, of which
        the input takes a, there are at most (L / n) a + n c bytes at one time: least with n = sqrt(L a / c), and of order sqrt(L)
        with n = sqrt(L). In a BERT c is about 14 a. Only for blocks of one input.
    max_len : int
        Positions, at most.
    name : str
        Of the ids, in messages.
    """

    def __init__(
        self, token, blocks, *, position=None, relative=None, norm=None, segment=None, place=None, embedding_norm=None,
        dropout=0.0, recompute=0, max_len, name="Stack: ids",
    ):  # fmt: skip
        self.max_len, self.name = max_len, name
        self.token, self.segment, self.position, self.place = token, segment, position, place
        self.embedding_norm = embedding_norm
        self.dropout = Dropout(dropout)
        self.relative, self.blocks, self.norm = relative, blocks, norm
        firsts = range(0, len(blocks), recompute) if recompute else ()
        self.recomputed = [Checkpoint(Sequential(*blocks[i : i + recompute])) for i in firsts]

    def forward(self, ids, *others, tape=None, segments=None, places=None, state=None, **settings):
        """Return what the blocks make of each position.

        Parameters
        ----------
        ids : integers (B, T)
        *others
            The blocks' other inputs, the same for each: a memory (B, S, D).
        tape : Tape, optional
        segments : integers (B, T), optional
            Which part of its text each token belongs to, where the stack has segments.
        places : integers (B, T), optional
            The row of ``place`` for each token, where the stack has it.
        state : State, optional
            Holds the positions before ``ids``, which are added to it.
        **settings
            Of the blocks: a mask.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, or the positions exceed ``max_len``.
        """
        start = state.length if state is not None else 0
        x = self._embed(ids, segments, places, start, tape)
        if self.relative:
            stop = start + x.shape[1]
            others = *others, None, self.relative(np.arange(start, stop), np.arange(stop), tape)
        for block in self.recomputed or self.blocks:
            x = block(x, *others, tape, state=state, **settings)
        return self.norm(x, tape) if self.norm else x

    def backward(self, dx, tape):
        """Return None, since ids have no gradient; or (None, *dothers).

        Every block reads the other inputs, so their gradients add up.
        """
        dx, dothers = self.norm.backward(dx, tape) if self.norm else dx, None
        for block in reversed(self.recomputed or self.blocks):
            dx, *here = as_tuple(block.backward(dx, tape))
            dothers = here if dothers is None else [a if b is None else a + b for a, b in zip(dothers, here)]
        if self.relative:
            *dothers, _, dbias = dothers
            self.relative.backward(dbias, tape)
        self._embed_backward(dx, tape)
        return (None, *dothers) if dothers else None

    def _embed(self, ids, segments, places, start, tape):
        """Ids (B, T), and segments and places (B, T) if there are such -> (B, T, D)."""
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.size == 0 or start + ids.shape[1] > self.max_len:
            raise ValueError(
                f"{self.name} has shape {ids.shape} after {start} cached positions, expected (B, T), at least (1, 1), and at "
                f"most max_len = {self.max_len} positions in all"
            )
        x = self.token(ids, tape)
        if self.segment:
            x = x + self.segment(segments, tape)
        if self.place:
            x = x + self.place(places, tape)
        if self.position:
            x = self.position(x, tape, start=start)
        if self.embedding_norm:
            x = self.embedding_norm(x, tape)
        return self.dropout(x, tape)

    def _embed_backward(self, dx, tape):
        dx = self.dropout.backward(dx, tape)
        if self.embedding_norm:
            dx = self.embedding_norm.backward(dx, tape)
        if self.position:
            dx = self.position.backward(dx, tape)
        if self.place:
            self.place.backward(dx, tape)
        if self.segment:
            self.segment.backward(dx, tape)
        self.token.backward(dx, tape)
