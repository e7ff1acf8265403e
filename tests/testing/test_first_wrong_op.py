"""first_wrong_op: the walk that leads from a wrong model to the operation."""

import numpy as np
import pytest
from blocks import make_block

from tinytx import ops
from tinytx.layers import (
    LSTM,
    DecoderBlock,
    Embedding,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    MultiplicativeLSTM,
    RecurrentStack,
    Residual,
)
from tinytx.models import GPT, GPTConfig, Transformer, TransformerConfig
from tinytx.tasks import NextToken, task
from tinytx.testing import first_wrong_op
from tinytx.testing.walk import _watched_operations, _Watching

QUICK = {"mode": "directional", "directions": 1}


def gpt(n_layers):
    config = GPTConfig(vocab_size=7, max_len=5, d_model=4, n_heads=2, n_layers=n_layers, d_ff=6)
    return NextToken(GPT(config, rng=np.random.default_rng(0)))


@pytest.fixture
def model():
    """A walk that finds nothing looks at every layer, and last at the whole model: one block shows as much as two."""
    return gpt(1)


@pytest.fixture
def ids():
    return np.random.default_rng(1).integers(0, 7, (2, 4))


def test_a_right_model_has_none(model, ids):
    """A walk that always finds something would be no proof of anything."""
    before = {name: array.copy() for name, array in model.state_dict().items()}
    assert first_wrong_op(model, ids, **QUICK) is None
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


@pytest.mark.parametrize("name, position, tensor", [("attention", 1, "k"), ("layer_norm", 1, "weight"), ("linear", 0, "x")])
def test_names_the_operation(ids, monkeypatch, name, position, tensor):
    """A wrong operation is found at the first layer that uses it, by path, tensor and index."""
    right = getattr(ops, f"{name}_backward")

    def wrong(dy, saved, **options):
        gradients = list(right(dy, saved, **options))
        gradients[position] = 2 * gradients[position]
        return gradients

    monkeypatch.setattr(ops, f"{name}_backward", wrong)
    found = first_wrong_op(gpt(2), ids)
    path = {"attention": "body.blocks.0.attention.f.core", "layer_norm": "body.blocks.0.attention.norm"}
    assert found.op == name and found.tensor == tensor and found.index is not None
    assert found.path == path.get(name, "body.blocks.0.attention.f.query")
    assert f"ops.{name}_backward" in str(found) and "2" in found.report[tensor].hint


@pytest.mark.parametrize("kind", [LSTM, MultiplicativeLSTM])
def test_names_the_operation_of_a_recurrent_layer(monkeypatch, kind):
    """Catches a layer that holds its operation as it was when the class was made: the walk sees none then."""
    name = kind.cell.name
    right = getattr(ops, f"{name}_backward")

    def wrong(dy, saved):
        dx, *others = right(dy, saved)
        return 2 * dx, *others

    monkeypatch.setattr(ops, f"{name}_backward", wrong)
    stack = RecurrentStack([kind(3, 4, rng=np.random.default_rng(0))])
    found = first_wrong_op(stack, np.random.default_rng(1).normal(size=(2, 3, 3)))
    assert (found.path, found.layer, found.op, found.tensor) == ("layers.0", kind.__name__, name, "x")


def test_names_a_layer_whose_own_code_is_wrong(model, ids, monkeypatch):
    """A forgotten short cut is no operation's fault: the layer is named, and not one of its children."""

    def without_short_cut(self, dy, tape):
        return self.norm.backward(self.f.backward(self.dropout.backward(dy, tape), tape), tape)

    monkeypatch.setattr(Residual, "backward", without_short_cut)
    found = first_wrong_op(model, ids)
    assert (found.path, found.layer, found.op, found.tensor) == ("body.blocks.0.attention", "Residual", "", "x")


def test_names_a_shared_parameter(model, ids, monkeypatch):
    """A tied weight's second gradient overwrites the first: each layer alone is right, and the model is wrong."""

    def assigns(self, dy, tape):
        saved, *_ = tape.pop(self)
        self.weight.grad = ops.embedding_backward(dy, saved)

    monkeypatch.setattr(Embedding, "backward", assigns)
    found = first_wrong_op(model, ids, **QUICK)
    assert (found.path, found.tensor, found.shared_by) == ("", "body.token.weight", ["body.token", "head"])
    assert "shared" in str(found)


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lambda rng: Linear(4, 6, rng=rng), ["linear"]),
        (lambda rng: LayerNorm(4), ["layer_norm"]),
        (lambda rng: MultiHeadAttention(4, 2, rng=rng), []),
        (lambda rng: make_block(4, 2, 6, rng=rng), []),
    ],
)
def test_operations_of_children_are_not_the_layers_own(make, own):
    """Catches a layer that is charged with what its children call: each of them is a stop of the walk itself."""
    rng, tape = np.random.default_rng(0), _Watching()
    layer = make(rng)
    with _watched_operations(tape):
        layer(rng.normal(size=(2, 3, 4)).astype(np.float32), tape)
    called = tape.calls[id(layer)].operations
    assert [name for name, *_ in called] == own
    assert all(arguments for _, arguments, _ in called)


def doubled(monkeypatch, name, position):
    """Make one of the gradients of an operation twice as large."""
    right = getattr(ops, f"{name}_backward")

    def wrong(dy, saved, **options):
        gradients = right(dy, saved, **options)
        if position is None:
            return 2 * gradients
        return tuple(2 * g if i == position else g for i, g in enumerate(gradients))

    monkeypatch.setattr(ops, f"{name}_backward", wrong)


def transformer():
    config = TransformerConfig(7, 7, d_model=4, n_heads=2, d_ff=5, n_encoder_layers=1, n_decoder_layers=1, dropout=0.0)
    rng = np.random.default_rng(2)
    target = np.concatenate([np.full((2, 1), 1), rng.integers(3, 7, (2, 3))], axis=1)
    return Transformer(config, rng=rng), rng.integers(3, 7, (2, 5)), target


def test_a_decoder_that_forgets_half_of_the_memorys_gradient(monkeypatch):
    """The mistake is in a second input's gradient: no other would show it."""
    model, source, target = transformer()
    right = DecoderBlock.backward

    def wrong(self, dy, tape):
        dx, dmemory = right(self, dy, tape)
        return dx, 0.5 * dmemory

    monkeypatch.setattr(DecoderBlock, "backward", wrong)
    found = first_wrong_op(model, source, target, **QUICK)
    assert (found.path, found.layer, found.op, found.tensor) == ("decoder.blocks.0", "DecoderBlock", "", "memory")


def test_a_loss(model, ids, monkeypatch):
    """All layers are right: what is wrong is the loss's own operation."""
    monkeypatch.setattr(task, "LOGITS", 0)
    assert first_wrong_op(model.loss, ids[:, :-1], ids[:, 1:], **QUICK) is None
    doubled(monkeypatch, "linear_cross_entropy", 1)
    found = first_wrong_op(model.loss, ids[:, :-1], ids[:, 1:], **QUICK)
    assert (found.layer, found.op, found.tensor) == ("NextToken.loss", "linear_cross_entropy", "weight")


def test_a_layer_with_two_inputs(monkeypatch):
    x, memory = np.random.default_rng(3).normal(size=(2, 2, 4, 6))
    layer = MultiHeadAttention(6, 2, rng=np.random.default_rng(0))
    assert first_wrong_op(layer, x, memory, **QUICK) is None
    doubled(monkeypatch, "attention", 1)
    found = first_wrong_op(layer, x, memory, **QUICK)
    assert (found.layer, found.op, found.tensor) == ("DotProduct", "attention", "k")
