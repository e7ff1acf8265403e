"""RoBERTa, a configuration of BERT: its positions, its published sizes, and large batches in parts."""

import numpy as np
import pytest
from sizes import Untold, n_parameters

from tinytx.models import Bert, BertConfig
from tinytx.models.bert import counted_places
from tinytx.tasks import HiddenWords
from tinytx.training import SGD, Trainer

PAD = 1
SIZES = {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 12, "dropout": 0.0}


def model_of(**options):
    """A model of random weights: by itself the table of positions would be nearly nothing."""
    model = HiddenWords.around(Bert, BertConfig.roberta(11, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for i, parameter in enumerate(model.parameters()):
        parameter.data[...] = np.random.default_rng(i).normal(size=parameter.data.shape)
    return model


def test_words_are_counted_from_pad_id_on():
    ids = np.array([[PAD, PAD, 5, 6], [5, PAD, 6, 7], [5, 6, 7, 8]])
    np.testing.assert_array_equal(counted_places(ids, PAD), [[1, 1, 2, 3], [2, 1, 3, 4], [2, 3, 4, 5]])
    np.testing.assert_array_equal(counted_places(ids + 3, 4), np.array([[4, 4, 5, 6], [5, 4, 6, 7], [5, 6, 7, 8]]))


@pytest.mark.parametrize("places", [[0, 1], [3], [0, 2, 5]])
def test_vectors_are_the_same_wherever_padding_stands(places):
    """Catches positions from the left, which a text with padding before it would not have in training."""
    body, ids = model_of().body, np.array([[5, 6, 7, 8, 9, 3]])
    padded = np.insert(ids, places, PAD, axis=1)
    np.testing.assert_allclose(body(padded)[padded != PAD], body(ids)[0], rtol=0, atol=1e-12)
    assert np.abs(body(np.roll(ids, 1, axis=1))[0, 1] - body(ids)[0, 0]).max() > 1e-3  # positions matter


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 124_697_433), ({"d_model": 1024, "n_layers": 24, "n_heads": 16}, 355_412_057)],
    ids=["base", "large"],
)
def test_published_sizes(options, expected):
    """With the head of words; base is counted in transformers, large has 355,359,744 with the pooler in the head's place."""
    config = BertConfig.roberta(**options)
    model = HiddenWords.around(Bert, config, rng=Untold())
    assert n_parameters(model) == expected
    assert model.body.encoder.place.weight.data.shape[0] == config.max_len + 2 == 514


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_a_large_batch_in_parts_has_the_gradient_of_the_whole(parts):
    """Parts hide unequal numbers of words, one of them none: a mean of means would be another gradient."""
    rng = np.random.default_rng(4)
    ids = rng.integers(2, 11, (6, 7))
    targets = np.where(rng.random(ids.shape) < np.arange(6)[:, None] / 6, ids, -100)
    assert (targets[0] == -100).all()
    found = []
    for accumulate in (1, parts):
        model = model_of(dropout=0.3)
        trainer = Trainer(model, SGD(model, 0.0), threads=1, accumulate=accumulate, clip=None, seed=3)
        loss = trainer.step(ids, targets)
        found.append((loss, [parameter.grad for parameter in model.parameters()]))
    (loss, whole), (summed, added) = found
    assert summed == pytest.approx(loss, rel=1e-13)
    for one, other in zip(added, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * max(1, np.abs(other).max()))
