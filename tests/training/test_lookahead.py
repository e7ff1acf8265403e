"""Lookahead and Ranger against their algorithms in plain NumPy, and mutants that these comparisons reject."""

import dataclasses

import numpy as np
import pytest
from optimizer_twins import STEPS, Toy, adam, lookahead, radam, random_gradients, ranger, sgd, take
from optimizer_twins import run as run_twin

from tinytx.core import Tape
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import (
    SGD,
    Adam,
    AdamW,
    Lookahead,
    RAdam,
    Ranger,
    Trainer,
    WarmupCosine,
    load_checkpoint,
    save_checkpoint,
)
from tinytx.training.optimizers import lookahead as lookahead_file

BETAS = {"betas": (0.8, 0.95)}
SCHEDULE = WarmupCosine(0.05, 7, 120, 0.005)


def assert_follows(optimizer, twin, steps=120, decay=0.2):
    """Take steps with a schedule and half of twice the gradients; compare each parameter with its twin's way."""
    gradients = random_gradients(steps)
    starts = {name: parameter.data.copy() for name, parameter in optimizer.named.items()}
    lrs = [SCHEDULE(step) for step in range(steps)]
    for grads in gradients:
        take(optimizer, {name: 2 * g for name, g in grads.items()}, scale=0.5)
    for name, start in starts.items():
        expected = twin(start, [g[name] for g in gradients], lrs, decay if name == "weight" else 0.0)
        np.testing.assert_allclose(optimizer.named[name].data, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k, alpha", [(1, 0.5), (5, 0.5), (6, 0.8), (7, 1.0), (200, 0.5)])
@pytest.mark.parametrize(
    "inner, formula",
    [
        (lambda model: SGD(model, SCHEDULE, momentum=0.9, weight_decay=0.2), sgd(0.9)),
        (lambda model: AdamW(model, SCHEDULE, weight_decay=0.2, **BETAS), adam(decoupled=True)),
    ],
    ids=["SGD", "AdamW"],
)
def test_lookahead_is_two_loops(inner, formula, k, alpha):
    """Catches a slow step that comes early, late or never, moments that are reset, and alpha and 1 - alpha swapped."""
    assert_follows(Lookahead(inner(Toy()), k=k, alpha=alpha), lambda *a: lookahead(formula, *a, k=k, alpha=alpha))


@pytest.mark.parametrize("options", [{}, {"k": 4, "alpha": 0.3}, {"eps": 1e-2}, {"betas": (0.9, 0.95)}])
def test_ranger_is_the_published_algorithm(options):
    """Catches other defaults, decay that is coupled, eps in another place, and slow weights that start elsewhere."""
    renamed = {name: value for name, value in options.items() if name != "betas"}
    if "betas" in options:
        renamed |= dict(zip(("b1", "b2"), options["betas"]))
    assert_follows(Ranger(Toy(), SCHEDULE, weight_decay=0.2, **options), lambda *a: ranger(*a, **renamed))


def test_ranger_with_the_other_threshold():
    """Catches an option that is taken and not used."""
    optimizer = Ranger(Toy(), SCHEDULE, weight_decay=0.2, rho_threshold=4)
    assert_follows(optimizer, lambda *a: ranger(*a, n_sma_threshold=4))


# ------------------------------------------------------------------------------------------ mutants


class Unsynced(Ranger):
    """Slow weights start at 0."""

    def step(self, **options):
        super().step(**options)
        if self.t == 1:
            for slow in self.state["slow"].values():
                slow[...] = 0


class Uncorrected(RAdam):
    """No correction of the first moment's bias."""

    def _step_size(self, lr, t):
        step_size, root, eps = super()._step_size(lr, t)
        return step_size * (1 - self.betas[0] ** self.t), root, eps


class UncorrectedSecond(RAdam):
    """No correction of the second moment's bias."""

    def _step_size(self, lr, t):
        step_size, root, eps = super()._step_size(lr, t)
        return (step_size / np.sqrt(1 - self.betas[1] ** self.t) if root else step_size), root, eps


def rectified(kind, **options):
    return lambda: kind(Toy(), SCHEDULE, weight_decay=0.2, **BETAS, **options)


def ranger_around(**options):
    return lambda: Lookahead(RAdam(Toy(), SCHEDULE, betas=(0.95, 0.999), eps=1e-5, weight_decay=0.2, **options), k=6)


def follow_radam(*arguments):
    return run_twin(radam(decoupled=False), *arguments)


RIGHT = {
    "RAdam": (rectified(RAdam), follow_radam),
    "Ranger from its parts": (ranger_around(decoupled_weight_decay=True), ranger),
}
MUTANTS = {
    "threshold 4 for 5": (rectified(RAdam, rho_threshold=4), follow_radam),
    "no bias correction of m": (rectified(Uncorrected), follow_radam),
    "no bias correction of v": (rectified(UncorrectedSecond), follow_radam),
    "decoupled for coupled": (rectified(RAdam, decoupled_weight_decay=True), follow_radam),
    "Adam for RAdam": (rectified(Adam), follow_radam),
    "coupled for decoupled": (ranger_around(decoupled_weight_decay=False), ranger),
    "threshold 4 for 5, in Ranger": (ranger_around(decoupled_weight_decay=True, rho_threshold=4), ranger),
    "slow weights not synced": (lambda: Unsynced(Toy(), SCHEDULE, weight_decay=0.2), ranger),
}


@pytest.mark.parametrize("make, twin", RIGHT.values(), ids=RIGHT)
def test_what_the_mutants_are_mutants_of_is_right(make, twin):
    """The test of the next test."""
    assert_follows(make(), twin)


@pytest.mark.parametrize("make, twin", MUTANTS.values(), ids=MUTANTS)
def test_mutant_is_rejected(make, twin):
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_follows(make(), twin)


def test_slow_weights_that_stay_are_rejected(monkeypatch):
    """A mutant of the loop: slow weights that are read and not written."""
    monkeypatch.setattr(lookahead_file, "_back", lambda p, s, alpha: p.__setitem__(..., s + alpha * (p - s)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_follows(Ranger(Toy(), SCHEDULE, weight_decay=0.2), ranger)


# ------------------------------------------------------------------------------------------ as an optimiser


def test_weights_loaded_after_construction_are_the_slow_ones():
    """Catches slow weights of the random start, to which the sixth step would go half-way back."""
    optimizer = Ranger(Toy(), 1e-3)
    for parameter in optimizer.named.values():
        parameter.data += 100
    for grads in random_gradients(6):
        take(optimizer, grads)
    assert all((parameter.data > 90).all() for parameter in optimizer.named.values())


def test_learning_rate_and_counter_are_the_inner_optimisers():
    """Catches a schedule that stands still, and two counters that drift apart."""
    inner = SGD(Toy(), lambda step: 1 / (1 + step))
    outer = Lookahead(inner, k=2)
    for t, grads in enumerate(random_gradients(3)):
        assert outer.learning_rate == 1 / (1 + t)
        take(outer, grads)
    outer.lr = 0.5
    assert outer.t == inner.t == 3 and inner.learning_rate == 0.5


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"k": 2.0}, {"k": True}, {"alpha": 0.0}, {"alpha": 1.1}, {"alpha": np.nan}]
)
def test_settings_out_of_range(options):
    """Catches a modulus of 0, and weights that never move."""
    with pytest.raises(ValueError, match=f"Lookahead: {next(iter(options))} is"):
        Lookahead(SGD(Toy(), 0.1), **options)


def test_state_of_another_optimiser_is_refused_and_changes_nothing():
    """Catches an inner state that is loaded before the slow weights are found missing."""
    optimizer, other = Ranger(Toy(), 0.1), RAdam(Toy(), 0.1)
    for grads in random_gradients(2):
        take(optimizer, grads)
        take(other, grads)
    before = {name: array.copy() for name, array in optimizer.state_dict().items()}
    for state in (other.state_dict(), {n: a + 1 for n, a in before.items() if n != "slow.bias"}):
        with pytest.raises(ValueError, match="Ranger: state does not fit the model: .*slow.bias"):
            optimizer.load_state_dict(state)
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def trainer_of(model, threads=2):
    groups = [("*.norm.*", {"weight_decay": 0.3}), ("*position.*", {"lr_factor": 0.5})]
    optimizer = Ranger(model, WarmupCosine(3e-2, 3, 20), weight_decay=0.1, groups=groups)
    return Trainer(model, optimizer, clip=0.5, threads=threads, seed=1)


def tiny_gpt(dtype=np.float32, dropout=0.2):
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2, dropout=dropout)
    return NextToken(GPT(config, rng=np.random.default_rng(0), dtype=dtype))


def train_until(trainer, steps):
    while trainer.optimizer.t < steps:
        rng = np.random.default_rng(trainer.optimizer.t)
        trainer.step(*rng.integers(11, size=(2, 5, 6)))


def content(trainer):
    arrays = {**trainer.model.state_dict(), **trainer.optimizer.state_dict()}
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.compiled
@pytest.mark.parametrize("stop", [0, 5, 6, 8])
def test_resumed_run_is_the_straight_run(tmp_path, stop):
    """Catches slow weights, moments or the place in the cycle of k that a checkpoint does not hold: to the last bit."""
    straight, first = trainer_of(tiny_gpt()), trainer_of(tiny_gpt())
    train_until(straight, 20)
    train_until(first, stop)
    save_checkpoint(tmp_path, first.model, optimizer=first.optimizer)
    model, optimizer_state, _ = load_checkpoint(tmp_path)
    second = trainer_of(model)
    second.optimizer.load_state_dict(optimizer_state)
    train_until(second, 20)
    assert content(second) == content(straight)


@pytest.mark.compiled
def test_threads_change_nothing_but_rounding():
    """Catches slow steps that one thread takes before another has finished the fast one."""
    one, two = (trainer_of(tiny_gpt(np.float64, dropout=0.0), threads) for threads in (1, 2))
    for trainer in (one, two):
        train_until(trainer, STEPS)
    for name, array in one.model.state_dict().items():
        np.testing.assert_allclose(two.model.state_dict()[name], array, rtol=0, atol=1e-9)


def test_gradient_centralization_would_change_nothing_for_an_embedding():
    """What Ranger's docstring says of pre-norm models: each row of the embedding's gradient has the mean 0."""
    model = tiny_gpt(np.float64, dropout=0.0)
    for parameter in model.parameters():
        parameter.data += 0.3 * np.random.default_rng(0).standard_normal(parameter.data.shape)
    untied = NextToken.around(GPT, dataclasses.replace(model.config, tied_head=False), rng=np.random.default_rng(0), dtype=np.float64)
    untied.load_state_dict(model.state_dict() | {"head.weight": untied.head.weight.data})
    tape, ids = Tape(), np.random.default_rng(1).integers(11, size=(4, 7))
    untied.loss(ids, ids[:, ::-1], tape)
    untied.loss_backward(tape)
    assert abs(untied.body.token.weight.grad).max() > 1e-3
    np.testing.assert_allclose(untied.body.token.weight.grad.mean(1), 0, atol=1e-15)
