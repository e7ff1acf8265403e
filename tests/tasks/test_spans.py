"""Spans: gradients by name, padding that no answer has, the best answer by search, questions without one."""

import itertools

import bert_cases
import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_loss_gradient, check_shards_add_up, model_checks

from tinytx.core import Tape
from tinytx.models import Bert
from tinytx.tasks import Spans
from tinytx.training import Adam, Trainer

CONFIG = bert_cases.config_of()
IDS = bert_cases.batch_of(CONFIG)[0]
STARTS, ENDS = np.array([2, 0, -100, 4]), np.array([5, 0, -100, 4])
WHOLE = np.full_like(IDS, 7)  # no padding, whose logits are -inf


def rng():
    return np.random.default_rng(0)


def case_of():
    make = lambda dtype: Spans(Bert(CONFIG, rng=rng(), dtype=dtype), rng=rng())  # noqa: E731
    return LayerCase(Seeded(0), make, {}, before=(WHOLE,))


def model_of():
    case = case_of()
    return case.bind(case.arrays)


@model_checks
def test_property(check):
    check(case_of(), rng())


def test_the_loss_is_a_choice_among_the_words_of_a_text():
    """Catches softmax over padding, starts and ends exchanged, and a mean over texts that do not count."""
    model, hidden = model_of(), model_of().body(IDS)
    logits, nats = hidden @ model.head.weight.data + model.head.bias.data, []
    for row, (start, end) in enumerate(zip(STARTS, ENDS)):
        for kind, at in enumerate((start, end)):
            own = logits[row, : 8 - row, kind]
            nats += [np.log(np.exp(own).sum()) - own[at]] if at >= 0 else []
    assert model.loss(IDS, STARTS, ENDS) == pytest.approx(np.mean(nats), rel=1e-12)
    assert model.count(IDS, STARTS, ENDS) == len(nats) == 6
    said = model(IDS)
    assert (said[3, 5:] == -np.inf).all() and np.isfinite(said[IDS != bert_cases.PAD]).all()


def test_the_gradient_of_the_loss_with_padding():
    model, tape = model_of(), Tape()
    model.zero_grad()
    model.loss(IDS, STARTS, ENDS, tape=tape)
    model.loss_backward(tape)
    gradients = {path: parameter.grad for path, parameter in model.named_parameters()}
    check_loss_gradient(model, lambda: model.loss(IDS, STARTS, ENDS), gradients, 1e-5)


def test_shards_add_up_to_the_whole_batch():
    ids = bert_cases.batch_of(CONFIG, b=5)[0]
    check_shards_add_up(model_of(), ids, np.append(STARTS, 1), np.append(ENDS, 3))


def best(logits, allowed, longest):
    """Return (start, end, score) of the best answer, one pair after the other."""
    pairs = [
        (start[s] + end[e] - start[0] - end[0], s, e)
        for start, end in [logits.T]
        for s, e in itertools.product(range(len(logits)), repeat=2)
        if s <= e < s + longest and allowed[s] and allowed[e]
    ]
    score, s, e = max(pairs)
    return (s, e, score) if score > 0 else (0, 0, score)


@pytest.mark.parametrize("longest", [1, 2, 30])
def test_answers_are_the_best_of_all(longest):
    """Catches ends before starts, answers that are too long, in the question, or in padding."""
    model, n_none = model_of(), 0
    model.head.weight.data = rng().normal(size=(6, 2))
    for seed in range(12):
        ids = bert_cases.batch_of(CONFIG, seed=seed)[0]
        allowed = (np.arange(8) > 2) & (ids != bert_cases.PAD) & (np.arange(8) != 5)
        for given in (None, allowed):
            starts, ends, scores = model.answers(ids, allowed=given, longest=longest)
            for row, logits in enumerate(model(ids)):
                rule = np.arange(8) > 0 if given is None else allowed[row]
                expected = best(logits, rule, longest)
                assert (starts[row], ends[row]) == expected[:2] and scores[row] == pytest.approx(expected[2], rel=1e-12)
                n_none += expected[1] == 0
    assert 0 < n_none < 12 * 4 * 2


def test_where_nothing_is_allowed_there_is_no_answer():
    starts, ends, scores = model_of().answers(IDS, allowed=np.zeros((1, 8), bool))
    assert not starts.any() and not ends.any() and (scores == -np.inf).all()


def test_measures(monkeypatch):
    """Exact answers, overlaps by hand, a question without an answer, and one that counts for nothing."""
    model = model_of()
    said = np.array([2, 0, 3, 1]), np.array([3, 0, 3, 4]), np.zeros(4)
    monkeypatch.setattr(model, "answers", lambda ids, segments: said, raising=False)
    starts, ends = np.array([2, 0, -100, 4]), np.array([5, 0, -100, 5])
    # 2..3 of 2..5: 2 * 2 / (2 + 4); none: 1; 1..4 of 4..5: 2 * 1 / (4 + 2)
    assert model.measure([(IDS, starts, ends)]) == pytest.approx({"exact": 1 / 3, "f1": (2 / 3 + 1 + 1 / 3) / 3})


def test_learns_to_point_at_a_word():
    config = bert_cases.config_of(d_model=32, n_heads=4, d_ff=64, dropout=0.0)
    model, ids = Spans(Bert(config, rng=rng()), rng=rng()), rng().integers(5, 9, (32, 9))
    starts = rng().integers(0, 8, 32)
    ids[np.arange(32), starts], ids[np.arange(32), starts + 1] = 9, 10
    ends = np.where(starts == 0, 0, starts + 1)  # from the first position on there is no answer
    trainer = Trainer(model, Adam(model, 5e-3), threads=1)
    for _ in range(60):
        trainer.step(ids, starts, ends)
    assert model.measure([(ids, starts, ends)])["exact"] > 0.9


@pytest.mark.parametrize(
    ("starts", "ends", "message"),
    [
        ([0, 0, 0, 8], [0, 0, 0, 8], "start 8 at position"),
        ([3, 0, 0, 0], [2, 0, 0, 0], "row 0 has start 3 and end 2, expected start <= end"),
        ([0, 0, -100, 0], [0, 0, 1, 0], "row 2 has start -100 and end 1"),
        ([0, 0, 0, 4], [0, 0, 0, 5], "row 3 has start 4 and end 5, expected words, not padding"),
        ([0, 0], [0, 0], r"starts has shape \(2,\), expected \(4,\)"),
    ],
)
def test_bad_answers_are_named(starts, ends, message):
    with pytest.raises(ValueError, match=f"Spans: .*{message}"):
        model_of().loss(IDS, np.array(starts), np.array(ends))
