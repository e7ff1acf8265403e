"""Steps that compiled code repeats, where gradients go to other machines."""

import pytest

from tests.training.test_repeater import batch, model_of, one_ordinary_step, repeated, steps, trainer_of  # noqa: F401  the third is a fixture
from tinytx.calls import Repeated
from tinytx.kernel import is_plain
from tinytx.training import Trainer
from tinytx.training.repeater import Repeater

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python nothing is compiled, and nothing repeated")


@pytest.mark.parametrize("travels", [False, True])
def test_gradients_that_travel_are_handed_on_as_soon_as_they_are_there(travels, monkeypatch):
    """Catches gradients for other machines that wait for the end of backward, or are handed on twice."""
    seen, again, loss = [], Repeated.again, Repeater.loss
    monkeypatch.setattr(Repeated, "again", lambda self, hands_on=False: [seen.append(hands_on), again(self, hands_on)][1])
    monkeypatch.setattr(Repeater, "loss", lambda self, *given: loss(self, *given[:3], travels))
    batches = [batch(i, 8) for i in range(4)]
    one, other = (trainer_of(model_of("GPT"), repeats, threads=2, accumulate=2) for repeats in (True, False))
    assert steps(one, batches) == steps(other, batches)
    assert repeated(one) == [5, 5]
    assert seen == [False] * 2 + [travels] * 10  # two that show whether recordings are right, and five of each shard


def test_gradients_travel_where_there_are_other_machines(monkeypatch):
    trainer, given, travels = trainer_of(model_of("GPT"), threads=2), [], []
    side_by_side, loss = Trainer._side_by_side, Repeater.loss
    monkeypatch.setattr(Trainer, "_side_by_side", lambda self, *known: [given.append(known), side_by_side(self, *known)][1])
    trainer.step(*batch(0))
    monkeypatch.setattr(Repeater, "loss", lambda self, *known: [travels.append(known[3]), loss(self, *known)][1])
    for offer in (None, lambda key, value: None):
        side_by_side(trainer, *given[0], offer)
    assert travels == [False] * 2 + [True] * 2
