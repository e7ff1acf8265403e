"""Parts of bodies: `Stack`, from token ids through blocks to vectors, and the blocks that a config describes."""

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
from tinytx.layers.block import as_tuple, last_of
from tinytx.ops.attention_patterns import FULL

POSITIONS = ("sinusoidal", "learned", "doubled", "halves")  # the last two: `tinytx.ops.positions`, equations (5) and (6)


def make_blocks(
    config, n_layers, *, pattern=FULL, core=DotProduct, attention_kind=MultiHeadAttention, reads_memory=False, attention_dropout=None,
    feed_forward_dropout=0.0, eps=1e-5, **draw,
):  # fmt: skip
    """Return the blocks of a stack. Their weights are drawn block by block.

    Parameters
    ----------
    config : Settings
        With ``d_model, n_heads, d_ff, dropout, norm_order, activation``, as GPTConfig, BertConfig and others have them.
    n_layers : int
    pattern : Pattern, or list of n_layers Patterns
        The pattern of the self-attention, such as ``CAUSAL``, for all blocks or for each.
    core : function (pattern=, dropout=) -> Layer
        Makes the core of each attention.
    attention_kind : function (d_model, n_heads, core=, **draw) -> Layer
        Makes each attention around its core.
    reads_memory : bool
        Whether the blocks are those of a decoder with cross-attention to a memory.
    attention_dropout : float in [0, 1), optional
        Of the attention weights; the config's ``dropout`` if not given.
    feed_forward_dropout : float in [0, 1)
        Of the inner activations of the feed-forward layers.
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
        made = core(pattern=pattern, dropout=p if attention_dropout is None else attention_dropout)
        return residual(attention_kind(d, config.n_heads, core=made, **draw))

    def feed_forward():
        inner = {"activation": config.activation, "dropout": feed_forward_dropout}
        return residual(FeedForward(d, config.d_ff or 4 * d, **inner, **draw))

    if reads_memory:
        return [DecoderBlock(attention(pattern), attention(FULL), feed_forward()) for pattern in patterns]
    return [Block(attention(pattern), feed_forward()) for pattern in patterns]


def make_positions(config, **draw):
    """Return the layer of positions that ``config.positions`` names; ``draw`` are ``rng``, ``dtype`` and ``init``."""
    if config.positions == "learned":
        return LearnedPositions(config.max_len, config.d_model, unused=getattr(config, "unused_positions", 0), **draw)
    form = {config.positions: True} if config.positions != "sinusoidal" else {}
    return SinusoidalPositions(config.max_len, config.d_model, dtype=draw["dtype"], **form)


class Stack(Layer):
    """A stack of blocks over embedded tokens: it turns ids into one vector for each position.

    Parameters
    ----------
    token : Embedding
    blocks : list of Layer
        Each (B, T, D) -> (B, T, D): `tinytx.layers.Block`, `tinytx.layers.DecoderBlock`.
    position : Layer, optional
        Adds vectors of positions to the embedded tokens.
    relative : Layer, optional
        Makes a bias (1, H, T, S) from the positions (T,) of queries and (S,) of keys, for the self-attention of all
        blocks: `RelativePositionBias`.
    norm : Layer, optional
        Follows the last block.
    segment : Embedding, optional
        Embeds the segments (parts of a text); its vectors are added to those of the tokens.
    place : Embedding, optional
        Embeds places that the caller gives, in place of ``position``.
    embedding_norm : Layer, optional
        Follows the sum of tokens, segments and positions.
    dropout : float in [0, 1)
        Of the embedded tokens.
    recompute : int
        The number n of neighbouring blocks that are computed together a second time in backward. A tape then keeps only
        the input of each group of n blocks (`tinytx.layers.Checkpoint`). With 0, a tape keeps all that the blocks save.
        If each of L blocks saves c bytes, and its input has a bytes, a tape holds at most (L / n) a + n c bytes at one
        time. This is least for n = sqrt(L a / c). In a BERT, c is about 14 a. Blocks must have a single input.
    max_len : int
        The largest number of positions.
    name : str
        How messages call the ids.
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

    def forward(self, ids, *others, tape=None, segments=None, places=None, state=None, last=False, **settings):
        """Return a vector for each position.

        Parameters
        ----------
        ids : integers (B, T)
        *others
            Further inputs of every block, such as a memory (B, S, D).
        tape : Tape, optional
        segments : integers (B, T), optional
            The number of the part of its text that each token belongs to; required if the stack has ``segment``.
        places : integers (B, T), optional
            The row of the table ``place`` for each token; required if the stack has ``place``.
        state : State, optional
            Holds the positions before ``ids``; those of ``ids`` are added to it.
        last : bool
            Whether only the last position's vector is asked for, (B, 1, D), and no backward: `tinytx.layers.block.last_of`.
        **settings
            Settings of the blocks, such as a mask.

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
        blocks = self.recomputed or self.blocks
        for block in blocks[:-1] if last else blocks:
            x = block(x, *others, tape, state=state, **settings)
        if last:
            x = last_of(blocks[-1], x, *others, state=state, **settings)
        return self.norm(x, tape) if self.norm else x

    def backward(self, dx, tape):
        """Return None, because ids have no gradient; or (None, *dothers) if there are other inputs.

        Every block reads the other inputs, so their gradients are sums over the blocks.
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
        """Ids (B, T), and segments and places (B, T) if the stack has them -> (B, T, D)."""
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
