"""Attention within a window, and to and from a few global places."""

import numpy as np

from tinytx import ops
from tinytx.arguments import ROWS, check_number, check_probability, check_whole
from tinytx.core import Layer
from tinytx.layers.attention.compared import Compared
from tinytx.layers.attention.multi_head import MultiHeadAttention
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.ops.global_window_attention import global_places


class GlobalWindow(Layer):
    """Softmax over a window and global keys; global queries see all (Beltagy et al. 2020): `tinytx.ops.global_window_attention`.

    Parameters
    ----------
    left, right : int
        How many places before and after its own a query sees: both w / 2 for a window w of the paper.
    dilation : int, or sequence of H int
        The distance from one place of the window to the next, of all heads or of each.
    dropout : float in [0, 1)
        Of the attention weights.
    scale : float, optional
        Multiplies the scores, above 0; 1 / sqrt(K) if not given.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """

    def __init__(self, left, right, *, dilation=1, dropout=0.0, scale=None):
        self.left, self.right = (check_whole("GlobalWindow", *each, *ROWS) for each in (("left", left), ("right", right)))
        for each in dilation if isinstance(dilation, list | tuple) else [dilation]:
            check_whole("GlobalWindow", "dilation", each)
        self.dilation, self.p = dilation, check_probability("GlobalWindow", "dropout", dropout)
        self.scale = None if scale is None else check_number("GlobalWindow", "scale", scale)

    def forward(self, q, k, v, q_global, k_global, v_global, tape=None, *, is_global, mask=None):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q, k, v : arrays (B, H, T, K)
        q_global : array (B, H, G, K)
            Of the global places.
        k_global, v_global : arrays (B, H, T, K)
        tape : Tape, optional
        is_global : booleans (B, T)
        mask : booleans (1 or B, 1, 1, T), optional
            True at words.
        """
        dropout = {}
        if tape is not None and self.p:
            dropout = {"dropout": self.p, "key": tape.dropout_key(), "first_row": tape.first_row}
        y, saved = self._attend(q, k, v, q_global, k_global, v_global, is_global, mask, **dropout)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        """Return (dq, dk, dv, dq_global, dk_global, dv_global); the last three are None with G = 0."""
        return ops.global_window_attention_backward(dy, tape.pop(self))

    def weights(self, *inputs, is_global, mask=None):
        """Return the attention weights (B, H, T, T), without dropout. The arguments are those of `forward`."""
        return ops.global_window_weights(self._attend(*inputs, is_global, mask)[1])

    def compared(self, q, k, v, q_global, k_global, v_global, *, is_global, mask=None):
        """Return the `Compared` queries and keys, (B, H, T, K); with global places (B, H, T, 2 K), of which a query has one half.

        Global queries have the second half, where keys are those that global queries see. The other half is 0.
        """
        scale = q.shape[3] ** -0.5 if self.scale is None else self.scale
        if not is_global.any():
            return Compared(q, k, scale)
        halves = np.where(is_global[:, None, :, None], 0, q), _at_places(q_global, is_global)
        return Compared(np.concatenate(halves, axis=3), np.concatenate([k, k_global], axis=3), scale)

    def _attend(self, *inputs, **dropout):
        *inputs, mask = inputs
        window = {"left": self.left, "right": self.right, "dilation": self.dilation}
        return ops.global_window_attention(*inputs, **window, mask=mask, scale=self.scale, **dropout)


class GlobalWindowAttention(MultiHeadAttention):
    """Self-attention with linear maps of their own for global places: `GlobalWindow` in its frame.

    Parameters
    ----------
    d_model, n_heads : int
        D and H.
    core : Layer
        `GlobalWindow`.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        As for `MultiHeadAttention`.

    Attributes
    ----------
    query_global, key_global, value_global : Linear
        Of what global queries are, and of what they see.
    """

    def __init__(self, d_model, n_heads, *, core, rng, dtype=np.float32, init=uniform_fan_in, init_output=None):
        super().__init__(d_model, n_heads, core=core, rng=rng, dtype=dtype, init=init, init_output=init_output)
        self.query_global, self.key_global, self.value_global = (
            Linear(d_model, d_model, rng=rng, dtype=dtype, init=init) for _ in range(3)
        )

    def forward(self, x, tape=None, *, is_global=None, mask=None, state=None):
        """(B, T, D) -> (B, T, D).

        Parameters
        ----------
        x : array (B, T, D)
        tape : Tape, optional
        is_global : booleans (B, T), optional
            True at global places; there are none if not given.
        mask : booleans (1 or B, 1, 1, T), optional
            True at words.
        state : None

        Raises
        ------
        ValueError
            If there is a state: queries see what comes after them. Or if shapes do not fit.
        """
        if state is not None:
            remedy = "a query sees places after its own, which are not there yet"
            raise ValueError(f"GlobalWindowAttention: got a state, expected none: {remedy}")
        is_global = _or_none(is_global, x.shape[:2])
        heads, rows = self._all_heads(x, is_global, tape)
        y = self.core(*heads, tape, is_global=is_global, mask=mask)
        if tape is not None:
            tape.push(self, rows)
        return self.output(self._merge(y), tape)

    def backward(self, dy, tape):
        """Return dx."""
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        rows = tape.pop(self)
        dq, dk, dv, *of_globals = self.core.backward(dy, tape)
        from_globals = None if rows is None else self._globals_backward(*of_globals, rows, tape)
        dx = self.value.backward(self._merge(dv), tape)
        dx = dx + self.key.backward(self._merge(dk), tape)
        dx = dx + self.query.backward(self._merge(dq), tape)
        return dx if from_globals is None else dx + from_globals

    def attention_weights(self, x, *, is_global=None, mask=None, state=None):
        """Return the attention weights (B, H, T, T), without dropout, for pictures. Arguments as for `forward`."""
        is_global = _or_none(is_global, x.shape[:2])
        return self.core.weights(*self._all_heads(x, is_global, None)[0], is_global=is_global, mask=mask)

    def queries_and_keys(self, x, *, is_global=None, mask=None, state=None):
        """Return the `Compared` queries and keys, for pictures. Arguments as for `forward`."""
        is_global = _or_none(is_global, x.shape[:2])
        return self.core.compared(*self._all_heads(x, is_global, None)[0], is_global=is_global, mask=mask)

    def _all_heads(self, x, is_global, tape):
        """Return the inputs of the core, and what `select_rows` saved; without a global place nothing is computed for them."""
        q, k, v = self._heads(x, None, tape)
        places, _ = global_places(is_global)
        if not places.size:
            return (q, k, v, q[:, :, :0], k, v), None
        rows, saved = ops.select_rows(x, _rows_of(places, x.shape[1]))
        picked = self.query_global(rows.reshape(*places.shape, -1), tape)
        parts = picked, self.key_global(x, tape), self.value_global(x, tape)
        return (q, k, v, *(self._split(part, self.n_heads) for part in parts)), saved

    def _globals_backward(self, dq, dk, dv, rows, tape):
        """Return what x gets by the linear maps of global places."""
        dx = self.value_global.backward(self._merge(dv), tape)
        dx = dx + self.key_global.backward(self._merge(dk), tape)
        drows = self.query_global.backward(self._merge(dq), tape)
        return dx + ops.select_rows_backward(drows.reshape(-1, drows.shape[-1]), rows)


def _at_places(q_global, is_global):
    """(B, H, G, K) -> (B, H, T, K): each global query at its place, 0 elsewhere."""
    places, real = global_places(is_global)
    (b, h, _, width), t = q_global.shape, is_global.shape[1]
    whole = np.zeros((b, h, t, width), q_global.dtype)
    for row in range(b):
        whole[row][:, places[row, real[row]]] = q_global[row][:, real[row]]
    return whole


def _or_none(is_global, shape):
    """Return which places are global, of a shape: none of them without an argument."""
    if is_global is None:
        return np.zeros(shape, bool)
    is_global = np.asarray(is_global)
    if is_global.dtype != bool or is_global.shape != shape:
        facts = f"is_global has shape {is_global.shape} and dtype {is_global.dtype}"
        raise ValueError(f"GlobalWindowAttention: {facts}, expected booleans {shape}")
    return is_global


def _rows_of(places, n):
    """Return the numbers of rows of a matrix (B n, D), of places (B, G) of n each."""
    return (places + n * np.arange(len(places))[:, None]).reshape(-1)
