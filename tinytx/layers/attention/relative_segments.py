"""Attention by distance and by segment: is the key's word of the query's part of the text?"""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Parameter
from tinytx.layers.attention.relative import Relative
from tinytx.layers.init import normal
from tinytx.ops.attention_patterns import CAUSAL, FULL


class RelativeSegments(Relative):
    """`Relative`, whose scores also tell pairs of different kinds apart (Yang et al. 2019, XLNet, arXiv:1906.08237, 2.5).

    With the kind z_ts of a pair, 0 if both words are of one segment and 1 if not, the score is that of `Relative` plus

        c (q_t + b) . e_{z_ts},   c = 1 / sqrt(K),

    the operation `tinytx.ops.segment_scores` of q + b. Segments themselves do not occur: a text may have more of them
    than any text in training.

    Parameters
    ----------
    d_model, n_heads, d_key, pattern, dropout, rng, dtype, init
        As for `Relative`.
    n_kinds : int
        The number N of kinds.

    Attributes
    ----------
    kind_bias : Parameter (H, K)
        b.
    kind : Parameter (N, H, K)
        e.
    """

    def __init__(
        self, d_model, n_heads, d_key, *, n_kinds=2, pattern=CAUSAL, dropout=0.0, rng, dtype=np.float32, init=normal(0.02)
    ):  # fmt: skip
        draw = {"rng": rng, "dtype": dtype, "init": init}
        super().__init__(d_model, n_heads, d_key, pattern=pattern, dropout=dropout, **draw)
        check_sizes("RelativeSegments", n_kinds=n_kinds)
        self.kind_bias = Parameter(init(rng, (d_key, n_heads)).T.astype(dtype, order="C"))
        drawn = init(rng, (d_key, n_heads * n_kinds)).T.reshape(n_kinds, n_heads, d_key)
        self.kind = Parameter(drawn.astype(dtype, order="C"))

    def forward(self, q, k, v, tape=None, *, kinds=None, mask=None, pattern=FULL, streams=1):
        """Return the output of attention (B, H, T, W).

        Parameters
        ----------
        q, k, v, tape, mask, pattern, streams
            As for `Relative`.
        kinds : integers (1 or B, T, S), optional
            z, each in 0..N-1. Without it, all pairs are alike, as in `Relative`.
        """
        return self.attend(*self._with_kinds(q, k, v, kinds, tape, streams), tape, mask=mask, pattern=pattern)

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        dq, dk, dv, dscores = self.attend.backward(dy, tape)
        saved = tape.pop(self)
        if saved is None:
            return self._with_scores_backward(dq, dscores, tape), dk, dv
        by_kind, dkind = ops.segment_scores_backward(dscores, saved)
        self.kind_bias.add_grad(by_kind.sum(axis=(0, 2)), fresh=True)
        self.kind.add_grad(dkind.swapaxes(0, 1))
        return self._with_scores_backward(dq, dscores, tape) + by_kind, dk, dv

    def weights(self, q, k, v, *, kinds=None, mask=None, pattern=FULL, streams=1):
        """Return the attention weights (B, H, T, S), without dropout. The arguments are those of `forward`."""
        return self.attend.weights(*self._with_kinds(q, k, v, kinds, streams=streams), mask=mask, pattern=pattern)

    def compared(self, q, k, v, *, kinds=None, mask=None, pattern=FULL, streams=1):
        """Return the `Compared` queries q + u and keys. The arguments are those of `forward`."""
        besides = "the score of their distance is added to it" if kinds is None else "the scores of their distance and segments are added to it"
        return super().compared(q, k, v, streams=streams)._replace(besides=besides)

    def _with_kinds(self, q, k, v, kinds, tape=None, streams=1):
        """Return q + u, k, v and the scores of distances and kinds."""
        by_content, k, v, scores = self._with_scores(q, k, v, tape, streams)
        saved = None
        if kinds is not None:
            by_kind, saved = ops.segment_scores(q + self.kind_bias.data[:, None], self.kind.data.swapaxes(0, 1), kinds)
            scores = scores + by_kind
        if tape is not None:
            tape.push(self, saved)
        return by_content, k, v, scores
