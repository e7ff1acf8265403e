"""Activation penalty: what a recurrent net pays for large outputs, and for outputs that change fast."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer


class ActivationPenalty(Layer):
    """If the tape has a seed: reports the penalty of `tinytx.ops.activation_penalty` to the tape; returns ``dropped``.

    As `Dropout`, it belongs to training: without a tape, or without a seed, nothing is reported. The task adds the penalty to
    its loss (`Tape.penalise`).

    Parameters
    ----------
    alpha, beta : float, at least 0
        Weights of the two parts. If both are 0, nothing is reported.
    """

    def __init__(self, alpha, beta):
        self.alpha, self.beta = alpha, beta
        self.weighs = alpha > 0 or beta > 0

    def forward(self, raw, dropped, tape=None):
        """Outputs (B, T, D) before and after dropout -> those after dropout."""
        saved = None
        if tape is not None:
            if tape.seed is not None and self.weighs:
                penalty, saved = ops.activation_penalty(raw, dropped, self.alpha, self.beta)
                tape.penalise(penalty)
            tape.push(self, saved)
        return dropped

    def backward(self, dy, tape):
        """Return (draw, ddropped)."""
        saved = tape.pop(self)
        if saved is None or tape.dpenalty is None:  # nothing was reported, or the task has no use for it
            return np.zeros_like(dy), dy
        draw, ddropped = ops.activation_penalty_backward(tape.dpenalty, saved)
        return draw, dy + ddropped
