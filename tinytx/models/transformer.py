"""The Transformer of "Attention is all you need" (Vaswani et al. 2017, arXiv:1706.03762): encoder and decoder.

The difference from `tinytx.models.gpt`, whose blocks are causal and read only their own text: the decoder's blocks also
read a memory, the output of an encoder, whose blocks see the whole source. A norm follows each part, where GPT has it
before each part, and none is at the end; the function inside the feed-forward layers is a ReLU; positions are sinusoids,
which are not learned; and embeddings are multiplied by sqrt(D). `tinytx.tasks.SequenceToSequence` trains it, and explains
its inputs.

`TransformerConfig.bart` is the encoder-decoder of BART (Lewis et al. 2019, arXiv:1910.13461), and
`TransformerConfig.marian` that of Marian's translators (Junczys-Dowmunt et al. 2018, arXiv:1804.00344). Both are made
of the same parts.

Padding has no effect on words. In a source, every attention masks it (`tinytx.layers.masks`). In a target it stands at
the end, where the causal mask hides it from all words before it.
"""

import math

import numpy as np

from tinytx.layers import Embedding, LayerNorm
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import xavier_uniform
from tinytx.models.config import MOST_LAYERS, check_heads, check_special_ids
from tinytx.models.encoder_decoder import EncoderDecoder
from tinytx.models.stacks import POSITIONS, Stack, make_blocks, make_positions
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting
from tinytx.shapes import check_shape


class TransformerConfig(Settings):
    """What a Transformer is made of; the defaults are the paper's base model."""

    source_vocab_size: int = setting(help="number of tokens of the source language", minimum=1)
    target_vocab_size: int = setting(help="number of tokens of the target language", minimum=1)
    d_model: int = setting(512, "width of the model, D", minimum=1)
    n_heads: int = setting(8, "attention heads, H, a divisor of D", minimum=1)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    n_encoder_layers: int = setting(6, "blocks of the encoder", minimum=1, maximum=MOST_LAYERS)
    n_decoder_layers: int = setting(6, "blocks of the decoder", minimum=1, maximum=MOST_LAYERS)
    max_len: int = setting(512, "tokens in the longest source, and in the longest input of the decoder", minimum=1)
    dropout: float = setting(
        0.1, "dropout of embeddings, attention weights and each part's output in training", minimum=0, below=1, free=True
    )
    attention_dropout: float | None = setting(
        None, "dropout of attention weights; as dropout if not given", minimum=0, below=1, free=True
    )
    feed_forward_dropout: float = setting(
        0.0, "dropout of the activations inside the feed-forward layers", minimum=0, below=1, free=True
    )
    norm_order: str = setting(
        "post", "layer norm after each part (the paper) or before it (easier to train)", choices=NORM_ORDERS
    )
    final_norm: bool | None = setting(
        None, "whether encoder and decoder end with one more layer norm; if not given, in pre-norm order only, where "
        "nothing else normalises the sum (torch.nn.Transformer has them in both)",
    )  # fmt: skip
    tied: str = setting(
        "three-way", "which layers share one matrix: three-way, both embeddings and the output layer (the paper, 3.4), "
        "with one vocabulary for both languages; two-way, the target's embedding and the output layer; none",
        choices=("three-way", "two-way", "none"),
    )  # fmt: skip
    scaled_embedding: bool = setting(True, "whether embeddings are multiplied by sqrt(D)")
    embedding_norm: bool = setting(False, "whether a layer norm follows the sum of the embeddings (BART)")
    positions: str = setting(
        "sinusoidal", "vectors of positions; doubled are the sinusoids of a popular tutorial, halves those of Marian "
        "(tinytx.ops.positions, equations (5) and (6))", choices=POSITIONS,
    )  # fmt: skip
    unused_positions: int = setting(
        0, "rows of a learned table of positions before that of the first position (BART: 2)", minimum=0, maximum=1024
    )
    activation: str = setting("relu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    pad_id: int = setting(0, "id of padding in both languages", minimum=0)
    start_id: int = setting(1, "id of the token before a target's first word", minimum=0)
    stop_id: int = setting(2, "id of the token after a target's last word", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        check_special_ids(self, ("pad_id", "stop_id"), self.target_vocab_size)
        check_special_ids(self, ("start_id",), self.target_vocab_size)  # BART starts with stop_id, Marian with pad_id
        check_special_ids(self, ("pad_id",), self.source_vocab_size)
        if self.tied == "three-way" and self.source_vocab_size != self.target_vocab_size:
            raise ValueError(
                f"TransformerConfig: tied is 'three-way', but source_vocab_size is {self.source_vocab_size} and "
                f"target_vocab_size {self.target_vocab_size}: one table needs one vocabulary; 'two-way' does not"
            )

    @classmethod
    def bart(cls, vocab_size=50265, **changes):
        """Return the config of BART, large: learned positions, a norm of the embeddings, GELU."""
        settings = {"d_model": 1024, "n_heads": 16, "n_encoder_layers": 12, "n_decoder_layers": 12, "max_len": 1024}
        settings |= {"scaled_embedding": False, "embedding_norm": True, "positions": "learned", "unused_positions": 2}
        settings |= {"activation": "gelu", "pad_id": 1, "start_id": 2, "stop_id": 2}
        return cls(vocab_size, vocab_size, **settings | changes)

    @classmethod
    def marian(cls, vocab_size=58101, **changes):
        """Return the config of a translator of OPUS-MT; the last id is that of padding."""
        settings = {"d_model": 512, "n_heads": 8, "d_ff": 2048, "positions": "halves", "activation": "silu"}
        settings |= {"pad_id": vocab_size - 1, "start_id": vocab_size - 1, "stop_id": 0}
        return cls(vocab_size, vocab_size, **settings | changes)

    @property
    def vocab_size(self):
        """The larger of the two sizes of vocabularies."""
        return max(self.source_vocab_size, self.target_vocab_size)

    @property
    def ends_with_norm(self):
        """Whether encoder and decoder end with one more layer norm."""
        return self.norm_order == "pre" if self.final_norm is None else self.final_norm


class Transformer(Pretrained, EncoderDecoder):
    """An encoder and a decoder: they turn source ids and target ids into one vector for each position of the target.

    Parameters
    ----------
    config : TransformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For every matrix, embeddings included. Biases start at 0, and the weights of layer norms at 1.

    Examples
    --------
    >>> config = TransformerConfig(20, 20, d_model=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1)
    >>> body = Transformer(config, rng=np.random.default_rng(0))
    >>> source, target = np.full((2, 5), 7), np.full((2, 3), 8)
    >>> body(source, target).shape
    (2, 3, 16)
    """

    def __init__(self, config, *, rng, dtype=np.float32, init=xavier_uniform):
        self.config, self.init = config, init
        d, draw = config.d_model, {"rng": rng, "dtype": dtype, "init": init}
        scale = math.sqrt(d) if config.scaled_embedding else 1.0
        dropouts = {"attention_dropout": config.attention_dropout, "feed_forward_dropout": config.feed_forward_dropout}
        source = target = Embedding(config.source_vocab_size, d, scale=scale, **draw)
        if config.tied != "three-way":
            target = Embedding(config.target_vocab_size, d, scale=scale, **draw)

        def stack(token, n_layers, name, **options):
            return Stack(
                token,
                make_blocks(config, n_layers, **dropouts, **options, **draw),
                position=make_positions(config, **draw),
                embedding_norm=LayerNorm(d, dtype=dtype) if config.embedding_norm else None,
                norm=LayerNorm(d, dtype=dtype) if config.ends_with_norm else None,
                dropout=config.dropout,
                max_len=config.max_len,
                name=f"Transformer: {name}",
            )

        self.encoder = stack(source, config.n_encoder_layers, "source")
        self.decoder = stack(target, config.n_decoder_layers, "target", pattern=CAUSAL, reads_memory=True)

    @property
    def output_table(self):
        """The parameter (V, D) that the output layer shares, or None if the output layer has its own."""
        return self.decoder.token.weight if self.config.tied != "none" else None

    def encode(self, source, tape=None):
        """Return the memory (B, S, D) of source ids (B, S).

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, or there are more than ``max_len`` positions.
        """
        source = np.asarray(source)
        return self.encoder(source, tape, mask=self.source_mask(source) if source.ndim == 2 else None)

    def decode(self, target, memory, source_mask, tape=None, *, state=None):
        """Return the decoder's vector for each position of the target.

        Parameters
        ----------
        target : integers (B, T)
            ``start_id`` and the words of the target so far; with a state, only the words that it does not hold yet.
        memory : array (B, S, D)
            From `encode`.
        source_mask : boolean array (B, 1, 1, S)
            From `source_mask`.
        tape : Tape, optional
        state : State, optional
            Holds the keys and values of the words before ``target``; those of ``target`` are added to it. It also holds
            the keys and values of the memory. Only the first call computes these, so a new memory needs a new state.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, the positions exceed ``max_len``, or shapes do not fit.
        """
        memory, source_mask, b = np.asarray(memory), np.asarray(source_mask), len(np.atleast_1d(target))
        expected = (b, memory.shape[1], self.config.d_model) if memory.ndim == 3 else (b, "S", self.config.d_model)
        check_shape("Transformer", "memory", memory, expected, b, "rows of target and d_model")
        mask_shape = (b, 1, 1, memory.shape[1])
        check_shape("Transformer", "source_mask", source_mask, mask_shape, "memory of shape", memory.shape)
        return self.decoder(target, memory, tape, memory_mask=source_mask, state=state)
