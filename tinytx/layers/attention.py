"""Multi-head attention, of a sequence to itself or to another."""

import numpy as np

from tinytx import ops
from tinytx.arguments import INT64, check_flag, check_probability, check_sizes, check_whole
from tinytx.core import Layer
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.ops.attention_patterns import CAUSAL, FULL


class MultiHeadAttention(Layer):
    """Several scaled dot-product attentions side by side (Vaswani et al. 2017, 3.2.2).

    Parameters
    ----------
    d_model, n_heads : int
        Each head has width K = D / H.
    causal : bool
        Whether a position sees only itself and earlier ones.
    dropout : float in [0, 1)
        On the attention weights.
    bias : bool
        Whether the four linear maps have one.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        For ``query``, ``key``, ``value``, and for ``output``: W^Q, W^K, W^V and W^O in the paper, all heads' beside
        each other.
    """

    def __init__(
        self,
        d_model,
        n_heads,
        *,
        causal=False,
        dropout=0.0,
        bias=True,
        rng,
        dtype=np.float32,
        init=uniform_fan_in,
        init_output=None,
    ):
        check_sizes("MultiHeadAttention", d_model=d_model)
        if check_whole("MultiHeadAttention", "n_heads", n_heads, *INT64) < 1 or d_model % n_heads:
            raise ValueError(f"MultiHeadAttention: n_heads {n_heads} does not divide d_model {d_model}")
        self.n_heads, self.causal = n_heads, check_flag("MultiHeadAttention", "causal", causal)
        self.p = check_probability("MultiHeadAttention", "dropout", dropout)
        linear = {"bias": bias, "rng": rng, "dtype": dtype}
        self.query = Linear(d_model, d_model, init=init, **linear)
        self.key = Linear(d_model, d_model, init=init, **linear)
        self.value = Linear(d_model, d_model, init=init, **linear)
        self.output = Linear(d_model, d_model, init=init_output or init, **linear)

    def forward(self, x, memory=None, tape=None, *, mask=None, state=None):
        """Attend from x to ``memory``, or to x itself.

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, D), optional
            What keys and values are made of; without it, x.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, H, T, S), optional
            True where attention is allowed.
        state : State, optional
            Keys and values of earlier positions, to which this call's are added; of a memory, those of the first
            call, which are used again. Decoding only.

        Returns
        -------
        array (B, T, D)
        """
        q = self._split(self.query(x, tape))  # (B, H, T, K)
        if memory is None:
            k, v = self._keys_and_values(x, tape)  # (B, H, S, K)
            k, v = (k, v) if state is None else state.next().extend(k, v)
        elif state is None:
            k, v = self._keys_and_values(memory, tape)
        else:
            k, v = state.next().once(lambda: self._keys_and_values(memory, tape))
        options = {}
        if tape is not None:
            key = tape.dropout_key() if self.p else None
            options = {"dropout": self.p, "key": key, "first_row": tape.first_row}
        y, saved = ops.attention(q, k, v, mask=mask, pattern=CAUSAL if self.causal else FULL, **options)
        if tape is not None:
            tape.push(self, (saved, memory is None))
        return self.output(self._merge(y), tape)

    def backward(self, dy, tape):
        """Return dx, or (dx, dmemory) where the forward had a memory."""
        dy = self._split(self.output.backward(dy, tape))
        saved, to_itself = tape.pop(self)
        dq, dk, dv = ops.attention_backward(dy, saved)
        if to_itself:  # keys and values of earlier positions, from a state, are constants
            first = dk.shape[2] - dq.shape[2]
            dk, dv = dk[:, :, first:], dv[:, :, first:]
        dv = self.value.backward(self._merge(dv), tape)
        dk = self.key.backward(self._merge(dk), tape)
        dx = self.query.backward(self._merge(dq), tape)
        dk += dv
        if not to_itself:
            return dx, dk
        dx += dk
        return dx

    def _keys_and_values(self, source, tape):
        return self._split(self.key(source, tape)), self._split(self.value(source, tape))

    def _split(self, x):
        """(B, T, D) -> (B, H, T, K), a view."""
        return x.reshape(*x.shape[:2], self.n_heads, -1).swapaxes(1, 2)

    def _merge(self, x):
        """(B, H, T, K) -> (B, T, D), the inverse of `_split`: first the axes back, then the heads side by side."""
        x = x.swapaxes(1, 2)
        return x.reshape(*x.shape[:2], -1)
