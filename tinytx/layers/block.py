"""Residual connections, and the blocks of a transformer, which are built from given layers."""

import functools
import inspect

from tinytx.core import Layer
from tinytx.layers.dropout import Dropout, drops_nothing
from tinytx.members import is_altered

NORM_ORDERS = ("pre", "post")


@functools.cache
def _has(method, setting):
    """Return whether a forward or a backward has a setting, such as ``onto``, an array that it adds its result to."""
    return setting in inspect.signature(method, follow_wrapped=False).parameters


def _can(layer, setting):
    """Return whether a layer's forward has a setting, no method was replaced, and the layer is called as all layers are."""
    kind = type(layer)
    return _has(kind.forward, setting) and kind.__call__ is Layer.__call__ and not is_altered(layer)


def can_add(layer, tape):
    """Return whether a layer's forward adds its output to ``onto``.

    That is so if it has the setting, nobody watches the tape, no method was replaced, and the layer is called as all layers are.
    """
    return (tape is None or not tape.is_watched) and _can(layer, "onto")


def forward_onto(onto, layer, *inputs, tape=None, **settings):
    """Return onto + layer(*inputs, tape, **settings), in one pass over the numbers if the layer `can_add`; the output alone if onto is None."""
    if onto is None:
        return layer(*inputs, tape, **settings)
    if can_add(layer, tape):
        return layer(*inputs, tape, onto=onto, **settings)
    return onto + layer(*inputs, tape, **settings)


def backward_onto(onto, layer, dy, tape):
    """Return onto + layer.backward(dy, tape): in one pass over the numbers, if the layer can and nobody watches it."""
    if _has(type(layer).backward, "onto") and not tape.is_watched and not is_altered(layer):
        return layer.backward(dy, tape, onto=onto)
    return onto + layer.backward(dy, tape)


def last_of(layer, x, *others, **settings):
    """Return layer(x, *others, **settings) at the last position only, (B, 1, ...), without a tape.

    Decoding asks a prompt for nothing else. A layer whose forward has the setting ``last`` computes this position alone, which saves most of the
    prompt's last block. Others, and those with inputs or settings that may belong to single positions, such as a mask, compute all positions.
    """
    if not others and settings.keys() <= {"state"} and _can(layer, "last"):
        return layer(x, last=True, **settings)
    return layer(x, *others, **settings)[:, -1:]


def as_tuple(gradients):
    """Return the result of a backward as a tuple with one gradient for each input."""
    return gradients if isinstance(gradients, tuple) else (gradients,)


class Residual(Layer):
    """A residual connection around a layer f, with a norm before f (pre-norm) or after the sum (post-norm).

    Pre-norm (GPT-2; Xiong et al. 2020, arXiv:2002.04745):     y = x + dropout(f(norm(x)))
    Post-norm (Vaswani et al. 2017):                           y = norm(x + dropout(f(x)))

    In both, two paths lead from x to y, so dx is the sum of the gradients of both paths. In the path of a parameter or
    of a layer, ``f`` is the layer inside: ``blocks.0.attention.f.query`` belongs to the first block's attention.

    Parameters
    ----------
    f, norm : Layer
    dropout : float in [0, 1)
        Of f's output.
    norm_order : {"pre", "post"}

    Raises
    ------
    ValueError
        If ``norm_order`` is another text, or ``dropout`` is out of its range.
    """

    def __init__(self, f, norm, *, dropout=0.0, norm_order="pre"):
        if norm_order not in NORM_ORDERS:
            raise ValueError(f"Residual: norm_order is {norm_order!r}, expected 'pre' or 'post'")
        self.norm = norm
        self.f = f
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(self, x, *others, tape=None, last=False, **settings):
        """(B, T, D) -> (B, T, D), or (B, 1, D) if ``last``. Other inputs of f, such as a memory, and ``settings`` are passed to f unchanged."""
        if last:
            is_pre = self.norm_order == "pre"
            y = x[:, -1:] + self.dropout(last_of(self.f, self.norm(x) if is_pre else x, *others, **settings))
            return y if is_pre else self.norm(y)
        if self.norm_order == "pre":
            return self._added(x, self.norm(x, tape), *others, tape=tape, **settings)
        return self.norm(self._added(x, x, *others, tape=tape, **settings), tape)

    def _added(self, x, *inputs, tape, **settings):
        """Return x + dropout(f(*inputs)); if nothing is dropped, f adds its output to x, and the dropout hands on the sum."""
        has_seed = tape is not None and tape.seed is not None
        if not drops_nothing(self.dropout, has_seed=has_seed) or not can_add(self.f, tape):
            return x + self.dropout(self.f(*inputs, tape, **settings), tape)
        return self.dropout(self.f(*inputs, tape, onto=x, **settings), tape)

    def backward(self, dy, tape):
        """Return dx, or (dx, *dothers) if f has other inputs, whose gradients are those that f returns."""
        if self.norm_order == "post":
            dy = self.norm.backward(dy, tape)
        df, *dothers = as_tuple(self.f.backward(self.dropout.backward(dy, tape), tape))
        dx = backward_onto(dy, self.norm, df, tape) if self.norm_order == "pre" else dy + df
        return (dx, *dothers) if dothers else dx


class Block(Layer):
    """Self-attention and then a feed-forward layer: one layer of a GPT or of an encoder.

    Parameters
    ----------
    attention, feed_forward : Layer
        Each with its residual connection: `Residual`.

    Examples
    --------
    >>> from tinytx.layers import DotProduct, FeedForward, LayerNorm, MultiHeadAttention
    >>> rng = np.random.default_rng(0)
    >>> attention = MultiHeadAttention(8, n_heads=2, core=DotProduct(), rng=rng)
    >>> feed_forward = FeedForward(8, 32, rng=rng)
    >>> block = Block(Residual(attention, LayerNorm(8)), Residual(feed_forward, LayerNorm(8)))
    >>> block(np.ones((1, 3, 8), np.float32)).shape
    (1, 3, 8)
    """

    def __init__(self, attention, feed_forward):
        self.attention, self.feed_forward = attention, feed_forward

    def forward(self, x, *others, tape=None, last=False, **settings):
        """(B, T, D) -> (B, T, D), or (B, 1, D) if ``last``. Other inputs and ``settings`` (mask, state) are passed to the attention."""
        if last:
            return self.feed_forward(last_of(self.attention, x, *others, **settings))
        return self.feed_forward(self.attention(x, *others, tape, **settings), tape)

    def backward(self, dy, tape):
        """Return dx, or (dx, *dothers) if the attention has other inputs."""
        return self.attention.backward(self.feed_forward.backward(dy, tape), tape)


class DecoderBlock(Layer):
    """Self-attention, cross-attention to a memory, a feed-forward layer: one layer of a decoder that reads an encoder.

    Parameters
    ----------
    attention, cross_attention, feed_forward : Layer
        Each with its residual connection: `Residual`.
    """

    def __init__(self, attention, cross_attention, feed_forward):
        self.attention, self.cross_attention, self.feed_forward = attention, cross_attention, feed_forward

    def forward(self, x, memory, *others, tape=None, memory_mask=None, state=None):
        """Return (B, T, D).

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, D)
            The input of the keys and values of cross-attention: the encoder's output.
        *others
            The self-attention's other inputs.
        tape : Tape, optional
        memory_mask : boolean array that broadcasts to (B, H, T, S), optional
            True where attention to the memory is allowed.
        state : State, optional
            As for `MultiHeadAttention`.
        """
        x = self.attention(x, *others, tape, state=state)
        x = self.cross_attention(x, memory, tape, mask=memory_mask, state=state)
        return self.feed_forward(x, tape)

    def backward(self, dy, tape):
        """Return (dx, dmemory, *dothers)."""
        dx, dmemory = self.cross_attention.backward(self.feed_forward.backward(dy, tape), tape)
        dx, *dothers = as_tuple(self.attention.backward(dx, tape))
        return dx, dmemory, *dothers
