"""BERT: an encoder that learns by filling in hidden words (Devlin et al. 2018, arXiv:1810.04805).

It is the encoder of a `Transformer` with five differences: positions are learned, embeddings are not multiplied by
sqrt(D), a norm follows the sum of the embeddings, a vector for each segment says which part of a text a word belongs to,
and the activation is a GELU. `tinytx.tasks.HiddenWords` trains it.

`BertConfig` is the paper's base model, and `BertConfig.tutorial` is a well known small one, made of the same parts.
`BertConfig.roberta` is RoBERTa (Liu et al. 2019, arXiv:1907.11692): a BERT with one segment that was trained longer, on
other batches. Its positions count only words, not padding: the first word of a text has the row ``pad_id + 1`` of the
table, and padding has the row ``pad_id``. So a text's vectors do not depend on where its padding stands.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import DotProduct, Embedding, LayerNorm, MultiHeadAttention, padding_mask
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal, uniform_fan_in
from tinytx.layers.linear import draw_biases
from tinytx.models.config import MOST_LAYERS, check_heads, check_special_ids
from tinytx.models.stacks import POSITIONS, Stack, make_blocks, make_positions
from tinytx.ops.attention_patterns import FULL
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_shape

INITS = {  # of matrices, of embeddings
    "normal": (normal(0.02), normal(0.02)),
    "fan_in": (uniform_fan_in, normal(0.02)),
    "pytorch": (uniform_fan_in, normal(1.0)),
}


class BertConfig(Settings):
    """What a BERT is made of; the defaults are the paper's base model."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(512, "tokens in the longest text", minimum=1)
    d_model: int = setting(768, "width of the model, D", minimum=1)
    n_heads: int = setting(12, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(12, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    n_segments: int = setting(2, "parts that a text can have; 0 for a model without vectors of segments", minimum=0)
    dropout: float = setting(
        0.1, "dropout of attention weights and each part's output in training", minimum=0, below=1, free=True
    )
    embedding_dropout: float | None = setting(
        None, "dropout of the sum of the embeddings; as dropout if not given", minimum=0, below=1, free=True
    )
    attention_dropout: float | None = setting(
        None, "dropout of attention weights; as dropout if not given", minimum=0, below=1, free=True
    )
    feed_forward_dropout: float = setting(
        0.0, "dropout of the activations inside the feed-forward layers", minimum=0, below=1, free=True
    )
    norm_order: str = setting(
        "post", "layer norm after each part (the paper), or before it, with one more at the end", choices=NORM_ORDERS
    )
    embedding_norm: bool = setting(True, "whether a layer norm follows the sum of the embeddings")
    positions: str = setting(
        "learned", "vectors of positions; doubled are the tutorial's sinusoids (tinytx.ops.positions, equation (5)); counted "
        "are learned ones that leave out padding (RoBERTa)", choices=(*POSITIONS, "counted"),
    )  # fmt: skip
    activation: str = setting("gelu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-12, "epsilon of every layer norm", above=0, below=1)
    pad_id: int = setting(0, "id of padding", minimum=0)
    masks_padding: bool = setting(True, "whether attention to padding is masked")
    recompute: int = setting(
        0, "blocks that are computed a second time in backward together, to save memory; 0 for none; 1 saves most where there "
        "are fewer than about 28 blocks, and more of them together where there are more",
        minimum=0, free=True,
    )  # fmt: skip
    init: str = setting(
        "normal", "matrices and embeddings normal(0, 0.02) and biases 0 (the paper); fan_in: matrices uniform in "
        "+-1/sqrt(d_in), with which a narrow model learns sooner; or PyTorch's defaults: embeddings normal(0, 1), a linear map's "
        "matrix and bias uniform in +-1/sqrt(d_in)", choices=sorted(INITS),
    )  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        check_special_ids(self, ("pad_id",), self.vocab_size)

    @classmethod
    def tutorial(cls, vocab_size, **changes):
        """Return the config of the from-scratch tutorial (Whiax, BERT-Transformer-Pytorch): texts of at most 20 words.

        The last three ids of its vocabulary are special tokens. The first of them is padding, which attention sees. Its
        `tinytx.tasks.HiddenWords` has ``head="untied"``.
        """
        settings = {
            "max_len": 20,
            "d_model": 128,
            "n_heads": 8,
            "n_layers": 8,
            "d_ff": 512,
            "n_segments": 0,
            "dropout": 0.1,
            "embedding_dropout": 0.0,
            "feed_forward_dropout": 0.1,
            "norm_order": "pre",
            "embedding_norm": False,
            "positions": "doubled",
            "activation": "relu",
            "eps": 1e-5,
            "pad_id": vocab_size - 3,
            "masks_padding": False,
            "init": "pytorch",
        }
        return cls(vocab_size, **settings | changes)

    @classmethod
    def roberta(cls, vocab_size=50265, **changes):
        """Return the config of RoBERTa's base model, whose tokens are byte pairs."""
        return cls(vocab_size, **{"n_segments": 1, "positions": "counted", "eps": 1e-5, "pad_id": 1} | changes)


def counted_places(ids, pad_id):
    """Return the row of each word in RoBERTa's table of positions.

    The n-th word of a text, counted from 0, has the row pad_id + 1 + n. Padding has the row pad_id.

    Parameters
    ----------
    ids : integers (B, T)
    pad_id : int

    Returns
    -------
    integers (B, T)

    Examples
    --------
    >>> counted_places(np.array([[1, 7, 8, 9, 1]]), pad_id=1)
    array([[1, 2, 3, 4, 1]])
    """
    words = ids != pad_id
    return np.where(words, np.cumsum(words, axis=-1), 0) + pad_id


class Bert(Pretrained, Layer):
    """An encoder of texts in one or two parts: it turns ids into one vector for each position.

    Parameters
    ----------
    config : BertConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> body = Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7)).shape
    (2, 5, 16)
    """

    attention_kind = MultiHeadAttention

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.init, init_embedding = INITS[config.init]
        d, eps, draw = config.d_model, config.eps, {"rng": rng, "dtype": dtype}
        embedding = {**draw, "init": init_embedding}
        p = config.dropout if config.embedding_dropout is None else config.embedding_dropout
        counted = config.positions == "counted"
        self.encoder = Stack(
            Embedding(config.vocab_size, d, **embedding),
            make_blocks(
                config, config.n_layers, core=self.core_maker(**draw), attention_kind=self.attention_kind,
                attention_dropout=config.attention_dropout, feed_forward_dropout=config.feed_forward_dropout, eps=eps, init=self.init, **draw,
            ),
            segment=Embedding(config.n_segments, d, **embedding) if config.n_segments else None,
            position=None if counted else make_positions(config, **embedding),
            place=Embedding(config.pad_id + 1 + config.max_len, d, **embedding) if counted else None,
            embedding_norm=LayerNorm(d, eps=eps, dtype=dtype) if config.embedding_norm else None,
            norm=LayerNorm(d, eps=eps, dtype=dtype) if config.norm_order == "pre" else None,
            dropout=p,
            recompute=config.recompute,
            max_len=config.max_len,
            name="Bert: ids",
        )
        self.draws_biases = config.init == "pytorch"
        if self.draws_biases:
            draw_biases(self, rng)

    def core_maker(self, **draw):
        """Return the function that makes the core of a block's attention; ``draw`` are ``rng`` and ``dtype``."""
        return DotProduct

    @property
    def output_table(self):
        """The parameter (V, D) that an output layer may share."""
        return self.encoder.token.weight

    def forward(self, ids, tape=None, *, segments=None, pattern=FULL, state=None, **settings):
        """Return a vector for each word, which depends on the whole text.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        segments : integers (B, T), each in 0..n_segments-1, optional
            All 0 if not given.
        pattern : Pattern
            Which words a word may see, such as ``CAUSAL | Prefix(n)``, in addition to the mask of padding.
        state : State, optional
            Holds the words before ``ids``; those of ``ids`` are added to it. With a state padding is not masked, so
            there must be none.
        **settings
            Further settings of the blocks.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, the positions exceed ``max_len``, or segments do not fit.
        """
        ids, config, place = np.asarray(ids), self.config, type(self).__name__
        if segments is None:
            segments = np.zeros(ids.shape, np.int64)
        elif not config.n_segments:
            raise ValueError(f"{place}: segments are given, but the config's n_segments is 0: leave them out")
        else:
            segments = check_ids(place, segments, config.n_segments, what="segment")
        check_shape(place, "segments", segments, ids.shape, "ids of shape", ids.shape)
        mask = padding_mask(ids, config.pad_id) if config.masks_padding and ids.ndim == 2 and state is None else None
        places = counted_places(ids, config.pad_id) if self.encoder.place and ids.ndim == 2 else None
        if places is not None and state is not None:
            places = places + state.length
        settings |= {"pattern": pattern} if pattern is not FULL else {}
        return self.encoder(ids, tape, mask=mask, segments=segments, places=places, state=state, **settings)

    def backward(self, dhidden, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        self.encoder.backward(dhidden, tape)
