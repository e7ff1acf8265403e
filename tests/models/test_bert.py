"""BERT, the body: what each word sees, segments, and the parts and weights that configs ask for."""

import numpy as np
import pytest
from bert_cases import PAD, V, batch_of, model_of

from tinytx.layers import Embedding, LayerNorm, Linear
from tinytx.models import Bert, BertConfig
from tinytx.tasks import HiddenWords

UNTIED, PAIRS = {"head": "untied"}, {"next_sentence": True}


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_every_word_is_seen_from_everywhere(variant):
    """Catches a causal mask, and padding that is masked in the tutorial's model, or not in the paper's."""
    model = model_of(variant).body
    ids, *_ = batch_of(model.config)
    expected, (row, length) = model(ids), (2, 6)
    for t in range(length):
        other = ids.copy()
        other[row, t] = 8 if other[row, t] != 8 else 9
        assert (np.abs(model(other)[row, :length] - expected[row, :length]).max(-1) > 1e-9).all(), t
    model.encoder.token.weight.data[PAD] += np.arange(6)  # what padding says
    moved = np.abs(model(ids)[row, :length] - expected[row, :length]).max(-1)
    assert (moved > 1e-9).all() if variant == "tutorial" else (moved == 0).all()


def test_rows_of_a_batch_are_independent():
    model = model_of().body
    ids, _, segments, _ = batch_of(model.config)
    expected = model(ids, segments=segments)
    ids[0] = (ids[0] + 1) % V
    np.testing.assert_array_equal(model(ids, segments=segments)[1:], expected[1:])


def test_missing_segments_are_zeros():
    model = model_of().body
    ids = batch_of(model.config)[0]
    np.testing.assert_array_equal(model(ids), model(ids, segments=np.zeros_like(ids)))
    assert (np.abs(model(ids) - model(ids, segments=np.ones_like(ids))).max(-1)[ids != PAD] > 1e-6).all()


def test_dropout_is_where_the_tutorial_has_it():
    """Catches dropout on the embeddings, or none inside the feed-forward layers; the paper has it the other way."""

    def rates(config):
        encoder = Bert(config, rng=np.random.default_rng(0)).encoder
        attention, feed_forward = encoder.blocks[0].attention, encoder.blocks[0].feed_forward
        parts = encoder.dropout, attention.f.core, attention.dropout, feed_forward.f.dropout, feed_forward.dropout
        return [part.p for part in parts]

    assert rates(BertConfig.tutorial(20)) == [0.0, 0.1, 0.1, 0.1, 0.1]
    assert rates(BertConfig(20, d_model=12, n_layers=1)) == [0.1, 0.1, 0.1, 0.0, 0.1]


def test_the_tutorials_parts():
    model = HiddenWords.around(Bert, BertConfig.tutorial(20, n_layers=2), rng=np.random.default_rng(0), settings=UNTIED)
    assert len(model.body.encoder.blocks) == 2 and model.body.encoder.norm and model.body.encoder.embedding_norm is None
    assert model.next_sentence is None and model.body.encoder.segment is None and model.config.pad_id == 17


def test_initial_weights_are_those_of_the_paper():
    state = HiddenWords.around(Bert, BertConfig(99, d_model=64, n_heads=4, n_layers=2), rng=np.random.default_rng(0), settings=PAIRS).state_dict()
    for path, array in state.items():
        if path.endswith("bias"):
            assert not array.any(), path
        elif "norm" in path:
            assert (array == 1).all(), path
        else:
            assert abs(array.std() / 0.02 - 1) < 5 / np.sqrt(array.size), path


def test_initial_weights_are_those_of_pytorch():
    """Catches another fan, and biases at 0: a linear map's are both uniform in +-1/sqrt(d_in), embeddings normal."""
    config = BertConfig(99, d_model=64, n_heads=4, n_layers=2, init="pytorch")
    model = HiddenWords.around(Bert, config, rng=np.random.default_rng(0), settings=PAIRS | UNTIED)
    for path, layer in model.named_layers():
        if isinstance(layer, Linear):
            bound = 1 / np.sqrt(len(layer.weight.data))
            for array in [layer.weight.data] + ([layer.bias.data] if layer.bias else []):
                assert np.abs(array).max() <= bound, path
                assert array.size < 50 or abs(array.std() / (bound / np.sqrt(3)) - 1) < 4 / np.sqrt(array.size), path
        elif isinstance(layer, Embedding):
            assert abs(layer.weight.data.std() - 1) < 5 / np.sqrt(layer.weight.data.size), path


def test_initial_weights_by_fan_in():
    """Catches biases that are drawn, and embeddings as wide as PyTorch's, whose logits would be far from 0."""
    body = Bert(BertConfig(99, d_model=64, n_heads=4, n_layers=2, init="fan_in"), rng=np.random.default_rng(0))
    for path, layer in body.named_layers():
        if isinstance(layer, Linear):
            spread = 1 / np.sqrt(3 * len(layer.weight.data))
            assert abs(layer.weight.data.std() / spread - 1) < 4 / np.sqrt(layer.weight.data.size), path
            assert not layer.bias.data.any(), path
        elif isinstance(layer, Embedding):
            assert abs(layer.weight.data.std() / 0.02 - 1) < 5 / np.sqrt(layer.weight.data.size), path


@pytest.mark.parametrize(("make", "eps"), [(BertConfig, 1e-12), (BertConfig.tutorial, 1e-5)])
def test_every_norm_has_the_configs_eps(make, eps):
    """Catches a norm that keeps its default: 1e-12 and 1e-5 differ where a row is nearly constant."""
    model = HiddenWords.around(Bert, make(20, d_model=16, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    assert {layer.eps for _, layer in model.named_layers() if isinstance(layer, LayerNorm)} == {eps}
