"""Faults of arrays with two owners: gradients written in place, assigned, or found by their values."""

import numpy as np

from bug_zoo.specimen import MUTANT, RIGHT, Specimen, draw, fault, rng
from tinytx import ops
from tinytx.core import Layer, Parameter
from tinytx.layers import Activation, Embedding, LayerNorm, Linear, Residual, TiedLinear


class InPlace(Activation):
    """ReLU whose backward writes into the array it was handed.

    Found in Thinc, hidden by single use: nobody else looked at that array. Around it a short cut adds what is left of
    dy after it was written to.
    """

    def backward(self, dy, tape):
        dy *= tape.pop(self) > 0
        return dy


class AssigningEmbedding(Embedding):
    """An embedding that assigns its gradient, over what the output layer tied to it has added.

    Found in several, hidden by tests of models that are not tied.
    """

    def backward(self, dy, tape):
        saved, *_ = tape.pop(self)  # of the table; there is no dropout, and the factor is 1
        self.weight.grad = ops.embedding_backward(dy, saved)


class AssigningLinear(Linear):
    """A linear map that assigns its gradients.

    A mutant, hidden by single use: used twice, it keeps the gradient of one use alone.
    """

    def backward(self, dy, tape):
        dx, self.weight.grad, self.bias.grad = ops.linear_backward(dy, tape.pop(self))
        return dx


class RememberingLinear(Linear):
    """A linear map that keeps its input in itself.

    A habit of many, hidden by single use: the second input overwrites the first.
    """

    def forward(self, x, tape=None):
        y, self.saved = ops.linear(x, self.weight.data, self.bias.data)
        return y

    def backward(self, dy, tape):
        dx, dweight, dbias = ops.linear_backward(dy, self.saved)
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx


class Twice(Layer):
    """f(f(x)), one layer at two places, as in ALBERT."""

    def __init__(self, f):
        self.f = f

    def forward(self, x, tape=None):
        return self.f(self.f(x, tape), tape)

    def backward(self, dy, tape):
        return self.f.backward(self.f.backward(dy, tape), tape)


class Words(Layer):
    """Ids to logits: an embedding, and an output layer that may be tied to it."""

    def __init__(self, token, tied=True):
        self.token = token
        self.head = TiedLinear(token.weight) if tied else Linear(4, 7, rng=rng(), bias=False)

    def forward(self, ids, tape=None):
        return self.head(self.token(ids, tape), tape)

    def backward(self, dy, tape):
        self.token.backward(self.head.backward(dy, tape), tape)


class TwoMaps(Layer):
    """One linear map after another."""

    def __init__(self):
        self.first, self.second = Linear(5, 5, rng=rng()), Linear(5, 5, rng=np.random.default_rng(1))

    def forward(self, x, tape=None):
        return self.second(self.first(x, tape), tape)

    def backward(self, dy, tape):
        return self.first.backward(self.second.backward(dy, tape), tape)


def tied_by_value(layer):
    """Return a layer in which parameters with equal values have become one, as if they had been tied.

    Found in shipped code, hidden by random weights: of two biases that start at zero only one is left. The gradient is
    right, of the smaller model; but a checkpoint of the true one no longer fits.
    """
    known = []
    for _, part in layer.named_layers():
        for name, parameter in vars(part).items():
            if isinstance(parameter, Parameter):
                same = [other for other in known if np.array_equal(other.data, parameter.data)]
                known.append(parameter)
                setattr(part, name, (same or [parameter])[0])
    return layer


def activated(cls):
    """Return x + relu(norm(x))."""
    return Residual(cls("relu"), LayerNorm(5))


X = draw(3, 4, 5)
IDS = np.array([[1, 4, 1], [0, 1, 6]])
ACTIVATED = Specimen(activated(Activation), (X,))
TIED = Specimen(Words(Embedding(7, 4, rng=rng())), (IDS,))
TWICE = Specimen(Twice(Linear(5, 5, rng=rng())), (X,))
TWO = Specimen(TwoMaps(), (X,))

FAULTS = [
    fault(
        "the caller's dy modified in place", ACTIVATED, {"target": activated(InPlace)},
        found_in="Thinc", hidden_by="single use", fails=("x",), unseen={"target": InPlace("relu")},
    ),
    fault(
        "tied weights: the second gradient overwrites the first", TIED,
        {"target": Words(AssigningEmbedding(7, 4, rng=rng()))},
        found_in="several", hidden_by="tests that are not tied", fails=("token.weight",),
        unseen={"target": Words(AssigningEmbedding(7, 4, rng=rng()), tied=False)},
    ),
    fault(
        "= for += in a layer used twice", TWICE, {"target": Twice(AssigningLinear(5, 5, rng=rng()))},
        found_in=MUTANT, hidden_by="single use", fails=("f.weight", "f.bias"),
        unseen={"target": AssigningLinear(5, 5, rng=rng())},
    ),
    fault(
        "a layer that keeps its input in itself", TWICE, {"target": Twice(RememberingLinear(5, 5, rng=rng()))},
        found_in="a habit of many", hidden_by="single use", fails=("f.weight",),
        unseen={"target": RememberingLinear(5, 5, rng=rng())},
    ),
    fault(
        "tied weights found by equal values", TWO, {"target": tied_by_value(TwoMaps())},
        found_in="shipped code", hidden_by=RIGHT, caught_by="state_dict", says="unexpected second.bias", unseen={},
    ),
]
