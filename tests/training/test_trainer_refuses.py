"""What a trainer refuses: batches, models and optimisers that do not belong together, before anything is changed."""

import functools
import math

import bert_cases
import numpy as np
import pytest
import transformer_cases

from tinytx.core import Layer, Parameter
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import SGD, AdamW, Lookahead, NotFiniteError, Trainer
from tinytx.training.optimizers.base import Optimizer

NAN = math.nan


def gpt():
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=1)
    return NextToken(GPT(config, rng=np.random.default_rng(0), dtype=np.float64))


def batch_of(n_rows=4):
    return tuple(np.random.default_rng(1).integers(11, size=(2, n_rows, 6)))


def trainer_of(model=None, **options):
    model = model or gpt()
    return Trainer(model, AdamW(model, 0.1, weight_decay=0.1), **options)


def snapshot(trainer):
    arrays = {**trainer.model.state_dict(), **trainer.optimizer.state_dict()}
    return {name: array.tobytes() for name, array in arrays.items()}


def assert_refused(trainer, batch, message, error=ValueError):
    before = snapshot(trainer)
    with pytest.raises(error, match=message):
        trainer.step(*batch)
    assert snapshot(trainer) == before


class Weights(Layer):
    """loss = sum(x) / count, whose gradient is one for each of the parameters that it holds."""

    def __init__(self, **held):
        self.weight = Parameter(np.ones(3))
        vars(self).update(held)

    def loss(self, x, tape=None, *, count=None):
        if tape is not None:
            tape.push(self, None)
        return float(x.sum()) / count

    def loss_backward(self, tape):
        tape.pop(self)
        self.weight.add_grad(np.ones(3))

    @staticmethod
    def count(x):
        return x.size


# ------------------------------------------------------------------------------------------------ batches


@pytest.mark.parametrize("threads, accumulate", [(1, 1), (2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("rows", [(1, 4), (4, 1), (0, 4), (4, 3)])
def test_arrays_of_unequal_numbers_of_rows(rows, threads, accumulate):
    """Catches rows that are cut off, and a sum over few rows that is divided by the number of all."""
    ids, targets = batch_of()
    trainer = trainer_of(threads=threads, accumulate=accumulate)
    message = f"Trainer: step 0: the batch's arrays have {rows[0]}, {rows[1]} rows, expected one number for all"
    assert_refused(trainer, (ids[: rows[0]], targets[: rows[1]]), message)


@pytest.mark.parametrize("threads", [1, 2])
def test_arrays_of_unequal_numbers_of_rows_for_other_models(threads):
    source, target = transformer_cases.batch_of(b=4)
    trainer = trainer_of(transformer_cases.model_of(), threads=threads)
    assert_refused(trainer, (source[:2], target), "have 2, 4 rows")
    model = bert_cases.model_of("paper")
    ids, targets, segments, labels = bert_cases.batch_of(model.config)
    assert_refused(trainer_of(model, threads=threads), (ids, targets, segments, labels[:1]), f"{len(ids)}, 1 rows")


def test_no_rows():
    """Catches a step with weight decay and a step counter that goes on, over nothing."""
    ids, targets = batch_of(0)
    assert_refused(trainer_of(threads=2), (ids, targets), "step 0: the batch has no rows")
    assert_refused(trainer_of(Weights()), (np.zeros((0, 2)),), "the batch has no rows")


@pytest.mark.parametrize("wrong", [None, 3, np.int64(3), np.array(3)])
def test_what_has_no_rows(wrong):
    assert_refused(trainer_of(), (batch_of()[0], wrong), r"the batch is \(ndarray, \w+\), expected arrays", TypeError)


def test_no_arrays():
    assert_refused(trainer_of(), (), "the batch has no arrays", TypeError)


def test_lists_are_arrays():
    """Ids may be lists, in a step as in a loss."""
    ids, targets = batch_of()
    expected = trainer_of(threads=2).step(ids, targets)
    assert trainer_of(threads=2).step(ids.tolist(), targets.tolist()) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_no_targets(threads):
    """Catches 0/0, and a step by weight decay alone."""
    ids, targets = batch_of()
    trainer = trainer_of(threads=threads)
    assert_refused(trainer, (ids, np.full_like(targets, -100)), "step 0: by the model's count there are 0 targets")
    source, target = transformer_cases.batch_of(b=4)
    trainer = trainer_of(transformer_cases.model_of(), threads=threads)
    nothing = np.full_like(target, trainer.model.config.pad_id)
    assert_refused(trainer, (source, nothing), "there are 0 targets")


@pytest.mark.parametrize("count", [NAN, -3, np.array([4, -1]), np.array([0, 0]), math.inf])
def test_a_count_that_is_none(count):
    """Catches what a model of somebody's own may count."""
    model = Weights()
    model.count = lambda x: count
    assert_refused(trainer_of(model), (np.ones((2, 3)),), "by the model's count there are")


# ------------------------------------------------------------------------------------------------ evaluation


def test_evaluation_of_nothing():
    """Catches a validation loss of 0, the best there is, where no batch or no target was looked at."""
    trainer, (ids, targets) = trainer_of(threads=2), batch_of()
    ignored = np.full_like(targets, -100)
    for batches, message in (
        ([], "there are no batches"),
        (iter([]), "there are no batches"),
        ([(ids, ignored), (ids, ignored)], "there are 0 targets"),
        ([(ids, targets), (ids[:1], targets)], "batch 1: the batch's arrays have 1, 4 rows"),
        ([(ids[:0], targets[:0])], "batch 0: the batch has no rows"),
    ):
        with pytest.raises(ValueError, match=f"Trainer: evaluate: .*{message}|Trainer: evaluate: {message}"):
            trainer.evaluate(batches)
    assert trainer.evaluate([(ids, targets), (ids, ignored)]) == pytest.approx(trainer.model.loss(ids, targets))


# ------------------------------------------------------------------------------------------------ optimisers


def test_an_optimizer_of_another_model():
    """Catches a model that never changes while another one, of the same shapes, is trained."""
    model, other = gpt(), gpt()
    with pytest.raises(ValueError, match=r"Trainer: SGD was made for another model.*NextToken's body\.blocks\.0.*in all.*Make an"):
        Trainer(model, SGD(other, 0.1))
    with pytest.raises(ValueError, match="AdamW|Lookahead was made for another model"):
        Trainer(model, Lookahead(AdamW(other, 0.1)))
    with pytest.raises(ValueError, match="SGD was made for another model"):
        Trainer(model, SGD(model.replicate(), 0.1))  # the same values, but other parameters
    with pytest.raises(ValueError, match=r"another model.*\(\d+ in all\)"):
        Trainer(model, SGD(model.body.token, 0.1))  # one of its layers


def test_an_optimizer_of_another_model_put_in_later():
    trainer = trainer_of()
    trainer.optimizer = SGD(gpt(), 0.1)
    with pytest.raises(ValueError, match="Trainer: step 0: SGD was made for another model"):
        trainer.step(*batch_of())
    trainer.optimizer = SGD(trainer.model, 0.1)
    trainer.step(*batch_of())
    assert trainer.optimizer.t == 1


@pytest.mark.parametrize("rate", [NAN, math.inf, -1.0])
@pytest.mark.parametrize("where", ["lr", "group"])
def test_a_rate_that_cannot_be_changes_nothing(where, rate):
    """Catches NaN in all weights after a step that reports a good loss, and forward and backward for nothing."""
    model = gpt()
    model.loss = None  # is never called
    options = {"groups": [("body.token.*", {"lr_factor": lambda step: rate})]} if where == "group" else {}
    trainer = Trainer(model, AdamW(model, 0.1 if options else lambda step: rate, **options))
    assert_refused(trainer, batch_of(), f"AdamW: step 0: .*(rate|token.weight) is {rate}, expected a finite number")


# ------------------------------------------------------------------------------------------------ parameters nobody walks


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("how", ["closure", "partial", "global"])
def test_a_gradient_that_no_optimizer_will_see(how, threads):
    """Catches a parameter that is in use and out of sight: not trained, not saved, not checked."""
    hidden = Parameter(np.ones((2, 5)))

    def add(parameter=None):
        (parameter or hidden).add_grad(np.ones((2, 5)))

    class Hides(Weights):
        def loss_backward(self, tape):
            super().loss_backward(tape)
            self.f()

    model = Hides(f={"closure": add, "partial": functools.partial(add, hidden), "global": lambda: add()}[how])
    message = r"gradient to a parameter of shape \(2, 5\) that named_parameters does not list.*lists, tuples and dicts"
    assert_refused(trainer_of(model, threads=threads), (np.ones((3, 2)),), message)
    hidden.zero_grad()
    model.hidden = hidden
    trainer_of(model, threads=threads).step(np.ones((3, 2)))


def test_a_parameter_that_took_anothers_place():
    """Catches training of an array that the model no longer uses."""
    trainer = trainer_of(Weights(), threads=1)
    trainer.model.weight = Parameter(np.zeros(3))
    with pytest.raises(ValueError, match="named_parameters does not list"):
        trainer.step(np.ones((3, 2)))
    assert trainer.optimizer.t == 0


# ------------------------------------------------------------------------------------------------ words


def test_an_error_says_what_was_looked_at():
    """Catches advice for the learning rate where weights are NaN already, and "nothing was updated" in such a model."""
    trainer = trainer_of(threads=1)
    trainer.model.body.token.weight.data[2, 3] = NAN
    for call in (lambda: trainer.step(*batch_of()), lambda: trainer.evaluate([batch_of()])):
        with pytest.raises(NotFiniteError, match=r"loss is nan.*Not finite are already body\.token\.weight: go back") as caught:
            call()
        assert "nothing was updated" not in str(caught.value)
    with pytest.raises(NotFiniteError, match="All parameters are finite: a smaller learning rate or clipping"):
        trainer_of(Weights()).step(np.full((2, 3), NAN))


@pytest.mark.parametrize("clip", [None, 0, 1.0, 1e-3])
@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_nan_meets_clipping(value, clip):
    """Catches min(1, NaN) = 1, and 0 times NaN left out; what is frozen has no gradient that could be one."""

    class Spoilt(Weights):
        def loss_backward(self, tape):
            super().loss_backward(tape)
            self.other.add_grad(np.array([0.0, value]))

    model = Spoilt(other=Parameter(np.zeros(2)))
    trainer = Trainer(model, SGD(model, 0.1), clip=clip, threads=1)
    assert_refused(trainer, (np.ones((2, 3)),), "gradient norm (nan|inf); this step was not taken", NotFiniteError)
    frozen = Trainer(model, SGD(model, 0.1, groups=[("other", {"lr": 0})]), clip=clip, threads=1)
    assert math.isfinite(frozen.step(np.ones((2, 3)))) and math.isfinite(frozen.grad_norm)


def test_every_optimizer_looks_at_its_model():
    """Catches an optimiser of somebody's own that goes around the checks."""

    class Plain(Optimizer):
        def _update(self, name, parameter, scale, lr):
            parameter.data -= lr * scale * parameter.grad

    with pytest.raises(ValueError, match="Plain was made for another model"):
        Trainer(Weights(), Plain(Weights(), 0.1))
    model = Weights()
    Trainer(model, Plain(model, 0.1), clip=None, threads=1).step(np.ones((2, 3)))
    np.testing.assert_allclose(model.weight.data, 0.9)
