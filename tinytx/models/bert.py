"""BERT: an encoder that learns by filling in hidden words (Devlin et al. 2018, arXiv:1810.04805).

Some words of a text are hidden, and the model says them from the words on both sides; ``targets`` names each hidden
word at its position, and holds ``IGNORE`` everywhere else::

    ids      [CLS]   the    [MASK]   sat    [SEP]      what the encoder reads
    targets  -100    -100   cat      -100   -100       what it is to say

Only the hidden words' rows go through the output layer (`tinytx.ops.select_rows`): where one word in six is hidden, the
largest array of all, the logits, is a sixth of what it would be, and loss and gradients are the same.

A text can have two parts, ``[CLS] a [SEP] b [SEP]``: ``segments`` says which part a word belongs to, and the vector at
``[CLS]`` whether b followed a where they were found (``labels``: 0 if it did, 1 if not).

`BertConfig` is the paper's base model, and `BertConfig.tutorial` a well known small one, made of the same parts.
"""

from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers import Embedding, Linear, padding_mask
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal, uniform_fan_in
from tinytx.layers.linear import draw_biases
from tinytx.models.config import MOST_LAYERS, check_heads, check_special_ids
from tinytx.models.heads import MaskedWordHead, TextHead
from tinytx.models.stacks import POSITIONS, Encoder
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_shape

IGNORE = -100  # a target where nothing is to be said
INITS = {"normal": (normal(0.02), normal(0.02)), "pytorch": (uniform_fan_in, normal(1.0))}  # of matrices, embeddings


class BertConfig(Settings):
    """What a BERT is made of; the defaults are the paper's base model."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    max_len: int = setting(512, "tokens in the longest text", minimum=1)
    d_model: int = setting(768, "width of the model, D", minimum=1)
    n_heads: int = setting(12, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(12, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    n_segments: int = setting(2, "parts that a text can have; 0 for a model that does not tell them apart", minimum=0)
    dropout: float = setting(
        0.1, "dropout of attention weights and each part's output in training", minimum=0, below=1, free=True
    )
    embedding_dropout: float | None = setting(
        None, "dropout of the sum of the embeddings; as dropout if not given", minimum=0, below=1, free=True
    )
    feed_forward_dropout: float = setting(
        0.0, "dropout of the activations inside the feed-forward layers", minimum=0, below=1, free=True
    )
    norm_order: str = setting(
        "post", "layer norm after each part (the paper), or before it, with one more at the end", choices=NORM_ORDERS
    )
    embedding_norm: bool = setting(True, "whether a layer norm follows the sum of the embeddings")
    positions: str = setting(
        "learned", "vectors of positions; doubled are the tutorial's sinusoids (tinytx.ops.positions, equation (5))",
        choices=POSITIONS,
    )  # fmt: skip
    activation: str = setting("gelu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-12, "epsilon of every layer norm", above=0, below=1)
    head: str = setting(
        "tied", "output layer: tinytx.models.heads.MaskedWordHead, or one matrix", choices=("tied", "untied")
    )
    next_sentence: bool = setting(True, "whether the model also says if a text's second part followed the first")
    pad_id: int = setting(0, "id of padding", minimum=0)
    masks_padding: bool = setting(True, "whether attention to padding is hidden")
    init: str = setting(
        "normal", "matrices and embeddings normal(0, 0.02) and biases 0 (the paper); or PyTorch's defaults: embeddings "
        "normal(0, 1), a linear map's matrix and bias uniform in +-1/sqrt(d_in)", choices=sorted(INITS),
    )  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        check_special_ids(self, ("pad_id",), self.vocab_size)
        if self.next_sentence and self.n_segments < 2:
            raise ValueError(f"BertConfig: n_segments is {self.n_segments}, expected at least 2 with next_sentence")

    @classmethod
    def tutorial(cls, vocab_size, **changes):
        """Return the config of the from-scratch tutorial (Whiax, BERT-Transformer-Pytorch): 20 words, nothing beside.

        Its vocabulary ends with the three words that are none; padding is the first of them, and not masked.
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
            "head": "untied",
            "next_sentence": False,
            "pad_id": vocab_size - 3,
            "masks_padding": False,
            "init": "pytorch",
        }
        return cls(vocab_size, **settings | changes)

    @property
    def ends_with_norm(self):
        """Whether the encoder ends with one more layer norm: in pre-norm order, where nothing else does."""
        return self.norm_order == "pre"


class Bert(Layer):
    """An encoder, and a head for each of the two things that it is trained to say.

    Parameters
    ----------
    config : BertConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> model = Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> model(np.full((2, 5), 7)).shape
    (2, 5, 16)
    >>> model.fill(np.full((2, 5), 7), [1, 3]).shape
    (2, 2, 20)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, (init, init_embedding) = config.d_model, INITS[config.init]
        options = {"rng": rng, "dtype": dtype, "init": init}
        token = Embedding(config.vocab_size, d, rng=rng, dtype=dtype, init=init_embedding)
        self.encoder = Encoder(
            config,
            token,
            config.n_layers,
            "Bert: ids",
            init_embedding=init_embedding,
            n_segments=config.n_segments,
            embedding_norm=config.embedding_norm,
            embedding_dropout=config.embedding_dropout,
            feed_forward_dropout=config.feed_forward_dropout,
            eps=config.eps,
            **options,
        )
        if config.head == "tied":
            self.head = MaskedWordHead(token.weight, activation=config.activation, eps=config.eps, **options)
        else:
            self.head = Linear(d, config.vocab_size, bias=False, **options)
        self.next_sentence = TextHead(d, 2, **options) if config.next_sentence else None
        if config.init == "pytorch":
            draw_biases(self, rng)

    def forward(self, ids, tape=None, *, segments=None):
        """Return what the encoder makes of each word in its text.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        segments : integers (B, T), each in 0..n_segments-1, optional
            Without them, 0.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, there are more than ``max_len``, or segments do not fit.
        """
        ids, config = np.asarray(ids), self.config
        if segments is None:
            segments = np.zeros(ids.shape, np.int64)
        elif not config.n_segments:
            raise ValueError("Bert: segments are given, but the config's n_segments is 0: leave them out")
        else:
            segments = check_ids("Bert", segments, config.n_segments, what="segment")
        check_shape("Bert", "segments", segments, ids.shape, "ids of shape", ids.shape)
        mask = padding_mask(ids, config.pad_id) if config.masks_padding and ids.ndim == 2 else None
        return self.encoder(ids, tape, mask=mask, segments=segments)

    def backward(self, dhidden, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        self.encoder.backward(dhidden, tape)

    def mlm_logits(self, hidden, tape=None):
        """Return the logits (..., V) of the word behind each of ``hidden`` (..., D): `forward`, or rows of it."""
        return self.head(hidden, tape)

    def next_sentence_logits(self, hidden, tape=None):
        """Return the logits (B, 2) of `forward`'s texts (B, T, D): the second part followed the first, or did not.

        Raises
        ------
        ValueError
            If the model has no such head.
        """
        if not self.next_sentence:
            raise ValueError("Bert: next_sentence is False in this model's config: it says nothing about whole texts")
        return self.next_sentence(hidden, tape)

    def fill(self, ids, positions, *, segments=None):
        """Return how probable each word is at some positions.

        Parameters
        ----------
        ids : integers (B, T)
        positions : integers (n,), or (B, n) where each text has its own
            Each in 0..T-1.
        segments : integers (B, T), optional

        Returns
        -------
        array (B, n, V)
        """
        hidden = self(ids, segments=segments)
        b, t, _ = hidden.shape
        positions = np.atleast_1d(check_ids("Bert", positions, t, what="position"))
        n = positions.shape[-1]
        if positions.ndim > 1:
            check_shape("Bert", "positions", positions, (b, n), "ids of shape", (b, t))
        rows = np.broadcast_to(positions, (b, n)) + t * np.arange(b)[:, None]
        logits = self.mlm_logits(ops.select_rows(hidden, rows.reshape(-1))[0])  # (B·n, V)
        return ops.softmax(logits)[0].reshape(b, n, self.config.vocab_size)

    def loss(self, ids, targets, segments=None, labels=None, tape=None, *, count=None):
        """Return the mean loss per hidden word, plus the mean loss per text, in nats: one of them may be over nothing.

        Parameters
        ----------
        ids, targets : integers (B, T)
            Where a target is ``IGNORE``, nothing is to be said.
        segments : integers (B, T), optional
        labels : integers (B,)
            For a model that says if the second part followed: 0, 1, or ``IGNORE``.
        tape : Tape, optional
        count : array (2,), optional
            `count` of the whole batch, where this is a part of it.

        Raises
        ------
        TypeError, ValueError
            If a target or label is out of range, shapes do not fit, labels are missing or one too many, or nothing counts.
        """
        n_words, n_texts = (int(n) for n in (self.count(ids, targets, segments, labels) if count is None else count))
        if count is None and not n_words + n_texts:
            raise ValueError(f"Bert: all targets are {IGNORE}: a mean over nothing. For a part of a batch give count")
        targets = check_ids("Bert", targets, self.config.vocab_size, what="target", allowed=IGNORE)
        check_shape("Bert", "targets", targets, np.shape(ids), "ids of shape", np.shape(ids))
        labels = self._checked(labels, len(targets))
        hidden = self(ids, tape, segments=segments)  # (B, T, D)
        masked = np.flatnonzero(targets != IGNORE)  # (n,)
        x, rows = ops.select_rows(hidden, masked)  # (n, D)
        loss, words = ops.cross_entropy(self.mlm_logits(x, tape), targets.reshape(-1)[masked], count=n_words)
        texts = None
        if self.next_sentence:
            text_loss, texts = ops.cross_entropy(self.next_sentence_logits(hidden, tape), labels, count=n_texts)
            loss += text_loss
        if tape is not None:
            tape.push(self, _Saved(rows, words, texts))
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        rows, words, texts = tape.pop(self)
        dtext = self.next_sentence.backward(ops.cross_entropy_backward(1.0, texts), tape) if texts else None
        dx = self.head.backward(ops.cross_entropy_backward(1.0, words), tape)  # (n, D)
        dhidden = ops.select_rows_backward(dx, rows)  # (B, T, D)
        self.backward(dhidden if dtext is None else dhidden + dtext, tape)

    def count(self, ids, targets, segments=None, labels=None):
        """Return by what `loss` divides, an array (2,): hidden words, and texts with a label."""
        n_texts = ops.count_targets(labels, IGNORE) if self.next_sentence and labels is not None else 0
        return np.array([ops.count_targets(targets, IGNORE), n_texts])

    def _checked(self, labels, b):
        """Return labels (B,), if this model has a use for them."""
        wanted = self.config.next_sentence
        if wanted == (labels is None):
            found = "missing" if wanted else "given"
            raise ValueError(f"Bert: labels are {found}, and next_sentence is {wanted} in the model's config")
        if not wanted:
            return None
        labels = check_ids("Bert", labels, 2, what="label", allowed=IGNORE)
        check_shape("Bert", "labels", labels, (b,), "targets of", b, "rows")
        return labels


class _Saved(NamedTuple):
    rows: tuple  # of `select_rows`: those of the hidden words
    words: tuple  # of `cross_entropy`
    texts: tuple  # of `cross_entropy`, or None
