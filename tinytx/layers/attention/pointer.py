"""Attention that ends with its scores: what it looks at is the answer."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.attention.compared import Compared
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear


class Pointer(Layer):
    """Scores of the positions of a memory, w . tanh(W x + U m) (Vinyals et al. 2015, arXiv:1506.03134, equation 3).

    The softmax of the scores says which position is meant. No mean of the memory is taken: the scores are the output.

    Parameters
    ----------
    d_model : int
        Width of the vectors that point, of the memory, and of what is compared.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    query, key : Linear
        W and U; W has a bias.
    weight : Parameter (1, D)
        w.
    """

    def __init__(self, d_model, *, rng, dtype=np.float32, init=uniform_fan_in):
        check_sizes("Pointer", d_model=d_model)
        draw = {"rng": rng, "dtype": dtype, "init": init}
        self.query, self.key = Linear(d_model, d_model, **draw), Linear(d_model, d_model, bias=False, **draw)
        self.weight = Parameter(init(rng, (d_model, 1)).T.astype(dtype))

    def forward(self, x, memory, tape=None, *, mask=None):
        """Return the scores (B, T, S).

        Parameters
        ----------
        x : array (B, T, D)
        memory : array (B, S, D)
        tape : Tape, optional
        mask : boolean array (B, T, S), optional
            False where a position cannot be meant: its score is -inf, so that its share of a softmax is 0.
        """
        q, k = self.query(x, tape), self.key(memory, tape)
        mask = None if mask is None else mask[:, None]
        scores, saved = ops.additive_scores(q[:, None], k[:, None], self.weight.data, mask=mask)
        if tape is not None:
            tape.push(self, saved)
        return scores[:, 0]

    def backward(self, dscores, tape):
        """Return (dx, dmemory); a score of -inf has no gradient, whatever ``dscores`` says of it."""
        dq, dk, dweight = ops.additive_scores_backward(dscores[:, None], tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        dmemory = self.key.backward(dk[:, 0], tape)
        return self.query.backward(dq[:, 0], tape), dmemory

    def attention_weights(self, x, memory, *, mask=None):
        """Return the softmax of the scores (B, 1, T, S), for pictures. Arguments as for `forward`."""
        return ops.softmax(self.forward(x, memory), mask)[0][:, None]

    def queries_and_keys(self, x, memory, *, mask=None):
        """Return the `Compared` queries and keys, for pictures. Arguments as for `forward`."""
        return Compared(self.query(x)[:, None], self.key(memory)[:, None], self.weight.data, additive=True)
