"""Attention as it was before it had heads: from each position of a decoder to a memory."""

from tinytx.core import Layer
from tinytx.layers.sequential import Sequential


class SingleHeadAttention(Layer):
    """One head that averages a memory itself (Bahdanau et al. 2014; Luong et al. 2015, arXiv:1508.04025).

    `MultiHeadAttention` makes values of its memory, and maps what the heads put out. Here the values are the memory, and
    the output is their weighted mean, the context.

    Parameters
    ----------
    core : Layer
        Of one head: ``DotProduct(scale=1.0)`` or `Additive`.
    query, key : Layer, optional
        Maps from the positions (B, T, D) and from the memory (B, S, E) to queries and keys of one width; the identity
        if not given. The scores of Luong et al. are "dot", without both maps, and "general", with a query map alone.
    """

    def __init__(self, core, *, query=None, key=None):
        self.query, self.key, self.core = query or Sequential(), key or Sequential(), core

    def forward(self, x, memory, tape=None, *, state=None, mask=None):
        """Return the context of each position.

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, E)
        tape : Tape, optional
        state : State, optional
            Holds the keys of the memory, which only the first call computes: only for calls without a backward.
        mask : boolean array that broadcasts to (B, 1, T, S), optional
            True where attention is allowed.

        Returns
        -------
        array (B, T, E)
        """
        return self.core(*self._heads(x, memory, tape, state), tape, mask=mask)[:, 0]

    def backward(self, dy, tape):
        """Return (dx, dmemory)."""
        dq, dk, dv = (gradient[:, 0] for gradient in self.core.backward(dy[:, None], tape))
        dmemory = self.key.backward(dk, tape) + dv
        return self.query.backward(dq, tape), dmemory

    def attention_weights(self, x, memory, *, state=None, mask=None):
        """Return the attention weights (B, 1, T, S), without dropout, for pictures. Arguments as for `forward`."""
        return self.core.weights(*self._heads(x, memory, None, state), mask=mask)

    def queries_and_keys(self, x, memory, *, state=None, mask=None):
        """Return the `Compared` queries and keys, for pictures. Arguments as for `forward`."""
        return self.core.compared(*self._heads(x, memory, None, state), mask=mask)

    def _heads(self, x, memory, tape, state):
        """Return q (B, 1, T, K), k (B, 1, S, K) and v (B, 1, S, E)."""
        q = self.query(x, tape)
        if state is None:
            k = self.key(memory, tape)
        else:
            (k,) = state.next().once(lambda: (self.key(memory, tape),))
        return q[:, None], k[:, None], memory[:, None]
