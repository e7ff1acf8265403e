"""Next token: gradients of the loss, tied or not, in chunks and in shards; and a batch that is learned by heart."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_loss_gradient, check_shards_add_up, model_checks

from tinytx.core import Tape, TapeError
from tinytx.layers import Linear, LowRankLinear, Sequential
from tinytx.models import GPT, GPTConfig
from tinytx.state import State
from tinytx.tasks import NextToken


def config_of(**options):
    return GPTConfig(**{"vocab_size": 11, "max_len": 9, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7} | options)


def case_of(**options):
    make, config = Seeded(0), config_of(**options)
    return LayerCase(
        make,
        lambda dtype: NextToken.around(GPT, config, rng=np.random.default_rng(0), dtype=dtype),
        {},
        before=(make.ids(config.vocab_size, 3, 5),),
        shares=config.tied_head,
    )


def model_of(**options):
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of(**options)
    return case.bind(case.arrays)


def ids_of(*shape, vocab_size=11, seed=3):
    return np.random.default_rng(seed).integers(0, vocab_size, shape)


@model_checks
@pytest.mark.parametrize("tied", [True, False])
def test_property(tied, check):
    """Catches a tied head that adds one of two contributions, and a body that gets another's gradient."""
    check(case_of(tied_head=tied, n_layers=1), np.random.default_rng(0))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_loss_and_its_gradient(dropout):
    """Catches a loss and a gradient that divide by different counts."""
    model, ids, targets = model_of(dropout=dropout), ids_of(3, 5), ids_of(3, 5, seed=4)
    targets[0, :2] = -100
    tape = Tape(seed=1)
    model.zero_grad()
    assert 1 < model.loss(ids, targets, tape) < 10
    model.loss_backward(tape)
    tape.check_empty()
    assert model.count(ids, targets) == 13
    gradients = {path: parameter.grad for path, parameter in model.named_parameters()}
    check_loss_gradient(model, lambda: model.loss(ids, targets, Tape(seed=1)), gradients, 1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_loss_in_chunks_is_the_loss(tied, monkeypatch):
    """Catches a table's gradient that is not transposed back, or that is lost, where the logits do not exist whole."""
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2, tied_head=tied)
    model = NextToken.around(GPT, config, rng=np.random.default_rng(0), dtype=np.float64)
    ids, targets = np.random.default_rng(1).integers(0, 11, (2, 3, 7))
    results = []
    for most in (10**6, 1):
        monkeypatch.setattr("tinytx.tasks.task.LOGITS", most)
        model.zero_grad()
        tape = Tape()
        loss = model.loss(ids, targets, tape)
        kept = [array.shape[-1] for _, arrays, _ in tape.kept() for _, array in arrays if array.ndim]
        model.loss_backward(tape)
        tape.check_empty()
        results.append((loss, 11 in kept, {name: p.grad for name, p in model.named_parameters()}))
    (whole, _, expected), (chunked, logits_kept, found) = results
    assert abs(whole - chunked) < 1e-14 and not logits_kept
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-14, err_msg=name)


class Softened(Linear):
    """A head of one's own, which has a matrix but is not its product."""

    def forward(self, x, tape=None):
        return super().forward(x, tape) / 2

    def backward(self, dy, tape):
        return super().backward(dy / 2, tape)


def halved(head):
    """Replace both methods on the object."""
    forward, backward = head.forward, head.backward
    head.forward, head.backward = lambda x, tape=None: forward(x, tape) / 2, lambda dy, tape: backward(dy / 2, tape)
    return head


@pytest.mark.parametrize(
    "make",
    [
        lambda head, rng: LowRankLinear(head, 2, alpha=2, rng=rng),
        lambda head, rng: Sequential(Linear(6, 6, rng=rng, dtype=np.float64), head),
        lambda head, rng: Softened(6, 11, bias=False, rng=rng, dtype=np.float64),
        lambda head, rng: halved(head),
    ],
    ids=["low rank", "two maps", "subclass", "replaced"],
)
def test_heads_of_ones_own_are_called_in_a_large_batch_too(make, monkeypatch):
    """Catches a head of another kind that is refused, or taken for its matrix, where there are many logits."""
    model, rng, results = model_of(tied_head=False), np.random.default_rng(2), []
    model.head = make(model.head, rng)
    for parameter in model.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape)
    ids, targets = ids_of(2, 6), ids_of(2, 6, seed=4)
    for most in (10**6, 1):
        monkeypatch.setattr("tinytx.tasks.task.LOGITS", most)
        model.zero_grad()
        tape = Tape()
        loss = model.loss(ids, targets, tape)
        model.loss_backward(tape)
        results.append([np.array(loss), *(parameter.grad for parameter in model.parameters())])
    for whole, chunked in zip(*results, strict=True):
        np.testing.assert_array_equal(whole, chunked)


@pytest.mark.parametrize("most", [10**6, 1])
def test_shards_add_up_to_the_whole_batch(most, monkeypatch):
    """Catches dropout masks and counts that depend on how many threads shared the batch; in chunks of logits, too."""
    monkeypatch.setattr("tinytx.tasks.task.LOGITS", most)
    ids, targets = ids_of(5, 6), ids_of(5, 6, seed=4)
    targets[3:, 2:] = -100
    check_shards_add_up(model_of(dropout=0.3), ids, targets)


def test_a_tied_table_is_one_parameter():
    tied, untied = model_of(), model_of(tied_head=False)
    assert tied.head.weight is tied.body.token.weight
    assert "head.weight" not in tied.state_dict() and untied.state_dict()["head.weight"].shape == (6, 11)
    assert len(untied.parameters()) == len(tied.parameters()) + 1


def test_wrong_order_names_the_layer_in_the_model():
    model, tape = model_of(), Tape()
    model(ids_of(2, 5), tape)
    query = model.body.blocks[0].attention.f.query
    with pytest.raises(TapeError, match=r"backward of body\.blocks\.0\.attention\.f\.query ran, .* to save was head:"):
        query.backward(np.zeros((2, 5, 6)), tape)


@pytest.mark.parametrize("options", [{}, {"tied_head": False, "norm_order": "post", "activation": "relu", "n_layers": 1}])
def test_learns_one_batch_by_heart(options):
    """Catches a gradient of the wrong sign or scale: 60 steps of Adam, written out, from the usual start."""
    config = config_of(d_model=16, d_ff=32, **options)
    model = NextToken.around(GPT, config, rng=np.random.default_rng(0))
    ids = ids_of(4, 9)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    moments = [(np.zeros_like(p.data), np.zeros_like(p.data)) for p in model.parameters()]
    first = model.loss(inputs, targets)
    assert abs(first - np.log(11)) < 0.3  # nothing known yet: the log of the vocabulary
    for step in range(1, 61):
        model.zero_grad()
        tape = Tape()
        model.loss(inputs, targets, tape)
        model.loss_backward(tape)
        for parameter, (m, v) in zip(model.parameters(), moments, strict=True):
            m += 0.1 * (parameter.grad - m)
            v += 0.05 * (parameter.grad**2 - v)
            parameter.data -= 0.02 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8)
    assert model.loss(inputs, targets) < 0.1 * first


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match=r"target 11 at position \(1, 0\)"):
        model_of().loss(np.zeros((2, 1), int), np.array([[0], [11]]))


def test_a_head_of_its_own_needs_a_generator():
    with pytest.raises(ValueError, match="NextToken: this GPT's output layer shares no table.*give rng"):
        NextToken(GPT(config_of(tied_head=False), rng=np.random.default_rng(0)))


def test_measures():
    """Catches targets that count for nothing, and the loss of a batch that is not weighed by its targets."""
    model, (ids, targets) = model_of(), (ids_of(3, 5), ids_of(3, 5, seed=4))
    targets[0, 1:] = -100
    logits = model(ids)
    asked = targets != -100
    right = (logits.argmax(-1) == targets)[asked]
    measured = model.measure([(ids[:1], targets[:1]), (ids[1:], targets[1:])])
    assert measured == {"perplexity": pytest.approx(np.exp(model.loss(ids, targets))), "accuracy": right.mean()}


def test_last_logits_are_those_of_the_last_position():
    """Catches logits of the first position; and a prompt that is fed twice."""
    model, ids, state = model_of(), ids_of(3, 6), State()
    first, kept = model.begin(ids[:, :4])
    np.testing.assert_allclose(model.last_logits(first, *kept, state=state), model(ids[:, :4])[:, -1], rtol=1e-12)
    np.testing.assert_allclose(model.last_logits(ids[:, 4:], *kept, state=state), model(ids)[:, -1], rtol=1e-12)


def test_a_config_without_sizes_is_named():
    """Catches an AttributeError deep inside, for whoever writes a body of their own."""
    body = GPT(config_of(), rng=np.random.default_rng(0))
    body.config = object()
    with pytest.raises(TypeError, match="NextToken: the config of GPT has no vocab_size and no d_model: give it"):
        NextToken(body)
