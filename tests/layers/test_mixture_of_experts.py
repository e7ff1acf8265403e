"""Mixtures of experts: the sum that the paper writes, experts that nobody uses, rows that do not mix, the balance in a loss."""

import numpy as np
import pytest
from properties import check_loss_gradient

from tinytx.core import Tape
from tinytx.layers import Checkpoint, FeedForward, MixtureOfExperts
from tinytx.models import Llama, LlamaConfig
from tinytx.ops import balance, route, softmax
from tinytx.tasks import HiddenWords, NextToken, Spans, Tags, TextClasses, TextClassesNextToken
from tinytx.training import SGD, Trainer

X = np.random.default_rng(1).normal(size=(3, 4, 5))


def mixture(n=6, **options):
    rng = np.random.default_rng(0)
    experts = [FeedForward(5, 7, rng=rng, dtype=np.float64) for _ in range(n)]
    return MixtureOfExperts(5, experts, rng=rng, dtype=np.float64, **options)


@pytest.mark.parametrize(("n_chosen", "renormalise"), [(2, True), (2, False), (6, False), (1, True)])
def test_the_weighted_sum(n_chosen, renormalise):
    """Token by token: catches weights of another place, and experts of another token."""
    layer = mixture(n_chosen=n_chosen, renormalise=renormalise)
    y, p = layer(X), softmax(X @ layer.router.weight.data)[0]
    for place in np.ndindex(3, 4):
        chosen = np.argsort(-p[place])[:n_chosen]
        w = p[place][chosen] / (p[place][chosen].sum() if renormalise else 1)
        expected = sum(share * layer.experts[e](X[place][None])[0] for share, e in zip(w, chosen))
        np.testing.assert_allclose(y[place], expected, rtol=0, atol=1e-12)


def test_an_expert_that_no_token_uses_gets_no_gradient():
    layer, tape = mixture(n_chosen=1, renormalise=False), Tape()
    layer.router.weight.data[:, 2] = 0  # its logit is 0, and another one's is above 0
    layer.router.weight.data[:, 3] = -layer.router.weight.data[:, 4]
    layer.zero_grad()
    layer(X, tape)
    assert layer.backward(np.ones_like(X), tape).shape == X.shape
    tape.check_empty()
    assert not any(parameter.grad.any() for parameter in layer.experts[2].parameters())


def test_shares_of_the_experts():
    """Counted token by token: catches the experts of the first choice alone, and shares of another number of choices."""
    layer, counts = mixture(n_chosen=2), np.zeros(6)
    for place in np.ndindex(3, 4):
        counts[np.argsort(-X[place] @ layer.router.weight.data)[:2]] += 1
    np.testing.assert_allclose(layer.expert_shares(X), counts / 24, rtol=0, atol=1e-15)
    assert layer.expert_shares(X[:0]).tolist() == [0.0] * 6


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5)])
def test_no_token(shape):
    layer, tape = mixture(), Tape()
    y = layer(np.zeros(shape), tape)
    assert y.shape == layer.backward(y, tape).shape == shape


def test_rows_do_not_mix():
    """To rounding: how many rows an expert gets changes the order of its sums. NaN stays where it is."""
    layer, other = mixture(), X.copy()
    other[0] += np.nan
    np.testing.assert_allclose(layer(other)[1:], layer(X)[1:], rtol=0, atol=1e-13)


def task(balance=0.7, kind=NextToken, **settings):
    config = LlamaConfig(11, max_len=9, d_model=8, n_heads=2, n_layers=2, d_ff=5, n_experts=3, balance=balance)
    model = kind(Llama(config, rng=np.random.default_rng(0), dtype=np.float64), rng=np.random.default_rng(1), **settings)
    for parameter in model.parameters():
        parameter.data[...] = np.random.default_rng(2).normal(size=parameter.data.shape)
    return model


IDS = np.random.default_rng(3).integers(0, 11, (4, 7))
TARGETS = np.where(np.random.default_rng(4).random((4, 7)) < 0.3, -100, IDS)
LABELS = np.array([2, -100, 0, 1])
NEXT = np.pad(IDS[:, 1:], ((0, 0), (0, 1)), constant_values=-100)
# (task, its settings, a batch, what counts in it)
LOSSES = [
    (NextToken, {}, (IDS, TARGETS), TARGETS),
    (TextClasses, {"n_classes": 3, "pooling": "last"}, (IDS, LABELS), LABELS[:, None]),
    (Tags, {"n_classes": 11}, (IDS, TARGETS), TARGETS),
    (Spans, {}, (IDS, LABELS, LABELS), LABELS[:, None]),
    (HiddenWords, {"head": "untied"}, (IDS, TARGETS), TARGETS),
    (TextClassesNextToken, {"n_classes": 3}, (IDS, LABELS), NEXT),
]


@pytest.mark.parametrize(("kind", "settings", "batch", "targets"), LOSSES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_loss_has_the_balance_of_each_layer(kind, settings, batch, targets):
    """With and without a tape, with each row's share of what counts; measures know nothing of it. And the gradient."""
    model, without = (task(balance, kind, **settings) for balance in (0.7, 0.0))
    told = []
    for block in model.body.blocks:
        forward = block.feed_forward.f.forward

        def watched(x, tape=None, forward=forward, layer=block.feed_forward.f):
            logits = x @ layer.router.weight.data
            told.append(balance(logits, route(logits, 2)[1].experts)[0])
            return forward(x, tape)

        block.feed_forward.f.forward = watched
    loss = model.loss(*batch)
    shares = (targets != -100).sum(1) / (targets != -100).sum()
    assert len(told) == 2 and loss == pytest.approx(without.loss(*batch) + 0.7 * (shares @ sum(told)), rel=1e-12)
    assert model.loss(*batch, tape=Tape()) == loss
    assert model.measure([batch]) == without.measure([batch])
    model.zero_grad()
    tape = Tape()
    model.loss(*batch, tape=tape)
    model.loss_backward(tape)
    gradients = {path: parameter.grad for path, parameter in model.named_parameters()}
    check_loss_gradient(model, lambda: model.loss(*batch), gradients, 1e-6)


def test_decoding_knows_nothing_of_the_balance():
    np.testing.assert_array_equal(task()(IDS), task(balance=0.0)(IDS))


def test_threads_and_parts_see_the_same_loss():
    """Catches a balance of each shard: three threads of one and two rows, and parts one after the other."""
    losses, weights = [], []
    for options in ({"threads": 1}, {"threads": 3}, {"threads": 1, "accumulate": 2}):
        model = task()
        losses.append(Trainer(model, SGD(model, 0.1), **options).step(IDS, TARGETS))
        weights.append(model.body.blocks[0].feed_forward.f.router.weight.data)
    np.testing.assert_allclose(losses, losses[0], rtol=1e-12)
    np.testing.assert_allclose(weights[1:], [weights[0]] * 2, rtol=0, atol=1e-12)


def test_a_second_forward_in_backward_tells_nothing_twice():
    plain, checked = task(), task()
    checked.body.blocks = [Checkpoint(block) for block in checked.body.blocks]
    losses, gradients = [], []
    for model in (plain, checked):
        model.zero_grad()
        tape = Tape()
        for _ in range(2):  # the second time on the same tape
            losses.append(model.loss(IDS, TARGETS, tape))
            model.loss_backward(tape)
        assert len(tape.penalties) == 2
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert losses == [losses[0]] * 4
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_array_equal(one, other)


def test_balance_is_learned():
    """A router that sends nearly all to one expert spreads tokens when it is asked to, and not otherwise."""
    loads = {}
    for share in (0.0, 1.0):
        model = task(share)
        for block in model.body.blocks:
            block.feed_forward.f.router.weight.data *= 0.05
        trainer = Trainer(model, SGD(model, 0.1), threads=1)
        for _ in range(30):
            trainer.step(IDS, TARGETS)
        tape = Tape()
        model.body(IDS, tape)
        loads[share] = float(np.mean(tape.penalties))
    assert loads[1.0] < min(loads[0.0], 2.1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="MixtureOfExperts: n_chosen is 7, expected a whole number of at least 1, at most 6|n_chosen is 7"):
        mixture(n_chosen=7)
    with pytest.raises(ValueError, match="LlamaConfig: n_chosen is 2, expected at most n_experts, 1"):
        LlamaConfig(11, n_experts=1)
