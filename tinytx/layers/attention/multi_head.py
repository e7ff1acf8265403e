"""Multi-head attention, from a sequence to itself (self-attention) or to another one (cross-attention)."""

import numpy as np

from tinytx.arguments import INT64, check_sizes, check_whole
from tinytx.core import Layer
from tinytx.layers.attention.dot_product import DotProduct
from tinytx.layers.attention.heads import merge_heads, split_heads
from tinytx.layers.block import backward_onto, forward_onto
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear


class MultiHeadAttention(Layer):
    """Several attention heads in parallel, each with its own linear maps (Vaswani et al. 2017, 3.2.2).

    Parameters
    ----------
    d_model, n_heads : int
        D and H.
    core : Layer, optional
        Computes the heads' outputs from queries, keys and values; a new `DotProduct` if not given.
    n_kv_heads : int, optional
        The number G of heads of keys and values, a divisor of H. H / G heads of queries share each of them (Ainslie et
        al. 2023, arXiv:2305.13245). H if not given.
    d_key : int, optional
        The width K of each head; D / H if not given.
    rotary : Layer, optional
        Rotates queries and keys (B, T, H, K) by their positions: `Rotary`. For self-attention only.
    bias : bool
        Whether the four linear maps have a bias.
    output_bias : bool, optional
        Whether ``output`` has a bias; as ``bias`` if not given.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init, init_output : function (rng, shape) -> array
        For the weights of ``query``, ``key`` and ``value``, and of ``output``: W^Q, W^K, W^V and W^O in the paper, with
        the columns of all heads side by side.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number of at least 1, H does not divide D and ``d_key`` is not given, or G does not
        divide H.
    """

    _split, _merge = staticmethod(split_heads), staticmethod(merge_heads)

    def __init__(
        self,
        d_model,
        n_heads,
        *,
        core=None,
        n_kv_heads=None,
        d_key=None,
        rotary=None,
        bias=True,
        output_bias=None,
        rng,
        dtype=np.float32,
        init=uniform_fan_in,
        init_output=None,
    ):
        check_sizes("MultiHeadAttention", d_model=d_model)
        if check_whole("MultiHeadAttention", "n_heads", n_heads, *INT64) < 1 or d_key is None and d_model % n_heads:
            raise ValueError(f"MultiHeadAttention: n_heads {n_heads} does not divide d_model {d_model}")
        groups = n_heads if n_kv_heads is None else check_whole("MultiHeadAttention", "n_kv_heads", n_kv_heads)
        if n_heads % groups:
            raise ValueError(f"MultiHeadAttention: n_kv_heads {groups} does not divide n_heads {n_heads}")
        width = d_model // n_heads if d_key is None else check_whole("MultiHeadAttention", "d_key", d_key)
        self.n_heads, self.n_kv_heads = n_heads, groups
        linear = {"rng": rng, "dtype": dtype}
        self.query = Linear(d_model, n_heads * width, bias=bias, init=init, **linear)
        self.key = Linear(d_model, groups * width, bias=bias, init=init, **linear)
        self.value = Linear(d_model, groups * width, bias=bias, init=init, **linear)
        output_bias = bias if output_bias is None else output_bias
        self.output = Linear(n_heads * width, d_model, bias=output_bias, init=init_output or init, **linear)
        self.rotary, self.core = rotary, DotProduct() if core is None else core

    def forward(self, x, memory=None, *others, tape=None, state=None, onto=None, last=False, **settings):
        """Return the output of attention from x to ``memory``, or to x itself.

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, D), optional
            Keys and values are computed from it; without it, from x.
        *others
            The core's other inputs, such as a bias of the scores.
        tape : Tape, optional
        state : State, optional
            Without a memory, it holds the keys and values of earlier positions, and this call adds its own; no gradient
            flows into earlier ones. With a memory, it holds the memory's keys and values, which only the first call
            computes: only for calls without a backward.
        onto : array (B, T, D), optional
            The output is added to it; its gradient is dy.
        last : bool
            Whether only the last position asks, and the output is (B, 1, D): `tinytx.layers.block.last_of`.
        **settings
            The core's settings, such as ``mask``, a boolean array that broadcasts to (B, H, T, S) and is True where
            attention is allowed.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        TypeError, ValueError
            If there are a memory and rotary positions; or if shapes do not fit.
        """
        y = self.core(*self._heads(x, memory, tape, state, last), *others, tape, **settings)
        if tape is not None:
            tape.push(self, memory is None)
        return forward_onto(onto, self.output, self._merge(y), tape=tape)

    def backward(self, dy, tape):
        """Return one gradient for each input: dx, or (dx, dmemory), or (dx, dmemory, *dothers).

        If there are other inputs and no memory, dmemory is None.
        """
        dy = self._split(self.output.backward(dy, tape), self.n_heads)
        to_itself = tape.pop(self)
        dq, dk, dv, *dothers = self.core.backward(dy, tape)
        if to_itself:  # keys and values of earlier positions, from a state, are constants
            first = dk.shape[2] - dq.shape[2]
            dk, dv = dk[:, :, first:], dv[:, :, first:]
        dv = self.value.backward(self._merge(dv), tape)
        dmemory = backward_onto(dv, self.key, self._turned_back(dk, tape), tape)
        dq = self._turned_back(dq, tape)
        if not to_itself:
            return self.query.backward(dq, tape), dmemory, *dothers
        dx = backward_onto(dmemory, self.query, dq, tape)
        return (dx, None, *dothers) if dothers else dx

    def attention_weights(self, x, memory=None, *others, state=None, **settings):
        """Return the attention weights (B, H, T, S), without dropout, for pictures. Arguments as for `forward`.

        Raises
        ------
        ValueError
            If there is a state: keys would be added to it twice.
        """
        self._refuse("attention_weights", state)
        return self.core.weights(*self._heads(x, memory), *others, **settings)

    def queries_and_keys(self, x, memory=None, *others, state=None, **settings):
        """Return the `Compared` queries and keys, for pictures. Arguments and errors as for `attention_weights`."""
        self._refuse("queries_and_keys", state)
        return self.core.compared(*self._heads(x, memory), *others, **settings)

    @staticmethod
    def _refuse(method, state):
        if state is not None:
            raise ValueError(f"MultiHeadAttention: {method} got a state, expected none: hand in the whole x")

    def _heads(self, x, memory, tape=None, state=None, last=False):
        """Return q (B, H, T, K), or (B, H, 1, K) of the last position, k and v (B, G, S, K)."""
        if memory is not None and self.rotary:
            raise ValueError("MultiHeadAttention: rotary positions are of one sequence: with a memory, expected rotary=None")
        slot = None if state is None else state.next()
        start = slot.length if slot and memory is None else 0
        first = x.shape[1] - 1 if last else 0
        q = self._project(self.query, x[:, first:], self.n_heads, tape, start + first)

        def keys_and_values():
            source, groups = x if memory is None else memory, self.n_kv_heads
            k = self._project(self.key, source, groups, tape, start)
            return k, self._split(self.value(source, tape), groups)

        if slot is None:
            return q, *keys_and_values()
        return q, *(slot.extend(*keys_and_values()) if memory is None else slot.once(keys_and_values))

    def _project(self, linear, x, n_heads, tape, start):
        """(B, T, D) -> (B, H, T, K), rotated if positions are rotary; the first position is ``start``."""
        y = self._split(linear(x, tape), n_heads)
        return self.rotary(y.swapaxes(1, 2), tape, start=start).swapaxes(1, 2) if self.rotary else y

    def _turned_back(self, dy, tape):
        """Return the gradient of what a linear map put out: (B, H, T, K) -> (B, T, H K), turned back if positions are rotary."""
        if self.rotary:
            dy = self.rotary.backward(dy.swapaxes(1, 2), tape).swapaxes(1, 2)
        return self._merge(dy)
