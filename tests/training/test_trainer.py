"""A training step: the same gradient however a batch is cut, and nothing half done when it fails."""

import math
import sys

import numpy as np
import pytest
import transformer_cases

from tinytx.core import Layer, Parameter, Tape
from tinytx.extras import MissingExtra
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import SGD, AdamW, NotFiniteError, Trainer
from tinytx.training.shards import ShardParameter, share_gradients

IGNORED = -100
CUTS = [(threads, accumulate) for threads in (1, 2, 3) for accumulate in (1, 2)]


def tiny_gpt(dropout=0.3):
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2, dropout=dropout)
    return NextToken(GPT(config, rng=np.random.default_rng(0), dtype=np.float64))


def uneven_batch(n_rows=5, seed=1):
    """Ids and targets: five rows, which neither 2 nor 3 divides, with most of the ignored targets in the last ones."""
    ids, targets = np.random.default_rng(seed).integers(11, size=(2, n_rows, 6))
    targets[-1, :5], targets[-2, 2:4], targets[0, 0] = IGNORED, IGNORED, IGNORED
    return ids, targets


def frozen(model, **options):
    """A trainer whose steps change nothing and leave the gradient to look at."""
    return Trainer(model, SGD(model, 0.0), **options)


def gradients(model):
    return np.concatenate([parameter.grad.ravel() for parameter in model.parameters()])


def snapshot(trainer):
    """The bytes of parameters, moments and step counter."""
    arrays = {**trainer.model.state_dict(), **trainer.optimizer.state_dict()}
    return {name: array.tobytes() for name, array in arrays.items()}


class Slope(Layer):
    """loss = sum(x) / count, with whatever gradient it is told: the smallest model that a trainer takes."""

    def __init__(self, gradient):
        self.weight = Parameter(np.ones(3))
        self.gradient = np.asarray(gradient, float)

    def loss(self, x, tape=None, *, count=None):
        if tape is not None:
            tape.push(self, None)
        return float(x.sum()) / count

    def loss_backward(self, tape):
        tape.pop(self)
        self.weight.add_grad(self.gradient)

    @staticmethod
    def count(x):
        return x.size


@pytest.mark.parametrize("threads, accumulate", CUTS)
def test_gradient_does_not_depend_on_how_the_batch_is_cut(threads, accumulate):
    """Catches a mean per shard (wrong where shards have unequal numbers of targets), a shard that is lost or counted
    twice, dropout masks that depend on the shard, and what the step before left in a thread's own gradients."""
    model, batch = tiny_gpt(), uneven_batch()
    tape = Tape(seed=5, step=1)
    loss = model.loss(*batch, tape)
    model.loss_backward(tape)
    expected = gradients(model)

    trainer = frozen(model, threads=threads, accumulate=accumulate, seed=5)
    trainer.step(*uneven_batch(seed=2))
    assert trainer.step(*batch) == pytest.approx(loss, abs=1e-12)
    np.testing.assert_allclose(gradients(model), expected, rtol=0, atol=1e-12)
    assert trainer.grad_norm == pytest.approx(np.linalg.norm(expected), abs=1e-12)


def test_batch_smaller_than_the_threads():
    """Catches an empty shard, whose forward would raise or whose gradient would be an old one."""
    model, (ids, targets) = tiny_gpt(), uneven_batch()
    losses = {frozen(model, threads=threads).step(ids[:1], targets[:1]) for threads in (1, 3)}
    assert len(losses) == 1


@pytest.mark.parametrize("logits_in_chunks", [False, True])
def test_one_row_on_all_threads_has_the_same_gradient(monkeypatch, logits_in_chunks):
    """Catches heads or rows that two threads write, and a gradient left in a replica, where a batch cannot be cut."""
    monkeypatch.setattr(sys.modules["tinytx.ops.linear"], "LARGE", 0)
    if logits_in_chunks:
        monkeypatch.setattr("tinytx.tasks.task.LOGITS", 0)
    (ids, targets), found = uneven_batch(), []
    for threads in (1, 3):
        model = tiny_gpt()
        frozen(model, threads=threads).step(ids[:1], targets[:1])
        found.append(gradients(model))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_gradients_written_into_grad_count_too(threads):
    """Catches a sum over shards that knows ``add_grad`` alone: a layer of somebody's own may write ``grad +=``."""

    class Written(Slope):
        def loss_backward(self, tape):
            tape.pop(self)
            self.weight.grad += self.gradient

    model = Written([3.0, 4.0, 12.0])
    frozen(model, threads=threads).step(np.ones((3, 2)))
    np.testing.assert_array_equal(model.weight.grad, threads * model.gradient)


def test_shards_are_summed_in_their_own_order():
    """Catches an order that depends on which thread is first: 1e16 + 1 - 1e16 is 0 or 1 in float64."""
    for first in range(3):
        parameter = Parameter(np.zeros(1))
        shards = [{"w": ShardParameter(parameter.data)} for _ in range(3)]
        (total,) = share_gradients({"w": parameter}, shards)
        for i in (first, (first + 1) % 3, (first + 2) % 3):
            shards[i]["w"].add_grad(np.array([[1e16, 1.0, -1e16][i]]))
        total.close()
        assert parameter.grad[0] == (1e16 + 1.0) - 1e16


def test_same_threads_same_bits():
    """Catches gradients summed in the order in which threads happen to finish."""

    def trained():
        model = tiny_gpt()
        trainer = Trainer(model, AdamW(model, 1e-2), threads=3, accumulate=2)
        losses = [trainer.step(*uneven_batch(seed=seed)) for seed in range(5)]
        return losses, snapshot(trainer)

    assert trained() == trained()


def test_dropout_masks_change_with_step_and_seed():
    """Catches a tape made without the step or the seed: the same units dropped for a whole run."""
    model, batch = tiny_gpt(), uneven_batch()
    first, other_seed = frozen(model, threads=1, seed=0), frozen(model, threads=1, seed=1)
    assert len({first.step(*batch), first.step(*batch), other_seed.step(*batch)}) == 3


@pytest.mark.parametrize("clip, scale", [(1.0, 1 / (13 + 1e-6)), (20.0, 1.0), (None, 1.0), (0, 1.0)])
def test_clipping_is_its_definition(clip, scale):
    """Catches clipping of each array alone, growth of small gradients, and a grad_norm measured after clipping."""
    model = Slope([3.0, 4.0, 12.0])
    trainer = Trainer(model, SGD(model, 1.0), clip=clip, threads=1)
    trainer.step(np.ones((1, 2)))
    np.testing.assert_allclose(model.weight.data, 1 - scale * model.gradient, rtol=1e-15)
    assert trainer.grad_norm == 13


@pytest.mark.parametrize("options", [{"threads": 0}, {"accumulate": 0}, {"clip": -1.0}, {"clip": math.nan}])
def test_settings_out_of_range_are_refused(options):
    """Catches a negative clip, which would turn every step uphill, and zero shards."""
    model = Slope([1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=next(iter(options))):
        Trainer(model, SGD(model, 1.0), **options)


def test_loss_that_is_not_finite_changes_nothing():
    """Catches an update with NaN, after which every weight and moment is NaN: the state must stand as it was."""
    model = tiny_gpt()
    trainer = Trainer(model, AdamW(model, 1e-2), threads=2)
    trainer.step(*uneven_batch())
    model.body.norm.weight.data[3] = math.nan
    before = snapshot(trainer)
    with pytest.raises(NotFiniteError, match="step 1: loss is nan"):
        trainer.step(*uneven_batch())
    assert snapshot(trainer) == before


@pytest.mark.parametrize("loss, slope", [(1.0, math.nan), (1.0, math.inf), (math.nan, 2.0), (math.inf, 2.0)])
def test_loss_or_gradient_alone_not_finite_changes_nothing(loss, slope):
    """Catches a check of only one of them: a finite loss can have a gradient that overflowed, and the reverse."""
    model = Slope([0.0, slope, 0.0])
    trainer = Trainer(model, AdamW(model, 1e-2), threads=1)
    before = snapshot(trainer)
    with pytest.raises(NotFiniteError, match=f"loss is {loss}, gradient norm {slope}"):
        trainer.step(np.full((1, 2), loss))
    assert snapshot(trainer) == before


@pytest.mark.parametrize("kind", [list, iter])
def test_evaluate_is_the_mean_over_all_targets(kind):
    """Catches a mean of means, which gives a short last batch too much weight, and a generator that is used up."""
    model, (ids, targets) = tiny_gpt(), uneven_batch()
    batches = [(ids[:3], targets[:3]), (ids[3:], targets[3:])]
    expected = model.loss(ids, targets)
    assert frozen(model, threads=2).evaluate(kind(batches)) == pytest.approx(expected, abs=1e-12)


def test_evaluate_of_a_transformer_is_the_mean_over_all_words():
    """Catches a count that is not the model's own: padding does not count in a Transformer."""
    model = transformer_cases.model_of(label_smoothing=0.1)
    source, target = transformer_cases.batch_of(b=4)
    batches = [(source[:1], target[:1]), (source[1:], target[1:])]
    assert frozen(model, threads=2).evaluate(batches) == pytest.approx(model.loss(source, target), abs=1e-12)


class TwoMeans(Slope):
    """The mean of x and the mean of the y that are not 0: two parts, each with a count of its own."""

    def loss(self, x, y, tape=None, *, count=None):
        if tape is not None:
            tape.push(self, None)
        return float(x.sum() / count[0] + y.sum() / count[1])

    @staticmethod
    def count(x, y):
        return np.array([x.size, np.count_nonzero(y)])


@pytest.mark.parametrize("threads, accumulate", CUTS)
def test_a_count_is_whatever_adds_up(threads, accumulate):
    """Catches a trainer that takes a count for a number."""
    model = TwoMeans([1.0, 1.0, 1.0])
    x, y = np.arange(10.0).reshape(5, 2), np.array([0.0, 3, 0, 0, 4])
    trainer = frozen(model, threads=threads, accumulate=accumulate)
    assert trainer.step(x, y) == pytest.approx(4.5 + 3.5, abs=1e-14)
    assert trainer.evaluate([(x[:1], y[:1]), (x[1:], y[1:])]) == pytest.approx(4.5 + 3.5, abs=1e-14)


def test_evaluate_refuses_what_is_not_finite():
    """Catches a validation loss of NaN that is logged, and followed by a checkpoint over the last good one."""
    model = tiny_gpt()
    model.body.norm.weight.data[3] = math.nan
    with pytest.raises(NotFiniteError, match="after step 0 the validation loss is nan"):
        frozen(model).evaluate([uneven_batch()])


def test_weights_assigned_anew_reach_every_thread():
    """Catches replicas that keep the old array when somebody assigns to ``Parameter.data``."""
    model, batch = tiny_gpt(), uneven_batch()
    trainer = frozen(model, threads=2)
    model.body.token.weight.data = 3 * model.body.token.weight.data
    assert trainer.step(*batch) == pytest.approx(frozen(model, threads=1).step(*batch), abs=1e-12)


def test_without_threadpoolctl(monkeypatch):
    """Catches threads that would fight with BLAS's own: where those cannot be held, one thread, or a clear error."""
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    model = tiny_gpt()
    trainer = frozen(model)
    assert trainer.threads == 1
    assert math.isfinite(trainer.step(*uneven_batch()))
    with pytest.raises(MissingExtra, match=r"threadpoolctl.*tinytx\[train\]"):
        frozen(model, threads=2)
