"""GloVe: its vectors, its loss beside the definition, its checkpoint and its errors."""

import numpy as np
import pytest
from model_cases import MODEL_CASES
from properties import check_loss_gradient

from tinytx.core import Tape
from tinytx.data import cooccurrences
from tinytx.models import GloVe, GloVeConfig
from tinytx.tasks import Cooccurrences
from tinytx.training import SGD, Trainer, load_checkpoint, save_checkpoint


def test_a_words_vector_is_the_sum_of_its_two():
    task, tape = MODEL_CASES["glove"](np.float64).task, Tape()
    ids, dy = np.array([3, 7, 3]), np.random.default_rng(0).normal(size=(3, 6))
    token, context = task.body.token.weight, task.body.context.weight
    np.testing.assert_array_equal(task(ids, tape), token.data[ids] + context.data[ids])
    task.zero_grad()
    task.backward(dy, tape)
    tape.check_empty()
    own = {path: parameter.grad for path, parameter in task.named_parameters()}
    assert not own["body.bias_token"].any() and not own["body.bias_context"].any()
    check_loss_gradient(task, lambda: float(np.sum(task(ids) * dy)), own, 1e-8)


@pytest.mark.parametrize("alpha", [0.75, 1.0])
def test_the_loss_is_its_definition(alpha):
    task, (words, contexts, counts) = MODEL_CASES["glove"](np.float64)
    task.alpha, body = alpha, task.body
    w, c, b, b_context = (p.data for p in (body.token.weight, body.context.weight, body.bias_token, body.bias_context))
    expected = 0
    for i, j, x in zip(words, contexts, counts):
        expected += (x / 2 if x < 2 else 1) ** alpha * (w[i] @ c[j] + b[i] + b_context[j] - np.log(x)) ** 2
    assert task.loss(words, contexts, counts) == pytest.approx(expected / 60, rel=1e-13)


def test_the_objective_falls_at_each_step_of_the_full_batch():
    """All pairs of a text at once, by plain gradient descent. Catches a gradient that is not the objective's."""
    text = np.random.default_rng(0).zipf(1.5, 3000) % 40
    words, contexts, counts = cooccurrences(text, 40, window=5)
    body = GloVe(GloVeConfig(40, 8), rng=np.random.default_rng(1))
    task = Cooccurrences(body, x_max=10.0)
    trainer = Trainer(task, SGD(task, lr=0.5), clip=None, threads=2)
    losses = [trainer.step(words, contexts, counts.astype(np.float32)) for _ in range(60)]
    assert (np.diff(losses) < 0).all() and losses[-1] < 0.6 * losses[0]


def test_a_checkpoint_holds_it(tmp_path):
    task, batch = MODEL_CASES["glove"](np.float64)
    task.alpha = 0.5
    save_checkpoint(tmp_path, task)
    loaded = load_checkpoint(tmp_path)[0]
    assert (type(loaded), loaded.settings) == (Cooccurrences, {"x_max": 2.0, "alpha": 0.5})
    assert loaded.measure([batch, batch])["loss"] == pytest.approx(task.loss(*batch), rel=1e-14)


def test_bad_input_is_named():
    task, (words, contexts, counts) = MODEL_CASES["glove"](np.float64)
    with pytest.raises(ValueError, match=r"glove_loss: x\[1\] is 0\.0, expected a finite number above 0: leave out pairs"):
        task.loss(words, contexts, np.where(np.arange(60) == 1, 0, counts))
    with pytest.raises(ValueError, match=r"glove_loss: context 11 at position \(59,\) is outside 0\.\.10"):
        task.loss(words, [*contexts[:-1], 11], counts)
    with pytest.raises(ValueError, match="Cooccurrences: x_max is 0"):
        Cooccurrences(task.body, x_max=0)
