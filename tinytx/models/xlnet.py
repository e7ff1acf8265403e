"""XLNet: a transformer that predicts the words of a text in any order (Yang et al. 2019, arXiv:1906.08237).

It is a `TransformerXL` with these differences. A row has an *order*, a permutation of its positions, and a word is
predicted from the words that come before it in this order, on both sides of it. So a model learns from both sides, as
BERT does, but no word is hidden from the others, and predictions of one row do not ignore one another.

A vector that predicts the word at position t must know t, and not the word; a vector that serves to predict other words
must know it. So there are two streams with the same weights (`tinytx.layers.TwoStreams`). The query stream begins with
one learned vector at every position, and learns its position through distances alone. Masks say what each stream sees
(`tinytx.layers.permutation_masks`). Without an order there is the content stream alone, which sees the whole row.

Distances have both signs. Scores also tell whether two words are of one segment of the text
(`tinytx.layers.RelativeSegments`); no vectors of segments are added to words. The function of the feed-forward layers is
the GELU, and embeddings are not multiplied by sqrt(D). A row is read at once, and not in several segments; the memory
holds the content of the rows before it.

Both streams go through a block as one array, except through the last block: there nobody reads the content that comes
out, so the query stream goes through it alone, and the content that comes in serves as keys and values.
"""

from functools import partial

import numpy as np

from tinytx.core import Parameter
from tinytx.layers import Dropout, Embedding, RelativeSegments, TwoStreams, permutation_masks
from tinytx.layers.block import as_tuple
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal
from tinytx.models.stacks import Stack
from tinytx.models.transformer_xl import TransformerXLConfig, blocks_with_memory
from tinytx.ops.attention_patterns import FULL
from tinytx.pretrained import Pretrained
from tinytx.settings import setting
from tinytx.shapes import check_rows, check_shape


class XLNetConfig(TransformerXLConfig):
    """What an XLNet is made of; the defaults are a small one."""

    segment: int = setting(64, "tokens in a row at most, T", minimum=1, free=True)
    memory: int = setting(0, "tokens of the rows before that each block remembers, M", minimum=0, free=True)
    activation: str = setting("gelu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-12, "epsilon of every layer norm", above=0, below=1)

    pad_id = None  # rows have no padding

    @property
    def max_len(self):
        """T, by the name that it has in configs of other models that read a row at once."""
        return self.segment


class XLNet(Pretrained, Stack):
    """Blocks of two streams over embedded tokens: they turn ids into one vector for each position.

    Parameters
    ----------
    config : XLNetConfig
    rng : numpy.random.Generator
        Weights are normal(0, 0.02).
    dtype : float32 or float64

    Attributes
    ----------
    query : Parameter (D,)
        With what the query stream begins.

    Examples
    --------
    >>> body = XLNet(XLNetConfig(vocab_size=65, segment=8), rng=np.random.default_rng(0))
    >>> ids = np.array([[5, 6, 7], [5, 6, 7]])
    >>> body(ids, order=np.array([[0, 1, 2], [2, 0, 1]])).shape
    (2, 3, 128)
    """

    init = staticmethod(normal(0.02))

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        draw = {"rng": rng, "dtype": dtype, "init": self.init}
        super().__init__(
            Embedding(config.vocab_size, config.d_model, **draw),
            blocks_with_memory(config, TwoStreams, partial(RelativeSegments, pattern=FULL), **draw),
            norm=Dropout(config.dropout),
            dropout=config.dropout,
            max_len=config.segment,
            name="XLNet: ids",
        )
        self.query = Parameter(self.init(rng, (config.d_model,)).astype(dtype))

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.token.weight if self.config.tied_head else None

    def forward(self, ids, tape=None, *, order=None, n_context=0, segments=None, state=None):
        """Return a vector for each position.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        order : integers (B, T), optional
            Each row holds the positions in the order in which their words are predicted.
        n_context : int
            The number of words at the beginning of each order that are not predicted, and see one another.
        segments : integers (B, T), optional
            The part of the text that each word belongs to.
        state : State, optional
            Holds each block's memory of the rows before; afterwards, of these rows too.

        Returns
        -------
        array (B, T, D)
            The query stream, which predicts the word at each position; without an order the content stream.

        Raises
        ------
        TypeError, ValueError
            If ids do not have the shape (B, T) with T of at most ``segment``, an id is not in the vocabulary, an order is
            not a permutation, or segments do not have the shape of ids.
        """
        ids, two = check_rows("XLNet", ids), order is not None
        if segments is not None:
            check_shape("XLNet", "segments", np.asarray(segments), ids.shape, "ids of shape", ids.shape)
        settings, mask, last = {"segments": segments, "state": state}, None, None
        if two:
            check_shape("XLNet", "order", np.asarray(order), ids.shape, "ids of shape", ids.shape)
            masks = permutation_masks(order, n_context)
            mask, last = np.concatenate(masks, axis=2), masks[1]
        streams = [self._embed(ids, None, None, 0, tape)]
        if two:
            streams.append(self.dropout(np.broadcast_to(self.query.data, streams[0].shape), tape))
        x = np.concatenate(streams, axis=1)
        for block in self.blocks[:-1]:
            x = block(x, tape, streams=len(streams), mask=mask, **settings)
        *content, x = np.split(x, len(streams), axis=1)
        x = self.norm(self.blocks[-1](x, *content, tape, mask=last, **settings), tape)
        if tape is not None:
            tape.push(self, two)
        return x

    def backward(self, dx, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        two, t = tape.pop(self), dx.shape[1]
        dx, *dcontent = as_tuple(self.blocks[-1].backward(self.norm.backward(dx, tape), tape))
        dx = np.concatenate([*dcontent, dx], axis=1)
        for block in reversed(self.blocks[:-1]):
            dx = block.backward(dx, tape)
        if two:
            dquery = self.dropout.backward(dx[:, t:], tape)
            self.query.add_grad(dquery.sum(axis=(0, 1)), fresh=True)
        self._embed_backward(dx[:, :t], tape)
