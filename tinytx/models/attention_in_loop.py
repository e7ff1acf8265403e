"""Recurrent layers with attention in their loop: what a step finds in a memory has a part in the next step.

With s for the state of the recurrent layers, x_t for the embedded word, m_s for the memory and c_t for the context, the
mean of the memory with the weights softmax(score(query, m_s)), a step is either of

    c_t = attention(s_(t-1)),   s_t = cell([x_t; c_t], s_(t-1)),   y_t = [s_t; c_t]                        (1)

(Bahdanau et al. 2014, arXiv:1409.0473), where the query is the state before the word is read; or

    s_t = cell([x_t; y_(t-1)], s_(t-1)),   c_t = attention(s_t),   y_t = tanh(Wc [c_t; s_t])               (2)

(Luong et al. 2015, arXiv:1508.04025, section 3.3), where the output is fed to the next step: y_0 is 0. Without it (2) is
what `tinytx.models.recurrent_seq2seq` has by default, and attention waits until the loop has ended.

Backward goes from the last step to the first, and in each step through the same parts in the opposite order. So attention
comes after the cell in (1), and before it in (2). The old state of (1) gets its gradient on three ways: through the cell,
which has two (what a gate lets through, and the product with Wh), and as the query,

    ds_(t-1) = (what the cell sends) + dquery_t;   dc_t = (what y_t gives it) + (what the cell gives its input).   (3)

The output of (2) is read by the next step and by the loss:

    dy_t = (what the loss gives it) + (what the cell of step t + 1 gives its input).                      (4)

Keys are the same in all steps. They are made once, and their gradient is the sum over all steps:

    dk_s = sum_t dk_ts,   dm_s = (what dk_s sends through the map of keys) + sum_t a_ts dc_t.             (5)
"""

import numpy as np

from tinytx.core import Layer


class AttentionInLoop(Layer):
    """What (1) and (2) share: the loop, the keys, the state. A class says what a step is.

    Parameters
    ----------
    layers : RecurrentStack
        The last layer's output h is the query.
    attention : SingleHeadAttention
        Whose maps and core are used.
    """

    n_fed = 0  # arrays that go along beside the states

    def __init__(self, layers, attention):
        self.layers, self.query, self.key, self.core = layers, attention.query, attention.key, attention.core

    def forward(self, x, memory, *initial, tape=None, mask=None, state=None):
        """Return the output of each position.

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, E)
        *initial : arrays (B, R)
            The states of all layers before the first position.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, 1, 1, S), optional
            True where attention is allowed.
        state : State, optional
            Holds what the last call ended with, which is then taken in place of ``initial``, and the keys.

        Returns
        -------
        array (B, T, W)
        """
        return self._along(x, memory, initial, tape, mask, state, [])

    def attention_weights(self, x, memory, *initial, mask=None, state=None):
        """Return the attention weights (B, 1, T, S), without dropout, for pictures. Arguments as for `forward`."""
        watched = []
        self._along(x, memory, initial, None, mask, state, watched, self.core.weights)
        return np.concatenate(watched, axis=2)

    def queries_and_keys(self, x, memory, *initial, mask=None, state=None):
        """Return the `Compared` queries of all steps, and keys, for pictures. Arguments as for `forward`."""
        watched = []
        self._along(x, memory, initial, None, mask, state, watched, self.core.compared)
        return watched[0]._replace(queries=np.concatenate([step.queries for step in watched], axis=2))

    def backward(self, dy, tape):
        """Return (dx, dmemory, *dinitial)."""
        parts, dcarried = [], [None] * (self.layers.n_states + self.n_fed)
        for t in reversed(range(dy.shape[1])):
            dx, dcarried, *dread = self._step_backward(dy[:, t : t + 1], dcarried, tape)
            parts.append((dx, *dread))
        dx, dk, dv = zip(*parts)
        dmemory = self.key.backward(sum(dk), tape) + sum(dv)  # (5)
        return np.concatenate(dx[::-1], axis=1), dmemory, *dcarried[self.n_fed :]

    def _along(self, x, memory, initial, tape, mask, state, watched, watch=None):
        """Go along x (B, T, D); append to ``watched`` what the core's method ``watch``, if given, says of each step."""
        if state is None:
            k, slot, carried = self.key(memory, tape), None, ()
        else:
            slot, keys = state.next(), state.next()
            (k,), carried = keys.once(lambda: (self.key(memory, tape),)), slot.arrays
        carried, y = carried or self._before(initial), []

        def look(h):
            inputs = self.query(h, tape)[:, None], k[:, None], memory[:, None]
            if watch:
                watched.append(watch(*inputs, mask=mask))
            return self.core(*inputs, tape, mask=mask)[:, 0]

        for t in range(x.shape[1]):
            said, *carried = self._step(x[:, t : t + 1], carried, look, tape)
            y.append(said)
        if slot is not None:
            slot.arrays = tuple(carried)
        return np.concatenate(y, axis=1)

    def _look_backward(self, dcontext, tape):
        """Return (dh, dk, dv) of a step."""
        dq, dk, dv = (gradient[:, 0] for gradient in self.core.backward(dcontext[:, None], tape))
        return self.query.backward(dq, tape), dk, dv


class AttentionBefore(AttentionInLoop):
    """(1): the old state is the query, and the context goes into the cell; the output is (B, T, 2 R)."""

    def _before(self, initial):
        return initial

    def _step(self, x, states, look, tape):
        context = look(states[self._top][:, None])
        h, *states = self.layers(np.concatenate([x, context], axis=2), *states, tape, final=True)
        return np.concatenate([h, context], axis=2), *states

    def _step_backward(self, dy, dstates, tape):
        dh, dcontext = np.split(dy, 2, axis=2)
        dinput, *dstates = self.layers.backward((dh, *dstates), tape)
        dx, dread = np.split(dinput, [-dh.shape[2]], axis=2)
        dquery, dk, dv = self._look_backward(dcontext + dread, tape)  # (3)
        dstates[self._top] += dquery[:, 0]  # (3)
        return dx, dstates, dk, dv

    @property
    def _top(self):
        """Which of the states is the last layer's h."""
        return -self.layers.layers[-1].n_states


class InputFeeding(AttentionInLoop):
    """(2): the new state is the query, and the output (B, T, R) goes into the cell of the next step.

    Parameters
    ----------
    layers, attention
        As for `AttentionInLoop`.
    combine : Layer
        Makes y_t of [c_t; s_t].
    """

    n_fed = 1

    def __init__(self, layers, attention, combine):
        super().__init__(layers, attention)
        self.combine = combine

    def _before(self, initial):
        return np.zeros_like(initial[0]), *initial

    def _step(self, x, carried, look, tape):
        fed, *states = carried
        h, *states = self.layers(np.concatenate([x, fed[:, None]], axis=2), *states, tape, final=True)
        y = self.combine(np.concatenate([look(h), h], axis=2), tape)
        return y, y[:, 0], *states

    def _step_backward(self, dy, dcarried, tape):
        dfed, *dstates = dcarried
        dcontext, dh = np.split(self.combine.backward(dy if dfed is None else dy + dfed, tape), 2, axis=2)  # (4)
        dquery, dk, dv = self._look_backward(dcontext, tape)
        dinput, *dstates = self.layers.backward((dh + dquery, *dstates), tape)
        dx, dfed = np.split(dinput, [-dy.shape[2]], axis=2)
        return dx, [dfed, *dstates], dk, dv
