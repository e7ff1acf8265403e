"""Residual connections, and the block of a transformer."""

import numpy as np

from tinytx.core import Layer
from tinytx.layers.attention import DotProduct, MultiHeadAttention
from tinytx.layers.dropout import Dropout
from tinytx.layers.feed_forward import FeedForward
from tinytx.layers.layer_norm import LayerNorm
from tinytx.ops.attention_patterns import CAUSAL, FULL

NORM_ORDERS = ("pre", "post")


class Residual(Layer):
    """A layer f with a short cut around it, normalised before or after.

    Pre-norm (GPT-2; Xiong et al. 2020, arXiv:2002.04745):     y = x + dropout(f(norm(x)))
    Post-norm (Vaswani et al. 2017):                           y = norm(x + dropout(f(x)))

    In both, two paths lead from x to y, so dx is the sum of what comes back on each. In the name of a parameter or of a
    layer, ``f`` is the layer inside: ``blocks.0.attention.f.query`` belongs to the first block's attention.

    Parameters
    ----------
    f, norm : Layer
    dropout : float in [0, 1)
        On f's output.
    norm_order : {"pre", "post"}
    """

    def __init__(self, f, norm, *, dropout=0.0, norm_order="pre"):
        if norm_order not in NORM_ORDERS:
            raise ValueError(f"Residual: norm_order is {norm_order!r}, expected 'pre' or 'post'")
        self.norm = norm
        self.f = f
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(self, x, *others, tape=None, **settings):
        """(B, T, D) -> (B, T, D); f's other inputs, such as a memory, go to f as they are, and so do ``settings``."""
        if self.norm_order == "pre":
            return x + self.dropout(self.f(self.norm(x, tape), *others, tape, **settings), tape)
        return self.norm(x + self.dropout(self.f(x, *others, tape, **settings), tape), tape)

    def backward(self, dy, tape):
        """Return dx, or (dx, *dothers) where f has other inputs: their gradients come straight from f."""
        if self.norm_order == "post":
            dy = self.norm.backward(dy, tape)
        df = self.f.backward(self.dropout.backward(dy, tape), tape)
        df, *dothers = df if isinstance(df, tuple) else (df,)
        dx = dy + (self.norm.backward(df, tape) if self.norm_order == "pre" else df)
        return (dx, *dothers) if dothers else dx


class _Parts(Layer):
    """What both kinds of block are made of: attentions and a feed-forward layer, each with its short cut and norm."""

    def __init__(
        self,
        d_model,
        n_heads,
        d_ff,
        *,
        causal,
        reads_memory,
        dropout=0.0,
        feed_forward_dropout=0.0,
        norm_order="pre",
        activation="gelu_tanh",
        eps=1e-5,
        rng,
        dtype=np.float32,
        **init,
    ):
        options = {"rng": rng, "dtype": dtype, **init}

        def residual(f):
            return Residual(f, LayerNorm(d_model, eps=eps, dtype=dtype), dropout=dropout, norm_order=norm_order)

        def attention(pattern=FULL):
            return MultiHeadAttention(d_model, n_heads, core=DotProduct(pattern=pattern, dropout=dropout), **options)

        self.attention = residual(attention(CAUSAL if causal else FULL))
        if reads_memory:
            self.cross_attention = residual(attention())
        feed_forward = FeedForward(d_model, d_ff, activation=activation, dropout=feed_forward_dropout, **options)
        self.feed_forward = residual(feed_forward)


class Block(_Parts):
    """Self-attention and then a feed-forward layer, each with its short cut: one layer of a GPT or of an encoder.

    Parameters
    ----------
    d_model, n_heads, d_ff : int
    causal : bool
    dropout : float in [0, 1)
        On attention weights and on the output of both parts.
    feed_forward_dropout : float in [0, 1)
        On the feed-forward layer's inner activations.
    norm_order : {"pre", "post"}
    activation : str
    eps : float
        Of both norms.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        For weights in general, and for those whose output is added to the short cut.
    """

    def __init__(self, d_model, n_heads, d_ff, *, causal=False, **options):
        super().__init__(d_model, n_heads, d_ff, causal=causal, reads_memory=False, **options)

    def forward(self, x, tape=None, *, mask=None, state=None):
        """(B, T, D) -> (B, T, D); ``mask`` and ``state`` as for `MultiHeadAttention`."""
        return self.feed_forward(self.attention(x, tape, mask=mask, state=state), tape)

    def backward(self, dy, tape):
        return self.attention.backward(self.feed_forward.backward(dy, tape), tape)


class DecoderBlock(_Parts):
    """Causal self-attention, attention to a memory, a feed-forward layer: one layer of a decoder that reads an encoder.

    Parameters
    ----------
    d_model, n_heads, d_ff : int
    dropout, feed_forward_dropout, norm_order, activation, eps, rng, dtype, init, init_output
        As for `Block`; dropout is on the weights of both attentions and on the output of all three parts.
    """

    def __init__(self, d_model, n_heads, d_ff, **options):
        super().__init__(d_model, n_heads, d_ff, causal=True, reads_memory=True, **options)

    def forward(self, x, memory, tape=None, *, memory_mask=None, state=None):
        """Return (B, T, D).

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, D)
            What cross-attention reads: the encoder's output.
        tape : Tape, optional
        memory_mask : boolean array that broadcasts to (B, H, T, S), optional
            True where the memory may be looked at.
        state : State, optional
            As for `MultiHeadAttention`.
        """
        x = self.attention(x, tape, state=state)
        x = self.cross_attention(x, memory, tape, mask=memory_mask, state=state)
        return self.feed_forward(x, tape)

    def backward(self, dy, tape):
        """Return (dx, dmemory)."""
        dx, dmemory = self.cross_attention.backward(self.feed_forward.backward(dy, tape), tape)
        return self.attention.backward(dx, tape), dmemory
