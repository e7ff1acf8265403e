"""Faults in layers: norms, dropout and short cuts, and the order of a backward."""

import numpy as np

from bug_zoo.rows import detached_std, gamma_outside
from bug_zoo.specimen import MUTANT, RIGHT, Specimen, draw, fault, rng
from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.layers import Dropout, FeedForward, LayerNorm, Linear, Residual


class GammaOutside(LayerNorm):
    """`LayerNorm` with `rows.gamma_outside`."""

    wrong = staticmethod(gamma_outside)

    def backward(self, dy, tape):
        dx, dweight, dbias = self.wrong(dy, tape.pop(self))
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx


class DetachedStd(GammaOutside):
    """`LayerNorm` with `rows.detached_std`."""

    wrong = staticmethod(detached_std)


class NormOver(Layer):
    """Layer norm without gain and bias over any axis: -1 is right.

    A mutant, whose gradients are right over every axis. Over the positions the past sees the future; over the batch one
    sequence sees another, and a model that is served one request at a time is another model.
    """

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x, tape=None):
        x = x.swapaxes(self.axis, -1)
        y, saved = ops.layer_norm(x, np.ones(x.shape[-1], x.dtype), np.zeros(x.shape[-1], x.dtype))
        if tape is not None:
            tape.push(self, saved)
        return y.swapaxes(self.axis, -1)

    def backward(self, dy, tape):
        return ops.layer_norm_backward(dy.swapaxes(self.axis, -1), tape.pop(self))[0].swapaxes(self.axis, -1)


class RememberingDropout(Dropout):
    """Dropout that keeps its mask in itself, so that at its second site the second mask overwrites the first.

    Found in numpy-transformer, where one object served two sites; hidden by dropout 0.
    """

    def forward(self, x, tape=None):
        y, self.saved = ops.dropout(x, self.p, tape.dropout_key())
        return y

    def backward(self, dy, tape):
        return ops.dropout_backward(dy, self.saved)


class AlwaysDropping(Dropout):
    """Dropout that drops where nobody asked for it: no seed, no training, another mask in each call.

    Found in Numpy-Transformer, which generated text with dropout on; hidden by dropout 0.
    """

    draws = rng()

    def forward(self, x, tape=None):
        y, saved = ops.dropout(x, self.p, int(self.draws.integers(2**62)))
        if tape is not None:
            tape.push(self, saved)
        return y


class TwoSites(Layer):
    """One dropout object before and after a linear map."""

    def __init__(self, dropout):
        self.linear, self.dropout = Linear(5, 5, rng=rng()), dropout

    def forward(self, x, tape=None):
        return self.dropout(self.linear(self.dropout(x, tape), tape), tape)

    def backward(self, dy, tape):
        return self.dropout.backward(self.linear.backward(self.dropout.backward(dy, tape), tape), tape)


class PreThenPost(Residual):
    """A short cut that is pre-norm in forward, x + f(norm(x)), and post-norm in backward.

    Found in numpy-gpt, hidden by a loss that falls: what should go through f first goes through the norm first.
    """

    def forward(self, x, tape=None, **options):
        norm, f = Tape(), Tape()  # of their own: one tape would refuse this order
        y = x + self.f(self.norm(x, norm), f)
        if tape is not None:
            tape.push(self, (norm, f))
        return y

    def backward(self, dy, tape):
        norm, f = tape.pop(self)
        dy = self.norm.backward(dy, norm)
        return dy + self.f.backward(dy, f)


class PreThenPostOnOneTape(Residual):
    """`PreThenPost` as it would be written here: the tape knows who saved last, and refuses."""

    def backward(self, dy, tape):
        dy = self.norm.backward(dy, tape)
        return dy + self.f.backward(self.dropout.backward(dy, tape), tape)


class ShortCutForgotten(Residual):
    """A short cut that backward does not take: dx is f's alone.

    A mutant, hidden by the layer's own parameters, whose gradients are right; those of all layers before fade away.
    """

    def backward(self, dy, tape):
        return self.norm.backward(self.f.backward(self.dropout.backward(dy, tape), tape), tape)


def residual(cls):
    """Return a pre-norm feed-forward layer with a short cut of some class around it."""
    return cls(FeedForward(5, 6, rng=rng(), dtype=np.float64), LayerNorm(5, dtype=np.float64))


X = draw(3, 4, 5)
DROPPING = Specimen(TwoSites(Dropout(0.3)), (X,), tape=lambda: Tape(seed=0))
INFERRING = Specimen(TwoSites(Dropout(0.3)), (X,))
NORM = Specimen(NormOver(-1), (X,))
SHORT_CUT = Specimen(residual(Residual), (X,))
EARLIER = ("f.expand.bias", "f.expand.weight", "norm.weight", "norm.bias")

FAULTS = [
    fault(
        "layer norm over the batch", NORM, {"target": NormOver(0)},
        found_in=MUTANT, hidden_by=RIGHT, caught_by="batch_check", says="of a batch: y beside row 0 alone", unseen={},
    ),
    fault(
        "layer norm over the positions", NORM, {"target": NormOver(1)},
        found_in=MUTANT, hidden_by=RIGHT, caught_by="leak_check", says="position 0", unseen={},
    ),
    fault(
        "one dropout at two sites", DROPPING, {"target": TwoSites(RememberingDropout(0.3))},
        found_in="numpy-transformer", hidden_by="dropout 0", fails=("x",),
        unseen={"target": TwoSites(RememberingDropout(0.0))},
    ),
    fault(
        "dropout while generating", INFERRING, {"target": TwoSites(AlwaysDropping(0.3))},
        found_in="Numpy-Transformer", hidden_by="dropout 0", says="two forwards of the same input differ",
        unseen={"target": TwoSites(AlwaysDropping(0.0))},
    ),
    fault(
        "pre-norm forward, post-norm backward", SHORT_CUT, {"target": residual(PreThenPost)},
        found_in="numpy-gpt", hidden_by="a loss that falls",
        fails=("f.contract.bias", "f.contract.weight", *EARLIER, "x"),
    ),
    fault(
        "post-norm backward on the tape of a pre-norm forward", SHORT_CUT, {"target": residual(PreThenPostOnOneTape)},
        found_in="numpy-gpt", hidden_by="layers that keep what they need in themselves", caught_by="tape",
        says="backward of norm ran, but the last forward to save was dropout",
    ),
    fault(
        "gradient of the short cut forgotten", SHORT_CUT, {"target": residual(ShortCutForgotten)},
        found_in=MUTANT, hidden_by="a look at parameters only", fails=("x",), unseen={},
        unseen_in=("f.expand.weight", "f.contract.weight", "norm.weight"),
    ),
]
