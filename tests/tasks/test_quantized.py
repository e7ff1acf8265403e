"""Models with weights in 8 bits: those of the rounded floats, in every model of the table; neither trained nor saved."""

import copy

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Layer, Tape
from tinytx.decoding import greedy
from tinytx.layers import Embedding, Linear, Sequential, TiedLinear
from tinytx.layers.quantized import QuantizedEmbedding, QuantizedLinear, quantized
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import SGD, Trainer, save_checkpoint


def rounded_floats(task):
    """Return a copy of a task whose weights are multiples of each output's step: what 8 bits can say, as floats."""
    other, done = copy.deepcopy(task), set()
    for _, layer in other.named_layers():
        if type(layer) in (Linear, TiedLinear, Embedding) and id(layer.weight) not in done:
            done.add(id(layer.weight))
            w = layer.weight.data
            step = np.abs(w).max(axis=0 if type(layer) is Linear else 1, keepdims=True) / 127
            w[...] = np.rint(w / step) * step
    return other, len(done)


@pytest.mark.parametrize("name", MODEL_CASES)
def test_it_is_the_model_of_the_rounded_weights(name):
    task, batch = MODEL_CASES[name](np.float64)
    before = {path: array.copy() for path, array in task.state_dict().items()}
    other, n = rounded_floats(task)
    small = task.quantized()
    kinds = [type(layer) for _, layer in small.named_layers()]
    assert not {Linear, TiedLinear, Embedding} & set(kinds)
    assert (QuantizedLinear in kinds or QuantizedEmbedding in kinds) == (n > 0)
    np.testing.assert_allclose(small.loss(*batch), other.loss(*batch), rtol=1e-3)  # inputs are rounded, too
    for path, array in task.state_dict().items():
        np.testing.assert_array_equal(array, before[path])


@pytest.fixture
def model():
    return NextToken(GPT(GPTConfig(vocab_size=11, max_len=8, d_model=8, n_heads=2, n_layers=2), rng=np.random.default_rng(0)))


def test_it_decodes_and_shares_what_stays_floats(model):
    small = model.quantized()
    decoded = greedy(small, np.array([[1, 2, 3], [4, 5, 6]]), 5)
    again = rounded_floats(model)[0]
    np.testing.assert_array_equal(decoded.ids, greedy(again, np.array([[1, 2, 3], [4, 5, 6]]), 5).ids)
    assert small.head.weight is small.body.token.weight  # one table for both, as in the model
    norm, own = small.body.blocks[0].attention.norm.weight, model.body.blocks[0].attention.norm.weight
    assert norm.data is own.data
    assert type(model.head) is TiedLinear


def test_weights_that_are_not_finite_are_named(model):
    model.body.blocks[1].attention.f.key.weight.data[2, 5] = np.nan
    place = "NextToken: body.blocks.1.attention.f.key: quantize_rows: row 5 of weight has a largest size of nan, expected finite numbers"
    with pytest.raises(ValueError, match=f"^{place}: load a checkpoint from before the loss was NaN$"):
        model.quantized()


def test_a_layer_at_two_places_stays_one():
    shared = Linear(4, 4, rng=np.random.default_rng(0))
    small = quantized(Sequential(shared, Sequential(shared), shared))
    layers = [layer for _, layer in small.named_layers() if isinstance(layer, QuantizedLinear)]
    assert len(layers) == 1
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(small(x), layers[0](layers[0](layers[0](x))))


def test_a_layer_whose_forward_was_replaced_stays():
    """Catches a layer of one's own that is taken for one of its class."""
    linear = Linear(3, 3, rng=np.random.default_rng(0))
    linear.forward = lambda x, tape=None: x * 5
    x = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(quantized(Sequential(linear))(x), x * 5)


def test_a_linear_map_with_the_weights_of_an_embedding():
    """Catches steps of rows where a layer has steps of columns: one reads the weights transposed, the other as they are."""
    rng = np.random.default_rng(0)
    table, linear = Embedding(5, 7, rng=rng), Linear(5, 7, bias=False, rng=rng)
    table.weight.data[...] *= np.arange(1, 8, dtype=np.float32) ** 3
    linear.weight = table.weight
    for layers in ([table, linear], [linear, table]):
        small = dict(zip(layers, quantized(Sequential(*layers)).layers))
        one = np.eye(5, dtype=np.float32)
        for layer, x in ((table, np.arange(5)), (linear, one)):
            np.testing.assert_allclose(small[layer](x), layer(x), atol=0.01 * abs(table.weight.data).max())


def test_layers_in_lists_tuples_and_dicts_are_replaced():
    class Held(Layer):
        def __init__(self):
            self.parts = [{"a": (make(), [make()])}, make()]

        def forward(self, x, tape=None):
            return self.parts[1](self.parts[0]["a"][0](self.parts[0]["a"][1][0](x, tape), tape), tape)

    def make():
        return Linear(3, 3, rng=np.random.default_rng(0))

    small = quantized(Held())
    assert [type(layer) for _, layer in small.named_layers()] == [Held, *[QuantizedLinear] * 3]


def test_training_and_saving_say_what_to_do(model, tmp_path):
    small, ids = model.quantized(), np.zeros((1, 4), int)
    with pytest.raises(TypeError, match="QuantizedLinear: weights in 8 bits have no gradient: train the model"):
        Trainer(small, SGD(small, 0.1), threads=1).step(ids, ids)
    with pytest.raises(TypeError, match="QuantizedLinear: weights in 8 bits have no gradient"):
        small.head.add_matrix_grad(np.zeros((8, 11), np.float32))
    with pytest.raises(ValueError, match="QuantizedEmbedding: body.token has weights in 8 bits, .*: save or load the model"):
        save_checkpoint(tmp_path, small)
    with pytest.raises(ValueError, match="after loading"):
        small.load_state_dict(model.state_dict())
    assert not list(tmp_path.iterdir())


def test_the_bound_of_each_layer_holds():
    """Equation (6) of ``quantized_linear.py``, with what summing floats adds."""
    rng = np.random.default_rng(0)
    layer = Linear(96, 40, rng=rng)
    small, x = quantized(Sequential(layer)), rng.normal(size=(20, 96)).astype(np.float32)
    error = np.abs(small(x) - x.astype(np.float64) @ layer.weight.data.astype(np.float64))
    steps = np.abs(layer.weight.data).max(axis=0) / 127
    weights = np.abs(np.rint(layer.weight.data / steps)).sum(axis=0)
    bound = steps / 2 * (np.abs(x).sum(axis=1, keepdims=True) + np.abs(x).max(axis=1, keepdims=True) / 32767 * weights)
    assert (error < 1.001 * bound).all()
    assert error.max() > 0.05 * bound.max()


def test_a_tape_is_left_as_it_was(model):
    """Penalties of layers are reported to a tape where nothing is trained."""
    tape, small = Tape(), model.quantized()
    small.head(np.ones((1, 8), np.float32), tape)
    assert len(tape) == 0
