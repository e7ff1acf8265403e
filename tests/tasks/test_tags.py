"""Tags: gradients by name, tokens that nothing is asked of, padding, and learning."""

import bert_cases
import numpy as np
import pytest
from cases import LayerCase, Seeded
from model_cases import tags
from properties import check_shards_add_up, model_checks

from tinytx.core import Tape
from tinytx.models import Bert
from tinytx.tasks import Tags
from tinytx.training import Adam, Trainer

CONFIG = bert_cases.config_of()
IDS, LABELS = bert_cases.batch_of(CONFIG)[0], tags()


def rng():
    return np.random.default_rng(0)


def case_of():
    make = lambda dtype: Tags(Bert(CONFIG, rng=rng(), dtype=dtype), n_classes=3, rng=rng())  # noqa: E731
    return LayerCase(Seeded(0), make, {}, before=(IDS,))


def model_of():
    case = case_of()
    return case.bind(case.arrays)


@model_checks
def test_property(check):
    check(case_of(), rng())


def test_the_loss_is_the_mean_over_the_tokens_that_count():
    """Catches parts of words and padding that count; measured, too, over batches of unequal numbers of tags."""
    model, logits = model_of(), model_of()(IDS)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    asked = LABELS != -100
    expected = -np.take_along_axis(log_probs[asked], LABELS[asked][:, None], 1).mean()
    assert model.loss(IDS, LABELS) == pytest.approx(expected, rel=1e-12)
    assert model.count(IDS, LABELS) == asked.sum() == 19
    measured = model.measure([(IDS[:1], LABELS[:1]), (IDS[1:], LABELS[1:])])
    assert measured == {"accuracy": (logits.argmax(-1) == LABELS)[asked].mean()}


def test_shards_add_up_to_the_whole_batch():
    ids = bert_cases.batch_of(CONFIG, b=5)[0]
    check_shards_add_up(model_of(), ids, np.where(ids == bert_cases.PAD, -100, ids % 3))


def test_a_token_is_tagged_by_its_text_alone():
    """Catches padding that is looked at."""
    model, whole = model_of(), model_of()(IDS)
    for row in range(4):
        np.testing.assert_allclose(model(IDS[row, : 8 - row][None])[0], whole[row, : 8 - row], rtol=0, atol=1e-12)


def test_dropout_is_what_the_classifier_reads():
    model = Tags(Bert(CONFIG, rng=rng()), n_classes=3, dropout=0.5, rng=rng())
    model.loss(IDS, LABELS, tape=(tape := Tape(seed=1)))
    (read,) = (saved for layer, saved in tape._stack if layer is model.head)
    assert 0.2 < (read.x == 0).mean() < 0.8 and model.settings == {"n_classes": 3, "dropout": 0.5}


def test_learns_tags_that_neighbours_decide():
    """A token's tag is that of the one before it: nothing but attention can tell."""
    config = bert_cases.config_of(d_model=32, n_heads=4, d_ff=64, dropout=0.0)
    model = Tags(Bert(config, rng=rng()), n_classes=3, dropout=0.0, rng=rng())
    ids = rng().integers(5, 11, (32, 9))
    labels = np.concatenate([np.full((32, 1), -100), ids[:, :-1] % 3], axis=1)
    trainer = Trainer(model, Adam(model, 5e-3), threads=1)
    for _ in range(80):
        trainer.step(ids, labels)
    assert model.measure([(ids, labels)])["accuracy"] > 0.9


def test_labels_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"targets has shape \(4,\), expected \(4, 8\)"):
        model_of().loss(IDS, np.zeros(4, int))
