"""Averaged weights: the mean itself, when it begins, who computes with it, and runs that go on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizer_twins import DECAY, LR, Toy, random_gradients, take

from tinytx.core import Layer, Parameter
from tinytx.training import SGD, Averaged, Lookahead, Trainer
from tinytx.training.loop import fit


def averaged(dtype=np.float64, **options):
    return Averaged(SGD(Toy(dtype), LR, weight_decay=DECAY, groups=options.pop("groups", ())), **options)


def weights(optimizer):
    return {name: parameter.data.copy() for name, parameter in optimizer.named.items()}


def assert_equal(one, other, atol=0):
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_mean_of_the_weights_since_it_began(dtype):
    """Catches a mean that counts the weights before it began, and one that training goes on from."""
    optimizer, plain, since = averaged(dtype), SGD(Toy(dtype), LR, weight_decay=DECAY), []
    for t, grads in enumerate(random_gradients(9)):
        if t == 4:
            optimizer.begin()
        take(optimizer, grads)
        take(plain, grads)
        since += [weights(plain)] if t >= 4 else []
        assert_equal(weights(optimizer), weights(plain))
    with optimizer.averaged():
        mean = {name: np.mean([each[name] for each in since], axis=0) for name in since[0]}
        assert_equal(weights(optimizer), mean, atol=1e-6 if dtype == np.float32 else 1e-14)
    assert_equal(weights(optimizer), weights(plain))


def test_before_it_began_the_model_has_its_own_weights():
    optimizer = averaged()
    take(optimizer, random_gradients(1)[0])
    before = weights(optimizer)
    with optimizer.averaged():
        assert_equal(weights(optimizer), before)


@given(losses=st.lists(st.integers(0, 6), max_size=14), patience=st.integers(1, 4))
def test_it_begins_by_the_papers_algorithm(losses, patience):
    """Merity et al. 2017, algorithm 1, with its list of all losses."""
    optimizer, logs, begun = averaged(patience=patience), [], None
    for t, v in enumerate(losses):
        optimizer.optimizer.t = 10 * t
        if len(logs) > patience and v > min(logs[: len(logs) - patience]) and begun is None:
            begun = 10 * t
        logs.append(v)
        optimizer.observe(v)
        assert optimizer.begun == begun


@pytest.mark.parametrize("stop", [2, 5, 8])
def test_a_run_goes_on_to_the_bit(stop):
    """Before and after it began; catches losses, beginning or mean left out of the state."""
    losses, grads = [3.0, 1.0, 2.0, 2.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0], random_gradients(10)

    def run(optimizer, steps):
        for t in steps:
            take(optimizer, grads[t])
            optimizer.observe(losses[t])
        return optimizer

    straight, first, resumed = run(averaged(patience=2), range(10)), run(averaged(patience=2), range(stop)), averaged(patience=2)
    resumed.load_state_dict({name: array.copy() for name, array in first.state_dict().items()})
    for name, parameter in resumed.named.items():
        parameter.data[...] = first.named[name].data
    run(resumed, range(stop, 10))
    assert straight.begun == resumed.begun == 5 and straight.t == 10
    for name, array in straight.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], array)
    assert_equal(weights(resumed), weights(straight))


def test_frozen_parameters_keep_their_weights():
    """One that is thawed later is averaged from there on; catches a mean of zeros."""
    optimizer = averaged(groups=[("weight", {"lr_factor": 0.0}), ("bias", {"first_step": 3})])
    optimizer.begin()
    before, after = weights(optimizer), []
    for grads in random_gradients(5):
        take(optimizer, grads)
        after.append(weights(optimizer)["bias"])
        with optimizer.averaged():
            now = weights(optimizer)
            np.testing.assert_array_equal(now["weight"], before["weight"])
            expected = np.mean(after[3:], axis=0) if len(after) > 3 else before["bias"]
            np.testing.assert_allclose(now["bias"], expected, rtol=0, atol=1e-14)


class Pull(Layer):
    """A weight that each batch pulls to its mean."""

    def __init__(self):
        self.w = Parameter(np.zeros(2))

    def forward(self, x, tape=None):
        raise NotImplementedError

    def loss(self, x, tape=None, *, count=None):
        if tape is not None:
            tape.push(self, (x, count))
        return float(np.square(x - self.w.data).sum() / count)

    def loss_backward(self, tape):
        x, count = tape.pop(self)
        self.w.add_grad(-2 * (x - self.w.data).sum(axis=0) / count)

    def count(self, x):
        return len(x)


def test_evaluation_is_with_the_mean_and_its_losses_begin_it(tmp_path):
    """Through the trainer and the loop of a run; training goes on with the weights of the last step."""
    model, x, walk, losses = Pull(), np.random.default_rng(0).normal(size=(21, 4, 2)), [], []
    optimizer = Averaged(SGD(model, 0.4), patience=1)
    trainer = Trainer(model, optimizer, threads=2, clip=None)

    def batch(step):
        walk.append(model.w.data.copy())  # after so many steps
        return (x[step],)

    def evaluate():
        losses.append(trainer.evaluate([(np.zeros((4, 2)),)]))
        return losses[-1]

    assert fit(trainer, batch, evaluate=evaluate, steps=21, out=tmp_path, save=lambda: None, eval_every=2)
    begun = optimizer.begun
    assert 6 <= begun <= 12 and losses[begun // 2 - 1] > min(losses[: begun // 2 - 2])
    np.testing.assert_allclose(losses[0], np.square(walk[2]).sum(), rtol=1e-12)
    np.testing.assert_allclose(losses[-1], np.square(np.mean(walk[begun + 1 :], axis=0)).sum(), rtol=1e-12)
    np.testing.assert_allclose(model.w.data, walk[-1] + 0.4 * 2 * (x[-1] - walk[-1]).mean(axis=0), rtol=1e-12)


def test_an_optimiser_around_it_hands_on_what_it_needs():
    """Catches Lookahead of an averaged optimiser that never begins to average."""
    optimizer = Lookahead(averaged(patience=1), k=2)
    for grads, loss in zip(random_gradients(6), [1.0, 2.0, 3.0, 3.0, 3.0, 3.0]):
        take(optimizer, grads)
        optimizer.observe(loss)
    before = weights(optimizer)
    assert optimizer.optimizer.begun == 3
    with optimizer.averaged():
        assert (weights(optimizer)["bias"] != before["bias"]).all()
    assert_equal(weights(optimizer), before)


def test_what_is_saved_inside_is_the_average_and_goes_on_to_the_bit():
    """Model and state written in `averaged`, read into new ones: catches a run that goes on from the mean."""
    grads, straight, first, resumed = random_gradients(8), averaged(), averaged(), averaged()
    for optimizer, stop in ((straight, 8), (first, 6)):
        for t in range(stop):
            if t == 2:
                optimizer.begin()
            take(optimizer, grads[t])
    with first.averaged():
        mean, state = weights(first), {name: array.copy() for name, array in first.state_dict().items()}
    for name, parameter in resumed.named.items():
        parameter.data[...] = mean[name]
    resumed.load_state_dict(state)
    resumed.go_on()
    assert_equal(weights(resumed), weights(first))
    for t in (6, 7):
        take(resumed, grads[t])
    assert_equal(weights(resumed), weights(straight))
    with resumed.averaged(), straight.averaged():
        assert_equal(weights(resumed), weights(straight))


@pytest.mark.parametrize("patience", [0, -1, 1.5, True, None])
def test_patience_out_of_range(patience):
    with pytest.raises((TypeError, ValueError), match="Averaged: patience is"):
        averaged(patience=patience)


def test_it_stands_around_an_optimiser():
    with pytest.raises(TypeError, match="Averaged: optimizer is a Toy, expected an Optimizer"):
        Averaged(Toy())
