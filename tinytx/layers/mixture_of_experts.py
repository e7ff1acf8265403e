"""A mixture of experts: many feed-forward layers, of which each token uses a few."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear


class MixtureOfExperts(Layer):
    """y = sum_j w_j f_{e_j}(x): a linear map chooses k experts e_j and weights for each token x: `tinytx.ops.route`.

    A forward with a tape computes how unevenly each text uses the experts, and reports this penalty to the tape
    (`Tape.penalise`). The task adds it to its loss.

    Parameters
    ----------
    d_model : int
    experts : list of Layer
        X layers, each (m, D) -> (m, D), such as `GatedFeedForward`.
    n_chosen : int
        The number k of experts for each token, 1 to X.
    renormalise : bool
        Whether the weights of a token add up to 1. If so and ``n_chosen`` is 1, the weight is always 1, and the
        router's only gradient is that of the penalty.
    rng : numpy.random.Generator
        Draws the router's weights.
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    router : Linear
        Its weight is (D, X); it has no bias.

    Raises
    ------
    TypeError, ValueError
        If ``n_chosen`` is not a whole number from 1 to X.
    """

    def __init__(self, d_model, experts, *, n_chosen=2, renormalise=True, rng, dtype=np.float32, init=uniform_fan_in):
        self.n_chosen = check_whole("MixtureOfExperts", "n_chosen", n_chosen, 1, len(experts))
        self.renormalise = renormalise
        self.router = Linear(d_model, len(experts), bias=False, rng=rng, dtype=dtype, init=init)
        self.experts = list(experts)

    def forward(self, x, tape=None):
        """(B, T, D) -> (B, T, D)."""
        logits = self.router(x, tape)
        weights, routed = ops.route(logits, self.n_chosen, renormalise=self.renormalise)
        y, used = np.zeros_like(x), []
        for i, slots, rows in ops.by_expert(routed.experts, len(self.experts)):
            h, picked = ops.select_rows(x, rows)
            part, added = ops.add_rows(self.experts[i](h, tape), weights, slots)
            used.append((i, picked, added))
            y = y + part
        if tape is not None:
            penalty, balanced = ops.balance(logits, routed.experts)
            tape.penalise(penalty)
            tape.push(self, (used, routed, balanced))
        return y

    def backward(self, dy, tape):
        used, routed, balanced = tape.pop(self)
        dx, dweights = np.zeros_like(dy), np.zeros(routed.experts.shape, dy.dtype)
        for i, picked, added in reversed(used):
            dpart, dhere = ops.add_rows_backward(dy, added)
            dpart = ops.select_rows_backward(self.experts[i].backward(dpart, tape), picked)
            dx, dweights = dx + dpart, dweights + dhere
        dlogits = ops.route_backward(dweights, routed)
        if tape.dpenalty is not None:
            dlogits = dlogits + ops.balance_backward(tape.dpenalty, balanced)
        return dx + self.router.backward(dlogits, tape)

    def expert_shares(self, x):
        """Return the share (X,) of all choices for x (B, T, D) that falls on each expert; each is 1 / X in perfect balance."""
        _, routed = ops.route(self.router(x), self.n_chosen)
        return np.bincount(routed.experts.ravel(), minlength=len(self.experts)) / max(1, routed.experts.size)
