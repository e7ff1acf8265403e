"""Attention to what stands so and so far away: the distance of query and key is part of their score."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.attention.dot_product import DotProduct
from tinytx.layers.init import normal
from tinytx.layers.linear import Linear
from tinytx.ops.attention_patterns import CAUSAL, FULL


class Relative(Layer):
    """Scores of contents plus scores of distances (Dai et al. 2019, Transformer-XL, arXiv:1901.02860, section 3.3).

    A query at place p_t and a key at place s have the distance d = p_t - s, and the score

        c ((q_t + u) . k_s + (q_t + w) . r_d),   r_d = W_R^T sinusoid(d),   c = 1 / sqrt(K).

    The first product is that of `tinytx.ops.attention`, with q + u for q; the second is `tinytx.ops.relative_scores`, a
    bias of the first. So a distance counts in two ways: by what the query asks for (q . r), and for every query (w . r).
    Likewise u . k is what a key is worth to every query. Places themselves do not occur, so a key keeps its meaning
    where the text before it is longer than any in training. u and w are added to all queries, therefore

        du = sum over queries of the gradient of (q + u),   dw = sum over queries of that of (q + w),

    and q gets both. The paper calls them u and v, and its W_R is W_(k,R).

    Parameters
    ----------
    d_model : int
        D, the width of the sinusoids; all sines stand before all cosines (`tinytx.ops.sinusoidal_positions`, halves).
    n_heads, d_key : int
        H, and the width K of queries and keys.
    pattern : Pattern
        Which keys a query may see, as for `DotProduct`. Only where keys after the query may be seen do distances below 0
        have vectors.
    dropout : float in [0, 1)
        Of the attention weights.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    position : Linear
        W_R (D, H K).
    content_bias, position_bias : Parameter (H, K)
        u and w.
    """

    def __init__(self, d_model, n_heads, d_key, *, pattern=CAUSAL, dropout=0.0, rng, dtype=np.float32, init=normal(0.02)):
        check_sizes("Relative", d_model=d_model, n_heads=n_heads, d_key=d_key)
        self.position = Linear(d_model, n_heads * d_key, bias=False, rng=rng, dtype=dtype, init=init)
        self.content_bias, self.position_bias = (
            Parameter(init(rng, (d_key, n_heads)).T.astype(dtype, order="C")) for _ in range(2)
        )
        self.attend = DotProduct(pattern=pattern, dropout=dropout)

    def forward(self, q, k, v, tape=None, *, mask=None, pattern=FULL, streams=1):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q : array (B, H, T, K)
            Queries stand at the last T places of the keys.
        k : array (B, G, S, K), v : array (B, G, S, W)
        tape : Tape, optional
        mask, pattern
            As for `DotProduct`.
        streams : int
            n, if there are n queries at each place: q holds T / n queries at the last T / n places, then another at each
            of these places, and so on. Only for the pattern that shows all; a mask tells what each may see.
        """
        return self.attend(*self._with_scores(q, k, v, tape, streams), tape, mask=mask, pattern=pattern)

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        dq, dk, dv, dscores = self.attend.backward(dy, tape)
        return self._with_scores_backward(dq, dscores, tape), dk, dv

    def _with_scores_backward(self, dq, dscores, tape):
        """Return dq from the gradients of q + u and of the scores."""
        saved, streams = tape.pop(self)
        by_distance, dr = ops.relative_scores_backward(_in_rows(dscores, streams), saved)
        by_distance = _side_by_side(by_distance, streams)
        for bias, gradient in ((self.content_bias, dq), (self.position_bias, by_distance)):
            bias.add_grad(gradient.sum(axis=(0, 2)), fresh=True)
        self.position.backward(dr.swapaxes(0, 1).reshape(dr.shape[1], -1), tape)
        return dq + by_distance

    def weights(self, q, k, v, *, mask=None, pattern=FULL, streams=1):
        """Return the attention weights (B, H, T, S), without dropout. The arguments are those of `forward`."""
        return self.attend.weights(*self._with_scores(q, k, v, streams=streams), mask=mask, pattern=pattern)

    def compared(self, q, k, v, *, mask=None, pattern=FULL, streams=1):
        """Return the `Compared` queries q + u and keys. The arguments are those of `forward`."""
        by_content, k, v, _ = self._with_scores(q, k, v, streams=streams)
        return self.attend.compared(by_content, k, v)._replace(besides="the score of their distance is added to it")

    def _with_scores(self, q, k, v, tape=None, streams=1):
        """Return q + u, k, v and the scores of the distances."""
        at_places = _in_rows(q + self.position_bias.data[:, None], streams)
        (_, h, t, width), s, right = at_places.shape, k.shape[2], self.attend.pattern.right
        ahead = max(0, t - 1) if right is None else min(max(0, t - 1), right)
        table = ops.sinusoidal_positions(ahead + s, self.position.d_in, q.dtype, halves=True, first=-ahead)
        r = self.position(table, tape).reshape(-1, h, width).swapaxes(0, 1)
        scores, saved = ops.relative_scores(at_places, r, ahead=ahead)
        if tape is not None:
            tape.push(self, (saved, streams))
        return q + self.content_bias.data[:, None], k, v, _side_by_side(scores, streams)


def _in_rows(x, streams):
    """(B, H, n T, K) -> (n B, H, T, K): each stream in rows of its own."""
    return x if streams == 1 else np.concatenate(np.split(x, streams, axis=2))


def _side_by_side(x, streams):
    """(n B, H, T, K) -> (B, H, n T, K), the inverse of `_in_rows`."""
    return x if streams == 1 else np.concatenate(np.split(x, streams), axis=2)
