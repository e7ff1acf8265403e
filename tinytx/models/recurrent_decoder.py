"""Decoders of recurrent nets: with attention after the recurrent layers, in their loop, or without it."""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import (
    Activation,
    Additive,
    DotProduct,
    Dropout,
    Embedding,
    Linear,
    Maxout,
    RecurrentStack,
    Sequential,
    SingleHeadAttention,
)
from tinytx.layers.recurrent import CELLS
from tinytx.models.attention_in_loop import AttentionBefore, InputFeeding


def widths(config):
    """Return the width of what each recurrent layer of a side reads."""
    return [config.d_embedding, *[config.d_model] * (config.n_layers - 1)]


def make_attention(score, r, **draw):
    """Return the attention of a score: h . W_a m is "general", h . m "dot"; "additive" adds W_a h and U_a m."""
    linear = {"bias": False, **draw}
    if score == "additive":
        return SingleHeadAttention(Additive(1, r, **draw), query=Linear(r, r, **linear), key=Linear(r, r, **linear))
    return SingleHeadAttention(DotProduct(scale=1.0), query=Linear(r, r, **linear) if score == "general" else None)


def squashed(d_in, r, **draw):
    """Return a linear map and tanh."""
    return Sequential(Linear(d_in, r, bias=False, **draw), Activation("tanh"))


def larger_halves(d_in, r, **draw):
    """Return a linear map to twice as many numbers, of which the larger of each two neighbours goes on."""
    return Sequential(Linear(d_in, 2 * r, bias=False, **draw), Maxout())


READOUTS = {"tanh": squashed, "maxout": larger_halves}  # make a decoder's vector of what stands beside each other: [c; h]


class RecurrentDecoder(Layer):
    """Recurrent layers over the embedded target, and then attention to the annotations, if the config has one."""

    reads_back = False  # whether the recurrent layers read what attention found

    def __init__(self, config, **draw):
        r, cell = config.d_model, CELLS[config.cell]
        self.token, self.dropout = Embedding(config.target_vocab_size, config.d_embedding, **draw), Dropout(config.dropout)
        first, *others = widths(config)
        self.d_summary = r if config.reads_summary else 0
        layers = [cell(d_in, r, **draw) for d_in in (first + self.d_summary + r * self.reads_back, *others)]
        self.layers, self.summary = RecurrentStack(layers, dropout=config.dropout), -layers[-1].n_states
        self.cross_attention = make_attention(config.attention, r, **draw) if config.attends else None
        self.combine = READOUTS[config.readout](self._d_combined(config), r, **draw) if config.attends else None

    def _d_combined(self, config):
        """Return the width of what `combine` reads."""
        return 2 * config.d_model

    def forward(self, ids, memory, tape=None, *, mask=None, state=None):
        """Return the vectors (B, T, R) of ids (B, T).

        Parameters
        ----------
        ids : integers (B, T)
        memory : array (B, N + S, R), or (B, N, R) without attention
        tape : Tape, optional
        mask : boolean array (B, 1, 1, S), optional
            True where the source is not padding.
        state : State, optional
            Holds the recurrent states after the words before ``ids``, and the keys of the annotations.
        """
        states, annotations = np.split(memory, [self.layers.n_states], axis=1)
        x = self.dropout(self.token(ids, tape), tape)
        if self.d_summary:
            summary = np.broadcast_to(states[:, self.summary, None], (*x.shape[:2], self.d_summary))
            x = np.concatenate([x, summary], axis=2)
        return self.dropout(self._read(x, states, annotations, tape, mask, state), tape)

    def backward(self, dh, tape):
        """Return (None, dmemory): ids have no gradient."""
        dx, dstates, *dannotations = self._read_backward(self.dropout.backward(dh, tape), tape)
        if self.d_summary:
            dx, dsummary = np.split(dx, [dx.shape[2] - self.d_summary], axis=2)
            dstates[:, self.summary] += dsummary.sum(axis=1)  # every position reads it
        self.token.backward(self.dropout.backward(dx, tape), tape)
        return None, np.concatenate([dstates, *dannotations], axis=1)

    def _read(self, x, states, annotations, tape, mask, state):
        """Return the vectors (B, T, R) of x (B, T, D), beginning with states (B, N, R) of the encoder."""
        slot = None if state is None else state.next()
        initial = slot.arrays if slot and slot.arrays else states.swapaxes(0, 1)
        h, *final = self.layers(x, *initial, tape, final=True)
        if slot:
            slot.arrays = tuple(final)
        if self.cross_attention:
            context = self.cross_attention(h, annotations, tape, mask=mask, state=state)
            h = self.combine(np.concatenate([context, h], axis=2), tape)
        return h

    def _read_backward(self, dh, tape):
        """Return (dx, dstates, and dannotations if there is attention)."""
        dannotations = []
        if self.cross_attention:
            dcontext, dh = np.split(self.combine.backward(dh, tape), 2, axis=2)
            dquery, annotations = self.cross_attention.backward(dcontext, tape)
            dh, dannotations = dh + dquery, [annotations]
        dx, *dinitial = self.layers.backward((dh, *[None] * self.layers.n_states), tape)
        return dx, np.stack(dinitial, axis=1), *dannotations


class FeedingDecoder(RecurrentDecoder):
    """A decoder whose recurrent layers also read the vector of the position before (Luong et al. 2015)."""

    reads_back = True

    def __init__(self, config, **draw):
        super().__init__(config, **draw)
        self.cross_attention = self._in_loop()

    def _in_loop(self):
        """Return the layer that takes the place of the attention."""
        return InputFeeding(self.layers, self.cross_attention, self.combine)

    def _read(self, x, states, annotations, tape, mask, state):
        return self.cross_attention(x, annotations, *states.swapaxes(0, 1), tape, mask=mask, state=state)

    def _read_backward(self, dh, tape):
        dx, dannotations, *dinitial = self.cross_attention.backward(dh, tape)
        return dx, np.stack(dinitial, axis=1), dannotations


class BahdanauDecoder(FeedingDecoder):
    """A decoder that looks before it reads a word (Bahdanau et al. 2014).

    It begins with tanh(Ws h), where h is the final state of the encoder's layer from the right: that of the first word. A
    vector is tanh(Wc [s_t; c_t; x_t]) of the new state, the context and the embedded word. The paper has maxout in place of
    tanh, as ``readout`` has it, and there s_(t-1).
    """

    def __init__(self, config, **draw):
        super().__init__(config, **draw)
        self.first = squashed(config.d_model // 2, config.d_model, **draw)

    def _in_loop(self):
        return AttentionBefore(self.layers, self.cross_attention)

    def _d_combined(self, config):
        return 2 * config.d_model + config.d_embedding + self.d_summary

    def _read(self, x, states, annotations, tape, mask, state):
        initial = self.first(states[:, :, states.shape[2] // 2 :], tape)
        return self.combine(np.concatenate([super()._read(x, initial, annotations, tape, mask, state), x], axis=2), tape)

    def _read_backward(self, dh, tape):
        dy, dx = np.split(self.combine.backward(dh, tape), [2 * dh.shape[2]], axis=2)
        dread, dinitial, dannotations = super()._read_backward(dy, tape)
        dright = self.first.backward(dinitial, tape)
        return dx + dread, np.concatenate([np.zeros_like(dright), dright], axis=2), dannotations


DECODERS = {"after": RecurrentDecoder, "feeding": FeedingDecoder, "before": BahdanauDecoder}  # configs say the wiring
