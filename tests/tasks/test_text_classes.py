"""Text classes: gradients by name, labels that count for nothing, and a body trained for another task before."""

import bert_cases
import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_shards_add_up, model_checks

from tinytx.core import Tape
from tinytx.models import GPT, Bert, GPTConfig
from tinytx.tasks import HiddenWords, TextClasses
from tinytx.training import Adam, Trainer, load_checkpoint, save_checkpoint

CONFIG = bert_cases.config_of(n_segments=2)
POOLED = ("cls", "last", "mean", "max", "concat")
IDS = bert_cases.batch_of(CONFIG)[0]
LABELS = np.array([2, 0, 1, 2])


def rng():
    return np.random.default_rng(0)


def case_of(pooling="cls"):
    settings = {"n_classes": 3, "pooling": pooling}
    make = lambda dtype: TextClasses(Bert(CONFIG, rng=rng(), dtype=dtype), rng=rng(), **settings)  # noqa: E731
    return LayerCase(Seeded(0), make, {}, before=(IDS,), shares=False, reach=0.002 if pooling in ("max", "concat") else 0.25)


def model_of(pooling="cls"):
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of(pooling)
    return case.bind(case.arrays)


@model_checks
@pytest.mark.parametrize("pooling", ["cls", "concat"])
def test_property(pooling, check):
    """Catches a pooler whose gradient stops, and one that reads another position than the first."""
    check(case_of(pooling), rng())


@pytest.mark.parametrize("pooling", POOLED)
def test_what_the_classifier_reads(pooling):
    """Catches positions of padding, and parts in another order."""
    model = model_of(pooling)
    hidden, lengths = model.body(IDS), [8, 7, 6, 5]
    rows = [hidden[row, :n] for row, n in enumerate(lengths)]
    read = {
        "cls": lambda x: np.tanh(x[0] @ model.head.pooler.weight.data + model.head.pooler.bias.data),
        "last": lambda x: x[-1],
        "mean": lambda x: x.mean(0),
        "max": lambda x: x.max(0),
        "concat": lambda x: np.concatenate([x[-1], x.max(0), x.mean(0)]),
    }[pooling]
    classifier = model.head.classifier
    expected = np.array([read(x) for x in rows]) @ classifier.weight.data + classifier.bias.data
    np.testing.assert_allclose(model(IDS), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", POOLED)
def test_a_padded_batch_gives_each_text_its_own_result(pooling):
    """Catches a mean over padding: loss and gradients are those of each text alone."""
    model, tape = model_of(pooling), Tape()
    model.zero_grad()
    loss = model.loss(IDS, LABELS, tape=tape)
    model.loss_backward(tape)
    alone = model.replicate()
    for row in range(4):
        loss -= alone.loss(IDS[row, : 8 - row][None], LABELS[[row]], tape=(tape := Tape()), count=4)
        alone.loss_backward(tape)
    assert abs(loss) < 1e-13
    for (path, one), other in zip(model.named_parameters(), alone.parameters(), strict=True):
        np.testing.assert_allclose(other.grad, one.grad, rtol=0, atol=1e-12, err_msg=path)


def test_a_tasks_padding_counts_where_the_body_has_none():
    """Catches a causal body whose last vector is that of padding."""
    body = GPT(GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=1), rng=rng(), dtype=np.float64)
    padded, unaware = (TextClasses(body, n_classes=3, pooling="last", rng=rng(), pad_id=pad) for pad in (4, None))
    for row in range(4):
        expected = unaware(IDS[row, : 8 - row][None])
        np.testing.assert_allclose(padded(IDS[[row]]), expected, rtol=0, atol=1e-12)
        assert row == 0 or np.abs(unaware(IDS[[row]]) - expected).max() > 1e-6


def test_a_tasks_padding_counts_more_than_the_bodys():
    model = TextClasses(Bert(CONFIG, rng=rng(), dtype=np.float64), n_classes=3, pooling="last", pad_id=7, rng=rng())
    np.testing.assert_array_equal(model(np.array([[5, 6, 7]])), model.head(model.body(np.array([[5, 6, 7]]))[:, :2]))


@pytest.mark.parametrize("pooling", POOLED)
def test_dropout_is_what_the_classifier_reads(pooling):
    model = TextClasses(Bert(CONFIG, rng=rng()), n_classes=3, pooling=pooling, dropout=0.5, rng=rng())
    model.loss(IDS, LABELS, tape=(tape := Tape(seed=1)))
    (read,) = (saved for layer, saved in tape._stack if layer is model.head.classifier)
    assert 0.2 < (read.x == 0).mean() < 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_classes": 0}, "n_classes is 0"), ({"pooling": "median"}, "pooling is 'median'"), ({"dropout": 1.0}, "dropout is 1")],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=f"ClassSettings: {message}"):
        TextClasses(Bert(CONFIG, rng=rng()), rng=rng(), **{"n_classes": 3} | settings)


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
    model = TextClasses(body, n_classes=3, dropout=0.0, rng=rng())
    assert all((array == before[path]).all() for path, array in body.state_dict().items())
    trainer = Trainer(model, Adam(model, 1e-2), threads=2)
    for _ in range(40):
        trainer.step(IDS, LABELS)
    assert model.measure([(IDS, LABELS)]) == {"accuracy": 1.0}


def test_a_random_batch_is_one_that_the_loss_takes():
    model = model_of()
    ids, labels = model.random_batch(np.random.default_rng(0), 4, 5)
    assert ids.shape == (4, 5) and labels.shape == (4,) and np.isfinite(model.loss(ids, labels))
