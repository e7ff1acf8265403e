"""Text classes: gradients by name, labels that count for nothing, and a body trained for another task before."""

import bert_cases
import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_shards_add_up, model_checks

from tinytx.models import Bert
from tinytx.tasks import HiddenWords, TextClasses
from tinytx.training import Adam, Trainer, load_checkpoint, save_checkpoint

CONFIG = bert_cases.config_of(n_segments=2)
IDS = bert_cases.batch_of(CONFIG)[0]
LABELS = np.array([2, 0, 1, 2])


def rng():
    return np.random.default_rng(0)


def case_of():
    make = lambda dtype: TextClasses(Bert(CONFIG, rng=rng(), dtype=dtype), n_classes=3, rng=rng())  # noqa: E731
    return LayerCase(Seeded(0), make, {}, before=(IDS,), shares=False)


def model_of():
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of()
    return case.bind(case.arrays)


@model_checks
def test_property(check):
    """Catches a pooler whose gradient stops, and one that reads another position than the first."""
    check(case_of(), rng())


def test_the_loss_is_the_mean_over_the_labels_that_count():
    model, labels = model_of(), np.array([2, -100, 1, 2])
    logits = model(IDS)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    counted = [0, 2, 3]
    assert model.loss(IDS, labels) == pytest.approx(-log_probs[counted, labels[counted]].mean(), rel=1e-12)
    assert model.count(IDS, labels) == 3
    parts = [(IDS[:2], labels[:2]), (IDS[2:], labels[2:])]
    assert model.measure(parts) == {"accuracy": (logits.argmax(-1) == labels)[counted].mean()}


def test_shards_add_up_to_the_whole_batch():
    """Catches a loss that a shard divides by its own texts."""
    ids, labels = bert_cases.batch_of(CONFIG, b=5)[0], np.array([0, 1, -100, 2, 1])
    check_shards_add_up(model_of(), ids, labels)


def test_segments_are_read():
    model = model_of()
    segments = np.arange(IDS.shape[1]) // 4 * np.ones_like(IDS)
    assert model.loss(IDS, LABELS, segments) != model.loss(IDS, LABELS)
    assert model.measure([(IDS, LABELS, segments)])["accuracy"] == (model(IDS, segments=segments).argmax(-1) == LABELS).mean()


def test_a_body_of_another_task_is_fine_tuned(tmp_path):
    """Catches a head that spoils the body's weights, and one that does not learn."""
    save_checkpoint(tmp_path, HiddenWords.around(Bert, CONFIG, rng=rng()))
    body = load_checkpoint(tmp_path)[0].body
    before = {path: array.copy() for path, array in body.state_dict().items()}
    model = TextClasses(body, n_classes=3, rng=rng())
    assert all((array == before[path]).all() for path, array in body.state_dict().items())
    trainer = Trainer(model, Adam(model, 1e-2), threads=2)
    for _ in range(40):
        trainer.step(IDS, LABELS)
    assert model.measure([(IDS, LABELS)]) == {"accuracy": 1.0}


def test_a_random_batch_is_one_that_the_loss_takes():
    model = model_of()
    ids, labels = model.random_batch(np.random.default_rng(0), 4, 5)
    assert ids.shape == (4, 5) and labels.shape == (4,) and np.isfinite(model.loss(ids, labels))
