"""Shards beside the whole batch: unequal counts, unequal contributions, any number of threads; value and gradient."""

import threading

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Layer, Parameter, Tape
from tinytx.layers import Dropout, Linear
from tinytx.training import SGD, Trainer
from tinytx.training.shards import ShardParameter, share_gradients

CUTS = [(1, 1), (2, 1), (3, 1), (1, 3), (2, 2), (7, 1)]


class Classifier(Layer):
    """Two linear maps of (B, D) with dropout between them: no axis of positions, and a bias that few rows use.

    The loss is the mean over the labels that count, plus each row's ``bonus`` where its label is 0: rows add to the
    gradient of ``extra`` once, twice or not at all.
    """

    def __init__(self, p=0.4, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.expand, self.dropout = Linear(4, 8, rng=rng, dtype=dtype), Dropout(p)
        self.contract = Linear(8, 3, rng=rng, dtype=dtype)
        self.extra = {"bonus": Parameter(np.full(2, 0.5, dtype))}

    def loss(self, x, labels, tape=None, *, count=None):
        logits = self.contract(self.dropout(self.expand(x, tape), tape), tape)
        count = self.count(x, labels) if count is None else count
        loss, saved = ops.cross_entropy(logits, labels, count=count)
        zeros = np.count_nonzero(np.asarray(labels) == 0)
        if tape is not None:
            tape.push(self, (saved, zeros, count))
        return loss + zeros * float(self.extra["bonus"].data.sum()) / count

    def loss_backward(self, tape):
        saved, zeros, count = tape.pop(self)
        for _ in range(zeros):
            self.extra["bonus"].add_grad(np.full(2, 1 / count))
        dy = self.contract.backward(ops.cross_entropy_backward(1.0, saved), tape)
        self.expand.backward(self.dropout.backward(dy, tape), tape)

    @staticmethod
    def count(x, labels):
        return ops.count_targets(labels)


def batch_of(labels):
    labels = np.asarray(labels)
    return np.random.default_rng(len(labels)).standard_normal((len(labels), 4)), labels


LABELS = {
    "counts differ": [1, -100, -100, 2, 1, 0, -100],
    "a shard without targets": [-100, -100, -100, -100, 2, 1, 1],
    "contributions differ": [0, 0, 0, 1, 2, 0, -100],
    "contributions of the last alone": [1, 2, 1, 2, 1, 0, 0],
    "fewer rows than threads": [0, 1],
    "one row": [0],
}


@pytest.mark.parametrize("threads, accumulate", CUTS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_shards_add_up_to_the_whole_batch(labels, threads, accumulate):
    """Catches a divisor that is a shard's own, a contribution that waits for one that never comes, and a dropout mask
    of (B, D) that begins anew with each shard."""
    model, batch = Classifier(), batch_of(labels)
    tape = Tape(seed=3, step=0)
    loss = model.loss(*batch, tape)
    model.loss_backward(tape)
    expected = {name: parameter.grad.copy() for name, parameter in model.named_parameters()}
    trainer = Trainer(model, SGD(model, 0.0), clip=None, threads=threads, accumulate=accumulate, seed=3)
    assert trainer.step(*batch) == pytest.approx(loss, abs=1e-13)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[name], rtol=0, atol=1e-13, err_msg=name)
    assert trainer.evaluate([batch]) == pytest.approx(model.loss(*batch), abs=1e-13)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_gradient_of_shards_is_the_difference_quotient_of_their_loss(threads):
    """Catches a mistake that the plain gradient shares: value and gradient of the trainer alone, dropout included."""
    batch, step = batch_of(LABELS["counts differ"]), 1e-6

    def loss_at(name, index, shift):
        model = Classifier()
        parameter = dict(model.named_parameters())[name]
        parameter.data[index] += shift
        trainer = Trainer(model, SGD(model, 0.0), threads=threads, seed=3)
        return trainer.step(*batch), parameter.grad[index]

    for name, index in (("expand.weight", (1, 5)), ("contract.bias", (2,)), ("extra.bonus", (0,))):
        quotient = (loss_at(name, index, step)[0] - loss_at(name, index, -step)[0]) / (2 * step)
        assert loss_at(name, index, 0.0)[1] == pytest.approx(quotient, abs=1e-9)


@pytest.mark.parametrize("given", [(3, 0, 1), (0, 0, 4), (1, 2, 3), (0, 0, 0), (2, 2, 2)])
def test_unequal_numbers_of_contributions_in_any_order_of_threads(given):
    """Catches a contribution that is lost or added twice, and a sum whose bits depend on which thread is first."""
    rng = np.random.default_rng(0)
    contributions = [[rng.standard_normal(5) * 10.0 ** rng.integers(-8, 8) for _ in range(n)] for n in given]
    found = set()
    for seed in range(8):
        parameter = Parameter(np.zeros(5))
        shards = [{"w": ShardParameter(parameter.data)} for _ in given]
        (total,) = share_gradients({"w": parameter}, shards)
        pauses = np.random.default_rng(seed).random((len(given), 4)) / 500

        def work(i, shards=shards, pauses=pauses):
            for n, contribution in enumerate(contributions[i]):
                threading.Event().wait(pauses[i, n])
                if n % 2:
                    shards[i]["w"].add_into_grad(lambda grad, c=contribution: np.add(grad, c, out=grad))
                else:
                    shards[i]["w"].add_grad(contribution)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(given))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total.close()
        found.add(parameter.grad.tobytes())
    assert len(found) == 1
    every = [c for own in contributions for c in own]
    largest = max((np.abs(c).max() for c in every), default=1.0)
    np.testing.assert_allclose(np.frombuffer(found.pop()), sum(every, np.zeros(5)), rtol=0, atol=1e-14 * largest)
