"""Steps of GloVe in a run are those of `descend_pairs`; they refuse what a kernel could not read, and never end half done."""

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Tape
from tinytx.data import WordPairs
from tinytx.training import SGD, AdaGrad, NotFiniteError, PairExamples, PairTrainer, descend_pairs


def trainer_of(rate=0.1):
    task, batch = MODEL_CASES["glove"](np.float64)
    return PairTrainer(task, AdaGrad(task, rate)), WordPairs(*batch)


def content(trainer):
    return {name: array.tobytes() for name, array in (trainer.model.state_dict() | trainer.optimizer.state_dict()).items()}


def test_two_epochs_of_steps_are_those_of_descend_pairs(monkeypatch):
    """To the bit, in parts that do not divide an epoch: catches another order, a pair left out, and squares of another table."""
    (trainer, pairs), (other, _) = trainer_of(), trainer_of()
    examples = PairExamples(pairs, chunk=25, seed=3)
    assert len(examples) == 3 and [len(examples.batch(step)[0]) for step in (0, 2, 5)] == [25, 10, 10]
    descend_pairs(other.model, pairs, epochs=2, rate=0.1, seed=3)
    for step in range(6):
        trainer.step(*examples.batch(step))
    for path, array in other.model.state_dict().items():
        np.testing.assert_array_equal(trainer.model.state_dict()[path], array, err_msg=path)
    assert trainer.optimizer.t == 6
    for there, here in zip(examples.batch(4), PairExamples(pairs, chunk=25, seed=3).batch(4)):
        np.testing.assert_array_equal(there, here)  # whatever was asked before


def test_a_step_of_one_pair_is_one_of_its_optimiser():
    """By half the gradient of its loss. Catches a rate, squares and a norm that are not the optimiser's."""
    (trainer, (words, contexts, counts)), (plain, _) = trainer_of(), trainer_of()
    for n in range(4):
        one, tape = (words[n : n + 1], contexts[n : n + 1], counts[n : n + 1]), Tape()
        plain.optimizer.zero_grad()
        loss = plain.model.loss(*one, tape)
        plain.model.loss_backward(tape)
        before = {path: array.copy() for path, array in plain.model.state_dict().items()}
        plain.optimizer.step(scale=0.5)
        moved = np.sqrt(sum(np.sum((array - before[path]) ** 2) for path, array in plain.model.state_dict().items()))
        assert trainer.step(*one) == loss
        assert trainer.grad_norm == pytest.approx(moved / 0.1, rel=1e-6)
    for path, array in (plain.model.state_dict() | plain.optimizer.state_dict()).items():
        np.testing.assert_allclose((trainer.model.state_dict() | trainer.optimizer.state_dict())[path], array, rtol=1e-12, err_msg=path)


@pytest.mark.parametrize(
    "batch, message",
    [
        (([1, 11], [1, 1], [1.0, 1.0]), "step 0: word 11 at position"),
        (([1, 1], [1, -1], [1.0, 1.0]), "step 0: word -1 at position"),
        (([1, 1], [1, 1], [1.0, 0.0]), r"counts\[1\] is 0.0, expected a finite number above 0"),
        (([1, 1], [1, 1], [1.0, np.inf]), r"counts\[1\] is inf, expected a finite number above 0"),
        (([1], [1, 1], [1.0, 1.0]), "words has shape"),
        (([1, 1], [1], [1.0, 1.0]), "contexts has shape"),
        (([[1]], [[1]], [[1.0]]), "counts has shape"),
        (([], [], []), "there is no pair"),
    ],
    ids=["word", "context", "0", "infinite", "words", "contexts", "axes", "empty"],
)
def test_batches_that_cannot_be_read_are_refused(batch, message):
    trainer, _ = trainer_of()
    before, (words, contexts, counts) = content(trainer), batch
    with pytest.raises(ValueError, match=f"PairTrainer: .*{message}"):
        trainer.step(np.asarray(words, int), np.asarray(contexts, int), np.asarray(counts))
    assert content(trainer) == before


def test_a_step_that_would_not_be_finite_is_not_taken():
    """Tables and sums of squares are as before; those of words that the batch does not have, too."""
    trainer, (words, contexts, counts) = trainer_of(rate=3e38)
    before = content(trainer)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match="vectors are not finite; this step was not taken"):
        for _ in range(9):
            trainer.step(np.tile(words, 9), np.tile(contexts, 9), np.tile(counts, 9))
            before = content(trainer)
    assert content(trainer) == before


def test_what_a_step_cannot_do_is_refused():
    trainer, _ = trainer_of()
    for optimizer in (SGD(trainer.model, 0.1), AdaGrad(trainer.model, 0.1, weight_decay=0.1)):
        with pytest.raises(ValueError, match="PairTrainer: the optimiser is .*, expected AdaGrad without momentum and weight decay"):
            PairTrainer(trainer.model, optimizer)
    with pytest.raises(ValueError, match="PairExamples: there are no pairs"):
        PairExamples(WordPairs(*(np.empty(0, kind) for kind in (int, int, float))))
    with pytest.raises(ValueError, match="PairExamples: chunk is 0"):
        PairExamples(WordPairs([0], [1], [1.0]), chunk=0)
