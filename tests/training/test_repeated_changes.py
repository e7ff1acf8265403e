"""Repeated steps beside what users change, and beside optimisers of their own: what Python would do is done."""

import numpy as np
import pytest

from tests.training.test_repeater import batch, model_of, one_ordinary_step, repeated, steps, trainer_of  # noqa: F401  the third is a fixture
from tinytx.kernel import is_plain
from tinytx.layers import Activation, Dropout, LayerNorm
from tinytx.training import SGD, AdamW, Trainer
from tinytx.training.optimizers.base import Optimizer

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python nothing is compiled, and nothing repeated")


class OfPython(Optimizer):
    slots = ("m",)

    @staticmethod
    def _loop(p, m, g, numbers):
        m[...] = 0.9 * m + numbers[0] * g
        p -= numbers[1] * m

    def _numbers(self, scale, lr, decay, t):
        return scale, lr


class Around(SGD):
    def _loop(self, p, u, g, numbers):
        SGD._loop(p, u, np.clip(g, -1e-3, 1e-3), numbers)
        p *= 0.999


class Counting(SGD):
    n = 0

    def _numbers(self, scale, lr, decay, t):
        self.n += 1
        return scale, lr / self.n, self.momentum, decay


class Keeping(AdamW):
    def zero_grad(self):
        """Gradients of all steps are added up."""


def replaced(model):
    optimizer = SGD(model, 1e-2)
    optimizer._loop = lambda *arrays: OfPython._loop(*arrays)
    return optimizer


@pytest.mark.parametrize("make", [OfPython, Around, Counting, Keeping, replaced])
def test_optimisers_of_users(make):
    """Catches updates that are left out, since no kernel makes them, and gradients that take the place of those that were there."""
    seen = []
    for repeats in (True, False):
        model = model_of("GPT")
        trainer = Trainer(model, make(model) if make is replaced else make(model, 1e-2), threads=2)
        for each in trainer._repeaters:
            each.may &= repeats
        seen.append(steps(trainer, map(batch, range(9))))
        assert repeated(trainer)[0] >= 3 * repeats
    assert seen[0] == seen[1]


def with_dropout(model):
    next(layer for _, layer in model.named_layers() if isinstance(layer, Dropout)).p = 0.5


def with_eps(model):
    next(layer for _, layer in model.named_layers() if isinstance(layer, LayerNorm)).eps = 0.1


def with_activation(model):
    model.body.blocks[0].feed_forward.f.activation = Activation("tanh")


def with_block(model):
    model.body.blocks[1] = model.body.blocks[0]


def with_hook(model):
    layer = model.body.blocks[0].attention.f.output
    forward = layer.forward
    layer.forward = lambda x, *others, **settings: forward(2 * x, *others, **settings)


OF_ALL = [with_dropout, with_block, with_hook]


@pytest.mark.parametrize(("name", "change"), [*(("GPT", each) for each in [*OF_ALL, with_eps, with_activation]), *(("Llama", each) for each in OF_ALL)])
def test_one_shard_sees_changes_of_the_model(name, change):
    """Catches a copy that is trained in the place of a model that somebody has changed."""
    seen = []
    for repeats in (True, False):
        trainer = trainer_of(model_of(name), repeats, threads=1)
        first = [trainer.step(*batch(i)) for i in range(6)]
        n = repeated(trainer)[0]
        assert n >= repeats
        change(trainer.model)
        seen.append(first + [trainer.step(*batch(i)) for i in range(6, 9)])
        assert repeated(trainer)[0] == n
    assert seen[0] == seen[1]


def test_ids_that_become_others_are_refused_as_before():
    """Catches 2^64 - 100, which is -100 in 64 bits with a sign, a target that does not count."""
    trainer = trainer_of(model_of("GPT"), threads=2)
    steps(trainer, map(batch, range(5)))
    ids, targets = batch(9)
    targets = targets.astype(np.uint64)
    targets[0, 0] = 2**64 - 100
    with pytest.raises(ValueError, match="18446744073709551516"):
        trainer.step(ids, targets)
