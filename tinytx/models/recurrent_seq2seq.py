"""Encoder-decoders of recurrent nets: what the Transformer replaced, without attention and with it.

The difference from `tinytx.models.transformer`: each side carries a state along its text, and does not look back at
earlier positions of its own. The decoder begins with the state that the encoder ended with.

* Without attention this state is all that the decoder knows of the source, however long that is (Sutskever et al. 2014,
  arXiv:1409.3215). With ``reads_summary`` the decoder also reads it at each position (Cho et al. 2014,
  arXiv:1406.1078).
* With attention the encoder's outputs at all positions, the *annotations*, are a memory. At each position of the target
  the decoder reads their weighted mean, the context c, with weights that depend on its own output h. Its vector is
  tanh(Wc [c; h]) (Luong et al. 2015, arXiv:1508.04025, equation 5); with ``readout="maxout"`` the map has twice as many
  rows, and the larger of each two neighbours goes on (Bahdanau et al.).

By default (``wiring="after"``) the query is the decoder's output h after it has read a word, and the context does not go
back into the recurrence. So in training the decoder runs over all words of the target first, and then one attention serves
all positions at once. In two other wirings attention is a part of each step (`tinytx.models.attention_in_loop`): Luong et
al. feed the vector to the next step, too ("feeding"); Bahdanau et al. (arXiv:1409.0473), whose score is "additive", have
the query before the word is read, and read the context with the word ("before").

The memory of both sides' interface is one array (B, N + S, R): the N arrays of the encoder's final state, and then the
annotations of S positions; without attention it ends after the states, and its size does not depend on the source's.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Bidirectional, Dropout, Embedding, RecurrentStack
from tinytx.layers.recurrent import CELLS
from tinytx.models.config import MOST_LAYERS, check_special_ids
from tinytx.models.encoder_decoder import EncoderDecoder
from tinytx.models.recurrent_decoder import DECODERS, widths
from tinytx.settings import Settings, setting
from tinytx.shapes import check_rows, check_shape

ATTENDS = {"attention": ("additive", "dot", "general")}


class RecurrentSeq2SeqConfig(Settings):
    """What an encoder-decoder of recurrent nets is made of."""

    source_vocab_size: int = setting(help="number of tokens of the source language", minimum=1)
    target_vocab_size: int = setting(help="number of tokens of the target language", minimum=1)
    d_embedding: int = setting(64, "width of the embedded tokens", minimum=1)
    d_model: int = setting(128, "width of the states and of the annotations, R", minimum=1)
    cell: str = setting("lstm", "what a recurrent layer consists of", choices=sorted(CELLS))
    n_layers: int = setting(1, "recurrent layers of each side, one above the other", minimum=1, maximum=MOST_LAYERS)
    reads: str = setting(
        "both", "from where the encoder reads a source: left; right, so that what it read last is the start of the "
        "sentence (Sutskever et al.); both, with states of R / 2 each (Bahdanau et al.)", choices=("both", "left", "right"),
    )  # fmt: skip
    attention: str = setting(
        "none", "score by which the decoder chooses among the annotations; with none it knows the encoder's final state "
        "alone", choices=("none", "additive", "dot", "general"),
    )  # fmt: skip
    wiring: str = setting(
        "after", "where attention stands: after the recurrent layers, whose output is the query; there, and its result is "
        "read with the next word (feeding, Luong et al.); before them, with the old state as the query, and the context is "
        "read with the word (Bahdanau et al.)", choices=("after", "feeding", "before"), only=ATTENDS,
    )  # fmt: skip
    readout: str = setting(
        "tanh", "what makes the decoder's vector of context and output, after a linear map: tanh (Luong et al.), or of each two "
        "neighbours the larger one (Bahdanau et al.)", choices=("tanh", "maxout"), only=ATTENDS,
    )  # fmt: skip
    reads_summary: bool = setting(False, "whether the decoder reads the encoder's final output at each position")
    max_len: int = setting(512, "tokens in the longest source, and in the longest target that is written", minimum=1)
    dropout: float = setting(
        0.0, "dropout of the embedded tokens and of each layer's output in training", minimum=0, below=1, free=True
    )
    pad_id: int = setting(0, "id of padding in both languages", minimum=0)
    start_id: int = setting(1, "id of the token before a target's first word", minimum=0)
    stop_id: int = setting(2, "id of the token after a target's last word", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id", "start_id", "stop_id"), self.target_vocab_size)
        check_special_ids(self, ("pad_id",), self.source_vocab_size)
        if self.reads == "both" and self.d_model % 2:
            facts = f"reads is 'both', and d_model {self.d_model} has no half for each direction"
            raise ValueError(f"RecurrentSeq2SeqConfig: {facts}: give an even d_model")

        if self.wiring != "after" and not self.attends:
            facts = f"wiring is {self.wiring!r}, and attention 'none': give one of {', '.join(ATTENDS['attention'])}"
            raise ValueError(f"RecurrentSeq2SeqConfig: {facts}")
        if self.wiring == "before" and self.reads != "both":
            facts = f"wiring is 'before', and reads {self.reads!r}: it begins with the state of the layer from the right"
            raise ValueError(f"RecurrentSeq2SeqConfig: {facts}: give 'both'")

    @property
    def attends(self):
        """Whether the decoder has attention."""
        return self.attention != "none"

    @property
    def vocab_size(self):
        """The larger of the two sizes of vocabularies."""
        return max(self.source_vocab_size, self.target_vocab_size)


class RecurrentEncoder(Layer):
    """Recurrent layers over the embedded source: they make the memory. The parameters are those of `RecurrentSeq2Seq`."""

    def __init__(self, config, **draw):
        cell, both = CELLS[config.cell], config.reads == "both"
        width = config.d_model // 2 if both else config.d_model

        def layer(d_in):
            if both:
                return Bidirectional(cell(d_in, width, **draw), cell(d_in, width, reverse=True, **draw))
            return cell(d_in, width, reverse=config.reads == "right", **draw)

        self.has_annotations, self.shape = config.attends, (config.n_layers, 2 if both else 1)
        self.token, self.dropout = Embedding(config.source_vocab_size, config.d_embedding, **draw), Dropout(config.dropout)
        self.layers = RecurrentStack([layer(d_in) for d_in in widths(config)], dropout=config.dropout)

    def forward(self, ids, tape=None, *, mask):
        """Return the memory (B, N + S, R), or (B, N, R), of ids (B, S)."""
        x = self.dropout(self.token(ids, tape), tape)
        y, *states = self.layers(x, tape, mask=mask, final=True)
        states = self._beside(states)
        if tape is not None:
            tape.push(self, states.shape)
        return np.concatenate([states, y], axis=1) if self.has_annotations else states

    def backward(self, dmemory, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        n = tape.pop(self)[1]
        dy = dmemory[:, n:] if self.has_annotations else None
        dx = self.layers.backward((dy, *self._apart(dmemory[:, :n])), tape)
        self.token.backward(self.dropout.backward(dx, tape), tape)

    def _beside(self, states):
        """N D arrays (B, R / D) of D directions, layer by layer -> (B, N, R), directions beside each other."""
        b, width = states[0].shape
        arrays = np.stack(states).reshape(*self.shape, -1, b, width)  # layers, directions, arrays of a cell
        return arrays.transpose(3, 0, 2, 1, 4).reshape(b, -1, self.shape[1] * width)

    def _apart(self, dstates):
        """Return what `_beside` was given, of (B, N, R)."""
        n_layers, directions = self.shape
        arrays = dstates.reshape(len(dstates), n_layers, -1, directions, dstates.shape[2] // directions)
        return [*arrays.transpose(1, 3, 2, 0, 4).reshape(-1, len(dstates), arrays.shape[4])]


class RecurrentSeq2Seq(EncoderDecoder):
    """A recurrent encoder and decoder: they turn source ids and target ids into one vector for each target position.

    Parameters
    ----------
    config : RecurrentSeq2SeqConfig
    rng : numpy.random.Generator
        Embeddings are normal(0, 1); the other layers draw their own weights.
    dtype : float32 or float64

    Examples
    --------
    >>> body = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(20, 20, attention="additive"), rng=np.random.default_rng(0))
    >>> source, target = np.full((2, 5), 7), np.full((2, 3), 8)
    >>> body.encode(source).shape, body(source, target).shape  # h and c of the encoder, and five annotations
    ((2, 7, 128), (2, 3, 128))
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw = config, {"rng": rng, "dtype": dtype}
        self.encoder, self.decoder = RecurrentEncoder(config, **draw), DECODERS[config.wiring](config, **draw)

    def encode(self, source, tape=None):
        """Return the memory of source ids (B, S): (B, N + S, R), or (B, N, R) without attention.

        Raises
        ------
        ValueError
            If ids do not have the shape (B, S), or an id is not in the vocabulary.
        """
        source = check_rows("RecurrentSeq2Seq", source, "source")
        return self.encoder(source, tape, mask=source != self.config.pad_id)

    def decode(self, target, memory, source_mask, tape=None, *, state=None):
        """Return the decoder's vector for each position of the target.

        Parameters
        ----------
        target : integers (B, T)
            ``start_id`` and the words of the target so far; with a state, only the words that it does not hold yet.
        memory : array (B, N + S, R), or (B, N, R) without attention
            From `encode`.
        source_mask : boolean array (B, 1, 1, S)
            From `source_mask`.
        tape : Tape, optional
        state : State, optional
            Holds the recurrent states after the words before ``target``; the call replaces them. It also holds the keys
            of the annotations, which only the first call computes, so a new memory needs a new state.

        Returns
        -------
        array (B, T, R)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, or shapes do not fit.
        """
        target, memory, source_mask = check_rows("RecurrentSeq2Seq", target, "target"), np.asarray(memory), np.asarray(source_mask)
        n_positions = source_mask.shape[-1] if self.config.attends else 0
        expected = (len(target), self.decoder.layers.n_states + n_positions, self.config.d_model)
        check_shape("RecurrentSeq2Seq", "memory", memory, expected, "target of shape", target.shape, "and source_mask")
        mask_shape = (len(target), 1, 1, source_mask.shape[-1])
        check_shape("RecurrentSeq2Seq", "source_mask", source_mask, mask_shape, "target of shape", target.shape)
        return self.decoder(target, memory, tape, mask=source_mask, state=state)
