"""Sums of gradients and updates that compiled code makes again: in every bit those that Python makes, and of arrays that are there now."""

import copy
import weakref
from functools import partial

import numpy as np
import pytest

from tests.training.test_repeater import batch, check, model_of, one_ordinary_step, steps, trainer_of  # noqa: F401  the last but two is a fixture
from tinytx.core import Parameter
from tinytx.kernel import is_plain, kernel
from tinytx.recording import Recording, empty, recording, result
from tinytx.training import LAMB, SGD, AdaGrad, AdamW, Averaged, Ranger, Trainer, repeater
from tinytx.training.again import Again
from tinytx.training.arithmetic import copied, plus, zeros_like
from tinytx.training.shards import ShardParameter
from tinytx.training.sums import Sums

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python nothing is compiled, and nothing repeated")


def is_whole(trainer):
    """Whether sums and updates are repeated."""
    return any(sums for _, sums in trainer._together._sums.values()) and trainer.optimizer._updates._again is not None


# ---------------------------------------------------------------------------------------- whole steps


@pytest.mark.parametrize(("threads", "n_rows"), [(1, 4), (2, 4), (2, 1), (3, 7), (3, 2)])
@pytest.mark.parametrize("name", ["GPT", "GPT of other settings", "Llama"])
def test_every_bit_is_that_of_an_ordinary_step(name, threads, n_rows, monkeypatch):
    made = []
    monkeypatch.setattr(Sums, "again", lambda self, before=Sums.again: made.append(before(self)) or made[-1])
    one, other = (trainer_of(model_of(name), repeats, threads=threads) for repeats in (True, False))
    batches = [batch(i, n_rows) for i in range(10)]
    assert steps(one, batches) == steps(other, batches)
    assert is_whole(one) and not is_whole(other) and len(made) >= 2


OPTIMIZERS = {
    "AdamW": lambda model: AdamW(model, lambda t: 1e-2 / (1 + t), weight_decay=0.1),
    "AdamW with groups": lambda model: AdamW(model, 1e-2, groups=[("*.bias", {"lr_factor": 0.5, "weight_decay": 0.3}), ("*.0.*", {"first_step": 7})]),
    "SGD": lambda model: SGD(model, 1e-2, momentum=0.9, weight_decay=0.1),
    "AdaGrad": lambda model: AdaGrad(model, 1e-2),
    "LAMB": lambda model: LAMB(model, 1e-2),
    "Ranger": lambda model: Ranger(model, 1e-2, k=3),
    "Averaged": lambda model: Averaged(AdamW(model, 1e-2)),
}


def trained(make, n=14, change=lambda trainer: None, repeats=True):
    """A trainer after n steps, with change(trainer) after the 9th."""
    model = model_of("GPT")
    trainer = Trainer(model, make(model), threads=2)
    for each in trainer._repeaters:
        each.may &= repeats
    for i in range(n):
        if i == 9:
            change(trainer)
        trainer.step(*batch(i))
    return trainer


def weights(trainer):
    return [p.data.tobytes() for p in trainer.model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_with_every_optimiser(name):
    one, other = (trained(OPTIMIZERS[name], repeats=repeats) for repeats in (True, False))
    assert weights(one) == weights(other)


def test_second_shards_of_two_kinds():
    """The first ones have the same shape, and their loss divides by as many targets. Catches sums that belong to another second shard."""
    batches = [batch(i, 7 if i % 2 else 6) for i in range(16)]
    for _, targets in batches[1::2]:
        targets[-1] = -100
    check(lambda: model_of("GPT"), batches, [16 - 3, 16 - 2 * 3], threads=2)


def test_sums_go_with_the_recordings_whose_memory_they_use():
    trainer = trainer_of(model_of("GPT"), threads=2)
    steps(trainer, map(batch, range(5)))
    (old,) = trainer._together._sums.keys()
    old = weakref.ref(old)
    for parameter in trainer.model.parameters():
        parameter.data = parameter.data.copy()
    steps(trainer, map(batch, range(5)))
    assert old() is None and len(trainer._together._sums) == 1


def set_decay(trainer):
    trainer.optimizer.weight_decay = 0.5


def set_rate(trainer):
    trainer.optimizer.lr = 0.5


def set_betas(trainer):
    trainer.optimizer.betas = 0.5, 0.6


def load_other_moments(trainer):
    trainer.optimizer.load_state_dict({name: np.abs(array) * 3 for name, array in trainer.optimizer.state_dict().items()})


def put_other_moments(trainer):
    trainer.optimizer.state["m"] = {name: array * 3 for name, array in trainer.optimizer.state["m"].items()}


def put_other_weights(trainer):
    for parameter in trainer.model.parameters():
        parameter.data = parameter.data * np.float32(0.5)


def freeze_some(trainer):
    for parameter in trainer.model.body.blocks[0].parameters():
        parameter.frozen = True


def put_another_update(trainer):
    before = trainer.optimizer._update
    trainer.optimizer._update = lambda name, parameter, scale, lr: before(name, parameter, scale, 2 * lr)


def clip(trainer):
    trainer.clip = 1e-3


def watch(trainer):
    trainer.watches = True


@pytest.mark.parametrize(
    "change",
    [set_decay, set_rate, set_betas, load_other_moments, put_other_moments, put_other_weights, freeze_some, put_another_update, clip, watch],
)
def test_what_changes_between_two_steps_counts(change):
    """Catches numbers and arrays of the time when the calls were written down."""
    one, other = (trained(partial(AdamW, lr=1e-2, weight_decay=0.1), change=change, repeats=repeats) for repeats in (True, False))
    assert weights(one) == weights(other)
    assert weights(one) != weights(trained(partial(AdamW, lr=1e-2, weight_decay=0.1))) or change is watch
    assert one.by_layer == other.by_layer


def test_a_copy_goes_its_own_way():
    """Catches a copy of an optimiser that updates the weights of the other one."""
    trainer = trained(partial(AdamW, lr=1e-2))
    assert is_whole(trainer)
    before = weights(trainer)
    model, optimizer = copy.deepcopy((trainer.model, trainer.optimizer))
    other = Trainer(model, optimizer, threads=2)
    for i in range(8):
        other.step(*batch(i))
    assert weights(trainer) == before
    for i in range(8):
        trainer.step(*batch(i))
    assert weights(trainer) == weights(other) != before


def test_gradients_of_earlier_steps_stay_what_they_were():
    trainer = trained(partial(AdamW, lr=1e-2))
    kept = [p.grad for p in trainer.model.parameters()]
    before = [gradient.tobytes() for gradient in kept]
    trainer.step(*batch(20))
    assert is_whole(trainer) and [gradient.tobytes() for gradient in kept] == before
    assert [p.grad.tobytes() for p in trainer.model.parameters()] != before


def test_parts_of_a_batch_are_added_up():
    """Catches gradients of the part before that are overwritten."""
    check(lambda: model_of("GPT"), [batch(i, 8) for i in range(8)], [13, 13], threads=2, accumulate=2)


def test_more_shapes_than_are_kept(monkeypatch):
    monkeypatch.setattr(repeater, "SHAPES", 2)
    trainer = check(lambda: model_of("GPT"), [batch(i, t=t) for t in (20, 21, 22) for i in range(5)], [6, 6], threads=2)
    assert len(trainer._together._sums) == 2


def test_an_optimiser_may_change_the_gradients():
    class Signs(AdamW):
        def step(self, *, scale=1.0):
            for parameter in self.named.values():
                parameter.grad[...] = np.sign(parameter.grad)
            super().step(scale=scale)

    one, other = (trained(partial(Signs, lr=1e-2), repeats=repeats) for repeats in (True, False))
    assert weights(one) == weights(other)


def test_memory_of_gradients_is_free_after_a_step():
    """Catches an optimiser that holds the gradients of the step before, half a gigabyte in a model of 124 million parameters."""
    trainer = trained(partial(AdamW, lr=1e-2), repeats=False)
    assert any(each() is not None for each in trainer.optimizer._updates._gradients)
    trainer.optimizer.zero_grad()
    assert not any(each() is not None for each in trainer.optimizer._updates._gradients)


# ---------------------------------------------------------------------------------------- gradients that are lent


def test_a_lent_gradient_is_copied_when_it_is_read():
    parameter, lent = Parameter(np.zeros(3)), np.ones(3)
    parameter.lend_grad(lent)
    assert parameter.grad_now is lent and parameter.has_grad
    own = parameter.grad
    assert own is not lent and parameter.grad is own and parameter.grad_now is own
    lent[...] = 5
    np.testing.assert_array_equal(own, 1)


@pytest.mark.parametrize("add", [lambda p: p.add_grad(np.ones(3)), lambda p: p.add_into_grad(lambda grad: np.add(grad, 1, out=grad))])
def test_what_is_added_to_a_lent_gradient_leaves_it_as_it_is(add):
    parameter, lent = Parameter(np.zeros(3)), np.ones(3)
    parameter.lend_grad(lent)
    add(parameter)
    own = parameter.grad
    np.testing.assert_array_equal(own, 2)
    np.testing.assert_array_equal(lent, 1)
    assert parameter.grad is own  # no second copy


@pytest.mark.parametrize("forget", [lambda p: p.zero_grad(), lambda p: setattr(p, "grad", np.zeros(3))])
def test_a_lent_gradient_is_given_back(forget):
    parameter = Parameter(np.zeros(3))
    parameter.lend_grad(np.ones(3))
    forget(parameter)
    assert parameter.grad is parameter.grad and not parameter.grad.any()


# ---------------------------------------------------------------------------------------- what is recorded


@kernel
def _double(out, x):
    for i in range(out.size):
        out[i] = 2 * x[i]


def test_calls_are_made_again():
    x = [np.arange(3.0) + i for i in range(5)]

    def last(i):
        out = empty(3, np.float64)
        _double(out, x[i])
        return result(np.ndarray.item, out, 2)

    again = Again(last, range(5), lambda i: 1 << 17, x)
    assert again.again() == [4.0, 6.0, 8.0, 10.0, 12.0] and len(again._groups) == 3
    x[3][2] = 50
    assert again.again() == [4.0, 6.0, 8.0, 100.0, 12.0]


def test_an_array_of_unknown_origin_is_refused():
    """Catches a copy by NumPy, which nobody would make again."""
    x, out = np.ones(6)[::2], np.zeros(3)
    with pytest.raises(LookupError, match="does not know"):
        Again(lambda _: _double(out, np.ascontiguousarray(x)), [0], lambda _: 1, [x, out])


def test_what_is_done_after_a_shards_calls_is_a_sum():
    parameter = Parameter(np.zeros(3))
    shard = ShardParameter(parameter.data)
    for call in (partial(print), partial(ShardParameter(parameter.data)._add, np.ones(3), False)):
        with pytest.raises(LookupError, match="expected gradients"):
            Sums({"p": parameter}, {0: {"p": shard}}, {0: [call]}, 1, 1)


def of_shape(*shape):
    return [np.where(x > 0.5, -0.0, x) for x in (np.random.default_rng(i).normal(size=shape) for i in range(2))]


ARRAYS = {
    **{str(shape): of_shape(*shape) for shape in [(), (5,), (4, 3), (2, 3, 4), (0, 3)]},
    "columns": [np.asfortranarray(x) for x in of_shape(4, 3)],
    "one in columns": [of_shape(4, 3)[0], np.asfortranarray(of_shape(4, 3)[1])],
    "backwards": [x[::-1] for x in of_shape(4, 3)],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arithmetic_is_that_of_numpy(name):
    """By kernels, which can be recorded; and -0 stays -0 in a copy."""
    a, b = ARRAYS[name]
    with recording(Recording()) as made:
        results = plus(a, b), copied(a), zeros_like(a), plus(a, b, a.copy(order="K"))
    assert len(made.calls) == 4
    for one, other in zip(results, (a + b, a, np.zeros_like(a), a + b), strict=True):
        assert one.shape == a.shape and one.tobytes() == np.asarray(other).tobytes()
