"""Steps of word2vec in a run are those of `descend_words`; they refuse what a kernel could not read, and never end half done."""

import numpy as np
import pytest

from tinytx.models import Word2Vec, Word2VecConfig
from tinytx.tasks import NearbyWords
from tinytx.training import SGD, AdamW, NotFiniteError, WordExamples, WordTrainer, descend_words
from tinytx.training.descent_trainer import JUDGED

TEXT = np.tile([0, 1, 2, 3, 4, -1, 5, 6, -1, -1, 7, 8, 9, 10, 11, -1], 9)


def model_of(tree=False):
    config, rng = Word2VecConfig(12, d_model=5), np.random.default_rng(0)
    model = NearbyWords.around(Word2Vec, config, rng=rng, dtype=np.float64, settings={"tree": tree})
    for parameter in model.parameters():
        parameter.data[...] = rng.normal(0, 0.5, parameter.data.shape)
    return model


def trainer_of(rate=0.1, **options):
    model = model_of()
    return WordTrainer(model, SGD(model, rate), **options)


def content(trainer):
    return {name: array.tobytes() for name, array in (trainer.model.state_dict() | trainer.optimizer.state_dict()).items()}


@pytest.mark.parametrize("cbow, tree", [(False, False), (True, True)])
def test_two_epochs_of_steps_are_those_of_descend_words(cbow, tree):
    """To the bit: catches a batch of another part or epoch, a rate of another step, and a step that is not taken."""
    plain, model, n = model_of(tree), model_of(tree), -(-len(TEXT) // 40)
    examples = WordExamples(TEXT, 12, cbow=cbow, tree=tree, window=3, sample=0.0, chunk=40)
    assert len(examples) == n
    descend_words(plain, examples, epochs=2, rate=0.1)
    trainer = WordTrainer(model, SGD(model, lambda step: 0.1 * max(1e-4, 1 - step / (2 * n))))
    for step in range(2 * n):
        trainer.step(*examples.batch(step))
    for path, array in plain.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[path], array, err_msg=path)
    assert trainer.optimizer.t == 2 * n


def test_loss_and_norm_are_those_before_the_step():
    """Of one example: the norm is that of its gradient. Of many: the loss is that of some of them, lying evenly."""
    trainer, batch = trainer_of(rate=1e-6), (np.array([[3]]), np.array([[2, 7, -1]]), np.array([[1, 0, 0]]))
    expected, (loss, dh, doutput) = trainer.model.loss(*batch), _gradient(trainer.model, batch)
    assert trainer.step(*batch) == loss == expected
    assert trainer.grad_norm == pytest.approx(np.hypot(np.linalg.norm(dh), np.linalg.norm(doutput)), rel=1e-6)
    many = [np.random.default_rng(0).integers(0, 2, (2 * JUDGED + 3, size)) for size in (1, 3, 3)]
    expected = trainer.model.loss(*(array[::3] for array in many))
    assert trainer.step(*many) == expected


def _gradient(model, batch):
    from tinytx.core import Tape

    tape = Tape()
    loss = model.loss(*batch, tape)
    model.loss_backward(tape)
    return loss, model.body.token.weight.grad, model.output.grad


def test_a_rate_of_0_moves_nothing():
    trainer, batch = trainer_of(rate=0.0), WordExamples(TEXT, 12).batch(0)
    before = content(trainer)
    trainer.step(*batch)
    after = content(trainer)
    assert trainer.grad_norm == 0 and [name for name in before if before[name] != after[name]] == ["t"]


@pytest.mark.parametrize(
    "batch, message",
    [
        (([[12]], [[1]], [[1]]), "step 0: word 12 at position"),
        (([[1]], [[12]], [[1]]), "step 0: row 12 at position"),
        (([[1]], [[1]], [[2]]), "step 0: label 2 at position"),
        (([[1], [2]], [[1]], [[1]]), "rows has shape"),
        (([[1]], [[1, 2]], [[1]]), "labels has shape"),
        (([1], [[1]], [[1]]), "contexts has shape"),
        ((np.empty((0, 1), int), np.empty((0, 2), int), np.empty((0, 2), int)), "there is no example"),
    ],
    ids=["word", "row", "label", "rows", "labels", "axes", "empty"],
)
def test_batches_that_cannot_be_read_are_refused(batch, message):
    """Catches a kernel that reads and writes beside its tables; only some examples are looked at for the loss."""
    trainer = trainer_of()
    before = content(trainer)
    if " at position" in message:  # such an example is the second of many
        batch = [np.insert(np.ones((2 * JUDGED, np.shape(part)[1]), int), 1, part, axis=0) for part in batch]
    with pytest.raises(ValueError, match=message):
        trainer.step(*map(np.asarray, batch))
    assert content(trainer) == before


def test_a_step_that_would_not_be_finite_is_not_taken():
    """Whether the loss shows it before the step, or the tables after it."""
    batch = WordExamples(TEXT, 12, sample=0.0).batch(0)
    trainer = trainer_of(rate=3e38)
    before = content(trainer)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match="vectors are not finite; this step was not taken"):
        trainer.step(*batch)
    assert content(trainer) == before
    trainer.model.output.data[5] = np.nan
    with pytest.raises(NotFiniteError, match="loss is nan; this step was not taken.*Not finite are already output"):
        trainer.step(*batch)
    assert trainer.optimizer.t == 0


def test_what_a_step_cannot_do_is_refused():
    model = model_of()
    for options in ({"clip": 1.0}, {"accumulate": 2}):
        with pytest.raises(ValueError, match="each example has a step of its own: leave both out"):
            WordTrainer(model, SGD(model, 0.1), **options)
    for optimizer in (AdamW(model, 0.1), SGD(model, 0.1, momentum=0.9), SGD(model, 0.1, weight_decay=0.1)):
        with pytest.raises(ValueError, match="expected SGD without momentum and weight decay"):
            WordTrainer(model, optimizer)


def test_parts_without_examples_are_passed_over():
    """Catches a step without anything to learn, and a search that does not end."""
    examples = WordExamples([0, -1, 1, -1, 2, 3, 4, -1], 5, sample=0.0, chunk=2)
    batches = [examples.batch(step) for step in range(5)]
    assert [batch[0].ravel().tolist() for batch in batches[:3]] == [[3, 2]] * 3 and batches[3][0].size == 2
    with pytest.raises(ValueError, match="no word has another one beside it in 2 words, of which sample=0.001 leaves some out"):
        WordExamples([0, -1, 1], 2).batch(0)


def test_another_text_is_asked_by_the_counts_of_the_first():
    """Catches negatives, and a tree, of the text that validates."""
    examples = WordExamples(np.array([0, 1] * 50), 4, n_negatives=9, sample=0.0)
    (contexts, rows, labels), *others = examples.epoch(0, np.array([2, 3, 2]))
    assert not others and set(contexts.ravel()) == {2, 3} == set(rows[:, 0]) and set(rows[:, 1:].ravel()) == {0, 1}
    with pytest.raises(ValueError, match="WordExamples: word 4"):
        next(examples.epoch(0, [4]))
