"""What every model keeps: its loss's gradient, rows that do not mix, dropout drawn again, weights, cached decoding."""

import numpy as np
import pytest
from model_cases import MODEL_CASES
from properties import check_loss_gradient

from tinytx.core import Tape
from tinytx.models import MODELS
from tinytx.state import State
from tinytx.tasks import TASKS, SequenceToSequence

every_model = pytest.mark.parametrize("name", MODEL_CASES)


def test_every_model_has_a_case():
    """Catches a model that is in no test."""
    assert {name.split()[0] for name in MODEL_CASES} == set(MODELS)
    assert {type(make(np.float64).task) for make in MODEL_CASES.values()} == set(TASKS.values())
    for name, make in MODEL_CASES.items():
        assert type(make(np.float64).task.body) is MODELS[name.split()[0]][0]


def gradients(task, batch, tape, **options):
    """Return (loss, {path: gradient})."""
    task.zero_grad()
    loss = task.loss(*batch, tape=tape, **options)
    task.loss_backward(tape)
    tape.check_empty()
    return loss, {path: np.copy(parameter.grad) for path, parameter in task.named_parameters()}


@every_model
def test_the_gradient_of_the_loss(name):
    """All parameters, dropout on; no parameter is left out."""
    task, batch = MODEL_CASES[name](np.float64)
    _, own = gradients(task, batch, Tape(seed=1))
    assert all(np.any(gradient) for gradient in own.values())
    check_loss_gradient(task, lambda: task.loss(*batch, tape=Tape(seed=1)), own, 1e-5)


@every_model
def test_parts_of_a_batch_add_up(name):
    """Catches rows that see each other, and a loss that divides by its own words: the parts have unequal numbers."""
    task, batch = MODEL_CASES[name](np.float64)
    count = task.count(*batch)
    loss, whole = gradients(task, batch, Tape(seed=1))
    total, added = 0, dict.fromkeys(whole, 0)
    for rows in (slice(0, 1), slice(1, None)):
        part = tuple(array[rows] for array in batch)
        some, own = gradients(task, part, Tape(seed=1, first_row=rows.start), count=count)
        total, added = total + some, {path: added[path] + own[path] for path in whole}
    np.testing.assert_allclose(total, loss, rtol=1e-12)
    for path, gradient in whole.items():
        np.testing.assert_allclose(added[path], gradient, rtol=0, atol=1e-12, err_msg=path)


WITH_DROPOUT = [name for name, make in MODEL_CASES.items() if hasattr(make(np.float64).task.config, "dropout")]


@pytest.mark.parametrize("name", WITH_DROPOUT)
def test_dropout_depends_on_the_seed_alone(name):
    task, batch = MODEL_CASES[name](np.float64)
    first, second, other, without = (task.loss(*batch, tape=Tape(seed=seed)) for seed in (1, 1, 2, None))
    assert first == second and len({first, other, without}) == 3 and without == task.loss(*batch)


@every_model
def test_weights_are_the_whole_model(name):
    """A second model with the first one's weights has its loss; catches an array that no name knows."""
    task, batch = MODEL_CASES[name](np.float64)
    settings = task.settings
    other = type(task).around(
        type(task.body), task.config, rng=np.random.default_rng(9), dtype=np.float64, settings=settings
    )
    assert other.loss(*batch) != task.loss(*batch)
    other.load_state_dict(task.state_dict())
    assert other.loss(*batch) == task.loss(*batch)


@every_model
def test_float32_is_float64_in_fewer_digits(name):
    single, double = (MODEL_CASES[name](dtype) for dtype in (np.float32, np.float64))
    loss, own = gradients(*single, Tape())
    expected, others = gradients(*double, Tape())
    assert abs(loss - expected) < 1e-5 * abs(expected)
    largest = max(np.abs(gradient).max() for gradient in others.values())
    for path, gradient in own.items():
        assert gradient.dtype == np.float32, path
        size = np.abs(others[path]).max()
        is_nothing = size < 1e-12 * largest  # softmax does not see some biases: what they have is rounding alone
        atol = 2e-4 * max(size, (3e-2 if is_nothing else 1e-2) * largest)
        np.testing.assert_allclose(gradient, others[path], rtol=0, atol=atol, err_msg=path)


WRITING = [name for name, make in MODEL_CASES.items() if hasattr(make(np.float64).task, "last_logits")]
WRITING.remove("unilm")  # it reads a source as a whole first: test_unilm.py


@pytest.mark.parametrize("name", WRITING)
def test_decoding_word_by_word_is_the_whole_forward(name):
    """Catches positions, keys or states of another word."""
    task, batch = MODEL_CASES[name](np.float64)
    reads_source = isinstance(task, SequenceToSequence)
    ids = batch[1][:, :-1] if reads_source else batch[0]
    _, constant = task.begin(batch[0] if reads_source else ids)
    state = State()
    for t in range(ids.shape[1]):
        logits = task.last_logits(ids[:, t : t + 1], *constant, state=state)
        whole = task.last_logits(ids[:, : t + 1], *constant, state=State())
        np.testing.assert_allclose(logits, whole, rtol=0, atol=1e-12)
