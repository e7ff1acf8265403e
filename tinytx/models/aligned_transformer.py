"""A Transformer that translates and aligns (Garg, Peitz, Nallasamy and Paulik 2019, arXiv:1909.02074).

The difference from `tinytx.models.transformer`: one head of the decoder's attention to the source learns from given links
which source words a target word translates. `tinytx.tasks.AlignedSequenceToSequence` has the loss. No head learns this
from translation alone, since a head may look at any word that helps, and several heads share the work.

The decoder writes from left to right: when it predicts a word it has not read this word, so the head has to align what is
not known yet. For the second loss the paper therefore runs the decoder a second time without the causal mask, up to this
head (section 4.4): each position sees the whole target. Weights are shared, and translation does not change.

Position t of the decoder reads word t of the target and predicts word t + 1. Row t of the scores belongs to the predicted
word, with and without the causal mask.

`tinytx.ops.attention` does not hold the attention weights, so the scores of this head are made by themselves
(`tinytx.ops.product_scores`).
"""

import copy

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers import DotProduct, Sequential
from tinytx.models.stacks import Stack
from tinytx.models.transformer import Transformer, TransformerConfig
from tinytx.ops.attention_patterns import FULL
from tinytx.settings import setting


class AlignedTransformerConfig(TransformerConfig):
    """What an aligned Transformer is made of."""

    aligned_layer: int | None = setting(
        None, "block of the decoder, counted from 0, that has the head which aligns; the last but one if not given", minimum=0
    )
    aligned_head: int = setting(0, "this head, counted from 0", minimum=0)
    full_context: bool = setting(True, "whether it sees the whole target, in a second pass through the decoder")

    def __post_init__(self):
        super().__post_init__()
        for name, n, of in (("aligned_layer", self.n_decoder_layers, "blocks"), ("aligned_head", self.n_heads, "heads")):
            if (getattr(self, name) or 0) >= n:
                raise ValueError(f"AlignedTransformerConfig: {name} is {getattr(self, name)}, expected 0..{n - 1}: there are {n} {of}")


class HeadScores(Layer):
    """The scores of one head of a residual cross-attention, whose layers it uses.

    Parameters
    ----------
    cross : Residual
        Of a decoder's block.
    head : int
    """

    def __init__(self, cross, head):
        self.norm = cross.norm if cross.norm_order == "pre" else Sequential()
        self.query, self.key, self.n_heads, self.head = cross.f.query, cross.f.key, cross.f.n_heads, head

    def forward(self, x, memory, tape=None):
        """Return the scores (B, T, S) of x (B, T, D), the input of the cross-attention, and memory (B, S, D)."""
        q, k = self.query(self.norm(x, tape), tape), self.key(memory, tape)
        scores, saved = ops.product_scores(q[:, :, self._columns(q)], k[:, :, self._columns(k)])
        if tape is not None:
            tape.push(self, (saved, q.shape, k.shape))
        return scores

    def backward(self, dscores, tape):
        """Return (dx, dmemory)."""
        saved, *shapes = tape.pop(self)
        gradients = ops.product_scores_backward(dscores, saved)
        dq, dk = (np.zeros(shape, dscores.dtype) for shape in shapes)  # the other heads have no part in the scores
        for whole, own in zip((dq, dk), gradients, strict=True):
            whole[:, :, self._columns(whole)] = own
        dmemory = self.key.backward(dk, tape)
        return self.norm.backward(self.query.backward(dq, tape), tape), dmemory

    def _columns(self, x):
        """Return which columns of all heads' x (B, T, H K) are the head's."""
        width = x.shape[2] // self.n_heads
        return slice(self.head * width, (self.head + 1) * width)


class AligningBlock(Layer):
    """A decoder's block up to the scores of one head.

    Parameters
    ----------
    block : DecoderBlock
    head : int
    """

    def __init__(self, block, head):
        self.attention, self.scores = block.attention, HeadScores(block.cross_attention, head)

    def forward(self, x, memory, tape=None, **settings):
        """Return the scores (B, T, S) of x (B, T, D) and memory (B, S, D). Settings are those of the block."""
        return self.scores(self.attention(x, tape), memory, tape)

    def backward(self, dscores, tape):
        """Return (dx, dmemory)."""
        dx, dmemory = self.scores.backward(dscores, tape)
        return self.attention.backward(dx, tape), dmemory


def without_causal_mask(block):
    """Return a decoder's block that has the layers of ``block``, and lets each position see all positions."""
    block = copy.copy(block)
    block.attention = copy.copy(block.attention)
    block.attention.f = copy.copy(block.attention.f)
    block.attention.f.core = DotProduct(pattern=FULL, dropout=block.attention.f.core.p)
    return block


def without_top(decoder, blocks):
    """Return a stack that embeds ids as a decoder does, has these blocks, and no norm after them."""
    options = {"dropout": decoder.dropout.p, "max_len": decoder.max_len, "name": decoder.name}
    return Stack(decoder.token, blocks, position=decoder.position, embedding_norm=decoder.embedding_norm, **options)


class SecondPass(Layer):
    """A decoder, and the scores of a second pass, in which each position sees all. All layers are the decoder's.

    Parameters
    ----------
    decoder : Stack
    last, head : int
        Which block and which head.
    """

    def __init__(self, decoder, last, head):
        *blocks, block = map(without_causal_mask, decoder.blocks[: last + 1])
        self.decoder, self.scores = decoder, without_top(decoder, [*blocks, AligningBlock(block, head)])

    def forward(self, target, memory, tape=None, **settings):
        """Return vectors (B, T, D) and scores (B, T, S) of target ids (B, T) and memory (B, S, D)."""
        return self.decoder(target, memory, tape, **settings), self.scores(target, memory, tape, **settings)

    def backward(self, dy, tape):
        """Return (None, dmemory) from the gradients of both."""
        dx, dscores = dy
        _, dmemory = self.scores.backward(dscores, tape)
        return None, dmemory + self.decoder.backward(dx, tape)[1]


class SamePass(Layer):
    """A decoder, and the scores that one of its heads has anyway. Parameters, inputs and outputs as for `SecondPass`."""

    def __init__(self, decoder, last, head):
        self.embed, self.blocks, self.last = without_top(decoder, []), decoder.blocks, last
        self.scores, self.norm = HeadScores(self.blocks[last].cross_attention, head), decoder.norm or Sequential()

    def forward(self, target, memory, tape=None, *, memory_mask):
        x = self.embed(target, tape=tape)
        for n, block in enumerate(self.blocks):
            x = block.attention(x, tape)
            if n == self.last:
                scores = self.scores(x, memory, tape)
            x = block.feed_forward(block.cross_attention(x, memory, tape, mask=memory_mask), tape)
        return self.norm(x, tape), scores

    def backward(self, dy, tape):
        dx, dscores = dy
        dx, dmemory = self.norm.backward(dx, tape), []
        for n, block in reversed([*enumerate(self.blocks)]):
            dx, dread = block.cross_attention.backward(block.feed_forward.backward(dx, tape), tape)
            dmemory.append(dread)
            if n == self.last:
                dcompared, dread = self.scores.backward(dscores, tape)
                dx, dmemory = dx + dcompared, [*dmemory, dread]
            dx = block.attention.backward(dx, tape)
        self.embed.backward(dx, tape)
        return None, sum(dmemory)


class AlignedTransformer(Transformer):
    """A Transformer, and scores by which one head aligns source and target.

    Parameters
    ----------
    config : AlignedTransformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Examples
    --------
    >>> config = AlignedTransformerConfig(20, 20, d_model=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=2)
    >>> body = AlignedTransformer(config, rng=np.random.default_rng(0))
    >>> source, target = np.full((2, 5), 7), np.full((2, 3), 8)
    >>> x, scores = body(source, target, aligned=True)
    >>> x.shape, scores.shape, body.alignment(source, target).sum(axis=2).round(4).tolist()
    ((2, 3, 16), (2, 3, 5), [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    """

    def __init__(self, config, **draw):
        super().__init__(config, **draw)
        last = max(0, config.n_decoder_layers - 2) if config.aligned_layer is None else config.aligned_layer
        self.aligner = (SecondPass if config.full_context else SamePass)(self.decoder, last, config.aligned_head)

    def forward(self, source, target, tape=None, *, aligned=False):
        """Return the decoder's vectors (B, T, D) for source ids (B, S) and target ids (B, T).

        With ``aligned`` also return the scores (B, T, S) of the head that aligns: a softmax over the source's words makes
        the weights of them.
        """
        if not aligned:
            return super().forward(source, target, tape)
        memory = self.encode(source, tape)
        return self.aligner(target, memory, tape, memory_mask=self.source_mask(source))

    def backward(self, dx, tape):
        """Add the gradients of all parameters; of an aligned forward, ``dx`` is (dx, dscores)."""
        if not isinstance(dx, tuple):
            return super().backward(dx, tape)
        _, dmemory = self.aligner.backward(dx, tape)
        self.encoder.backward(dmemory, tape)

    def alignment(self, source, target):
        """Return the weights (B, T, S): how much the word after each position of the target is linked to each source word."""
        _, scores = self(source, target, aligned=True)
        weights, _ = ops.softmax(scores, self.source_mask(source)[:, 0])
        return weights
