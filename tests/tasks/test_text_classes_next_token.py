"""Text classes beside the next token: both losses, one reading of the body, shards, padding, and decoding."""

import bert_cases
import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_shards_add_up, model_checks

from tinytx.core import Tape
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken, TextClasses, TextClassesNextToken, task

PAD = bert_cases.PAD
CONFIG = GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=1, d_ff=7, dropout=0.0)
IDS, LABELS = bert_cases.batch_of(bert_cases.config_of())[0], np.array([2, -100, 1, 0])


def rng():
    return np.random.default_rng(0)


def case_of(**settings):
    settings = {"n_classes": 3, "pad_id": PAD} | settings
    make = lambda dtype: TextClassesNextToken(GPT(CONFIG, rng=rng(), dtype=dtype), rng=rng(), **settings)  # noqa: E731
    return LayerCase(Seeded(0), make, {}, before=(IDS,))


def model_of(**settings):
    case = case_of(**settings)
    return case.bind(case.arrays)


@model_checks
def test_property(check):
    check(case_of(), rng())


def gradients(model, *batch):
    model.zero_grad()
    loss = model.loss(*batch, tape=(tape := Tape()))
    model.loss_backward(tape)
    tape.check_empty()
    return loss, {path: np.copy(parameter.grad) for path, parameter in model.named_parameters()}


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("chunked", [False, True])
def test_loss_and_gradients_are_the_sum_of_two_tasks(weight, chunked, monkeypatch):
    """Catches a weight on one of loss and gradient, padding that is said, and a gradient that reaches the body once."""
    monkeypatch.setattr(task, "LOGITS", 0 if chunked else 1 << 25)
    model = model_of(weight=weight)
    loss, own = gradients(model, IDS, LABELS)
    classes, words = TextClasses(model.body, n_classes=3, pooling="last", pad_id=PAD, rng=rng()), NextToken(model.body)
    classes.head, words.head = model.texts, model.head
    text_loss, of_texts = gradients(classes, IDS, LABELS)
    word_loss, of_words = gradients(words, IDS[:, :-1], np.where(IDS[:, 1:] == PAD, -100, IDS[:, 1:]))
    assert loss == pytest.approx(text_loss + weight * word_loss, rel=1e-13)
    of_texts = {path.replace("head.", "texts."): gradient for path, gradient in of_texts.items()}
    for path, gradient in own.items():
        expected = of_texts.get(path, 0) + weight * of_words.get(path, 0)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12, err_msg=path)
    assert list(model.count(IDS, LABELS)) == [3, 7 + 6 + 5 + 4]


def test_the_body_reads_each_text_once(monkeypatch):
    model, calls = model_of(), []
    forward = GPT.forward
    monkeypatch.setattr(GPT, "forward", lambda self, *given, **options: calls.append(1) or forward(self, *given, **options))
    gradients(model, IDS, LABELS)
    assert len(calls) == 1
    assert set(model.measure([(IDS, LABELS)])) == {"accuracy", "perplexity"} and len(calls) == 2


def test_shards_add_up_to_the_whole_batch():
    ids = bert_cases.batch_of(bert_cases.config_of(), b=5)[0]
    check_shards_add_up(model_of(), ids, np.array([0, 1, -100, 2, 1]))


def test_measures():
    model = model_of()
    measured = model.measure([(IDS[:1], LABELS[:1]), (IDS[1:], LABELS[1:])])
    assert measured["accuracy"] == (model(IDS).argmax(-1) == LABELS)[LABELS != -100].mean()
    words = NextToken(model.body)
    nats = words.loss(IDS[:, :-1], np.where(IDS[:, 1:] == PAD, -100, IDS[:, 1:]))
    assert measured["perplexity"] == pytest.approx(np.exp(nats), rel=1e-12)


def test_with_unlabelled_a_text_is_asked_for_one_thing():
    """For its class if it has a label, else for its next words: catches words of the others, and counts of them."""
    model, unlabelled = model_of(unlabelled=True, weight=0.7), LABELS == -100
    loss, own = gradients(model, IDS, LABELS)
    of_classes, class_gradients = gradients(model, IDS[~unlabelled], LABELS[~unlabelled])
    of_words, word_gradients = gradients(model, IDS[unlabelled], LABELS[unlabelled])
    assert loss == pytest.approx(of_classes + of_words, rel=1e-13)
    for path, gradient in own.items():
        np.testing.assert_allclose(gradient, class_gradients[path] + word_gradients[path], rtol=0, atol=1e-12, err_msg=path)
    assert list(model.count(IDS, LABELS)) == [3, 6] and list(model.count(IDS[unlabelled], LABELS[unlabelled])) == [0, 6]
    alone = TextClasses(model.body, n_classes=3, pooling="last", pad_id=PAD, rng=rng())
    alone.head = model.texts
    assert of_classes == pytest.approx(alone.loss(IDS[~unlabelled], LABELS[~unlabelled]), rel=1e-13)
