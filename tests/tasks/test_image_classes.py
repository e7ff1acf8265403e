"""Image classes: what the classifier reads, a body without what the task needs, a batch that its loss takes, learning."""

import numpy as np
import pytest

from tinytx.models import Bert, BertConfig, ViT, ViTConfig
from tinytx.tasks import ImageClasses, TextClasses
from tinytx.training import Adam, Trainer

CONFIG = ViTConfig(image_size=4, patch_size=2, n_channels=1, d_model=8, n_heads=2, n_layers=1)


def model_of(pooling="first", dtype=np.float64):
    rng = np.random.default_rng(0)
    return ImageClasses(ViT(CONFIG, rng=rng, dtype=dtype), n_classes=3, pooling=pooling, dropout=0.0, rng=rng)


@pytest.mark.parametrize(("pooling", "read"), [("first", lambda x: x[:, 0]), ("mean", lambda x: x.mean(1))])
def test_what_the_classifier_reads(pooling, read):
    """Catches BERT's pooler in front of it."""
    model, images = model_of(pooling), np.random.default_rng(1).normal(size=(2, 4, 4, 1))
    classifier = model.head.classifier
    expected = read(model.body(images)) @ classifier.weight.data + classifier.bias.data
    np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-12)
    assert model.head.pooler is None and model_of().asked.pooling == "first"


def test_a_random_batch_is_one_that_the_loss_takes():
    for dtype in (np.float32, np.float64):
        model = model_of(dtype=dtype)
        images, labels = model.random_batch(np.random.default_rng(0), 5, 64)
        assert images.dtype == dtype and images.shape == (5, 4, 4, 1) and np.isfinite(model.loss(images, labels))


def test_tokens_are_patches():
    assert model_of().n_tokens(np.zeros((5, 4, 4, 1))) == 5 * (4 + 1)


def test_a_body_of_texts_has_no_images():
    """A vocabulary is what tasks of texts need, and only they."""
    with pytest.raises(TypeError, match="TextClasses: the config of ViT has no vocab_size: give it vocab_size, the number of tok"):
        TextClasses(model_of().body, n_classes=3, rng=np.random.default_rng(0))
    body = Bert(BertConfig(9, d_model=8, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="ImageClasses: the config of Bert has no image_shape: give it d_model, .*image_shape, "):
        ImageClasses(body, rng=np.random.default_rng(0))


def test_bright_and_dark_are_learned_from_a_users_arrays():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 12)
    images = (rng.integers(0, 100, (12, 4, 4)) + 120 * labels[:, None, None]).astype(np.uint8)
    images = (images[..., None] / 255).astype(np.float32)
    model = model_of(dtype=np.float32)
    trainer = Trainer(model, Adam(model, 1e-2), threads=2)
    for _ in range(25):
        trainer.step(images, labels)
    assert model.measure([(images, labels)]) == {"accuracy": 1.0}
