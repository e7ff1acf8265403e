"""Ten of the faults, each in all layers of its kind in a whole GPT, for training and for checking it."""

from typing import NamedTuple

import numpy as np

from bug_zoo.heads import KeyReshaped, SoftmaxByBatch
from bug_zoo.layers import DetachedStd, GammaOutside, PreThenPost
from bug_zoo.linear import bias_mean
from bug_zoo.masks import OneAhead
from bug_zoo.sharing import AssigningEmbedding
from tinytx import ops
from tinytx.layers import Activation, DotProduct, Embedding, LayerNorm, Linear, MultiHeadAttention, Residual
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken


class MixedGELU(Activation):
    """GELU forward by tanh, backward by erf."""

    def backward(self, dy, tape):
        return ops.gelu_backward(dy, tape.pop(self))


class BiasMean(Linear):
    """`Linear` with `linear.bias_mean`."""

    def backward(self, dy, tape):
        dx, dweight, dbias = bias_mean(dy, tape.pop(self))
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx


class NotDivided(NextToken):
    """The task with `losses.not_divided`."""

    def loss_backward(self, tape):
        saved = tape.pop(self)
        self.backward(ops.cross_entropy_backward(saved.count, saved), tape)


class Infection(NamedTuple):
    """A fault of a whole model.

    Attributes
    ----------
    sound, broken : type
        The class of the layers that have it, and the class that they become.
    tensor : str
        The parameter of a GPT of one block at which gradcheck finds it; "" if the gradients are right.
    settings : dict
        Attributes that the layers get beside.
    """

    sound: type
    broken: type
    tensor: str
    settings: dict = {}


ATTENTION, FEED_FORWARD = "body.blocks.0.attention.f", "body.blocks.0.feed_forward.f"
INFECTIONS = {  # those first that nobody would see in a loss curve
    "two forms of GELU mixed": Infection(Activation, MixedGELU, f"{FEED_FORWARD}.expand.weight"),
    "bias gradient averaged": Infection(Linear, BiasMean, f"{FEED_FORWARD}.contract.bias"),
    "loss gradient undivided": Infection(NextToken, NotDivided, "body.token.weight"),
    "gamma outside the sums": Infection(LayerNorm, GammaOutside, f"{FEED_FORWARD}.contract.weight"),
    "softmax backward / batch": Infection(MultiHeadAttention, SoftmaxByBatch, f"{ATTENTION}.query.weight"),
    "dK not transposed back": Infection(MultiHeadAttention, KeyReshaped, f"{ATTENTION}.key.weight"),
    "tied weights overwritten": Infection(Embedding, AssigningEmbedding, "body.token.weight"),
    "pre- and post-norm mixed": Infection(Residual, PreThenPost, f"{FEED_FORWARD}.contract.weight"),
    "layer norm's std detached": Infection(LayerNorm, DetachedStd, f"{FEED_FORWARD}.contract.weight"),
    "causal mask off by one": Infection(MultiHeadAttention, OneAhead, "", {"core": DotProduct()}),
}


def infect(model, infection):
    """Give a model's layers a fault, leaving their parameters as they are; return the model."""
    for _, layer in model.named_layers():
        if type(layer) is infection.sound:
            layer.__class__ = infection.broken
            vars(layer).update(infection.settings)
    return model


def tiny_gpt(infection=None):
    """Return a GPT small enough for gradcheck, and ids and targets for it."""
    config = GPTConfig(vocab_size=7, max_len=6, d_model=6, n_heads=2, n_layers=1, d_ff=8)
    model = NextToken(GPT(config, rng=np.random.default_rng(0)))
    ids = np.random.default_rng(1).integers(0, 7, (3, 6))
    return infect(model, infection) if infection else model, ids[:, :-1], ids[:, 1:]
