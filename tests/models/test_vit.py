"""ViT: settings that reach its layers, what positions are for, images that do not fit, its size, its gradient by the pixels."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.layers import Dropout, GridPositions, LayerNorm, LearnedPositions, MultiHeadAttention
from tinytx.models import ViT, ViTConfig
from tinytx.ops import sinusoidal_grid
from tinytx.tasks import ImageClasses
from tinytx.viz import attention_maps

SIZES = {"image_size": 6, "patch_size": 2, "n_channels": 2, "d_model": 8, "n_heads": 2, "n_layers": 2}
IMAGES = np.random.default_rng(0).normal(size=(3, 6, 6, 2))
SIMPLE = {"class_token": False, "positions": "sinusoidal"}


def vit(**options):
    body = ViT(ViTConfig(**SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for parameter in body.parameters():
        parameter.data[...] = np.random.default_rng(1).normal(size=parameter.data.shape)
    return body


def permuted(images, order):
    """Move whole patches of 2 x 2 pixels of images of 6 x 6."""
    squares = images.reshape(-1, 3, 2, 3, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 9, 2, 2, 2)[:, order]
    return squares.reshape(-1, 3, 3, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(images.shape)


ORDER = np.random.default_rng(2).permutation(9)


@pytest.mark.parametrize(("class_token", "pooling"), [(False, "mean"), (True, "first")])
def test_without_positions_the_order_of_patches_says_nothing(class_token, pooling):
    """And with them it does, both kinds: catches positions that reach no patch, or one patch alone."""
    for positions in ("none", "learned", "sinusoidal"):
        body = vit(class_token=class_token, positions=positions)
        model = ImageClasses(body, n_classes=4, pooling=pooling, dropout=0.0, rng=np.random.default_rng(3))
        change = np.abs(model(permuted(IMAGES, ORDER)) - model(IMAGES)).max()
        assert change < 1e-12 if positions == "none" else change > 1e-2, positions


def test_the_gradient_of_the_pixels():
    """Along a direction: what an image's change does to a loss."""
    for options in ({}, SIMPLE):
        body = vit(n_layers=1, **options)
        tape, dy = Tape(), np.random.default_rng(4).normal(size=body(IMAGES).shape)
        body(IMAGES, tape)
        dimages, v, h = body.backward(dy, tape), np.random.default_rng(5).normal(size=IMAGES.shape), 1e-5
        tape.check_empty()
        slope = ((body(IMAGES + h * v) - body(IMAGES - h * v)) * dy).sum() / (2 * h)
        assert dimages.shape == IMAGES.shape and slope == pytest.approx((dimages * v).sum(), rel=1e-6)


def test_settings_reach_the_layers():
    body = vit(eps=0.3, dropout=0.2, attention_dropout=0.4, d_ff=11, activation="relu")
    layers = [layer for _, layer in body.named_layers()]
    assert {layer.eps for layer in layers if isinstance(layer, LayerNorm)} == {0.3}
    assert {layer.p for layer in layers if isinstance(layer, Dropout)} == {0.2, 0.0}  # 0 inside the feed-forward layers
    assert {layer.core.p for layer in layers if isinstance(layer, MultiHeadAttention)} == {0.4}
    assert {block.feed_forward.f.expand.weight.data.shape for block in body.blocks} == {(8, 11)}
    assert {block.feed_forward.norm_order for block in body.blocks} == {"pre"} and body.dropout.p == 0.2
    assert isinstance(body.position, LearnedPositions) and body.position.weight.data.shape == (10, 8)
    grid = vit(positions="sinusoidal").position
    assert isinstance(grid, GridPositions) and not grid.table[0].any()
    np.testing.assert_array_equal(grid.table[1:], sinusoidal_grid(3, 3, 8, np.float64))
    np.testing.assert_array_equal(vit(**SIMPLE).position.table, sinusoidal_grid(3, 3, 8, np.float64))
    assert vars(ViTConfig.simple(**SIZES)) == vars(ViTConfig(**SIZES, **SIMPLE))


def test_the_published_size():
    """ViT-B/16 with a classifier of 1,000 classes, counted and not made: 86,567,656 (Dosovitskiy et al. 2020, table 1: 86 M)."""
    config = ViTConfig()
    d, f, n = config.d_model, 4 * config.d_model, config.max_len
    block = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d
    assert 12 * block + (3 * 256 * d + d) + d + n * d + 2 * d + (d * 1000 + 1000) == 86_567_656
    small = ImageClasses(vit(), n_classes=5, rng=np.random.default_rng(0))
    d, f, n = 8, 32, 10
    block = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d
    expected = 2 * block + (2 * 4 * d + d) + d + n * d + 2 * d + (d * 5 + 5)
    assert sum(parameter.data.size for parameter in small.parameters()) == expected


def test_maps_of_attention():
    """The method of all models: each patch, and the class token first."""
    maps = attention_maps(vit(), IMAGES)
    assert [(path, p.shape) for path, p in maps.items()] == [(f"blocks.{i}.attention.f", (3, 2, 10, 10)) for i in (0, 1)]
    np.testing.assert_allclose(maps["blocks.1.attention.f"].sum(-1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (IMAGES[:, :, :, 0], r"images have shape \(3, 6, 6\), expected \(B, 6, 6, 2\), \(B, height, width, channels\)"),
        (IMAGES[0], r"images have shape \(6, 6, 2\), expected"),
        (IMAGES[:, :4], r"images have shape \(3, 4, 6, 2\)"),
        (np.zeros((1, 6, 6, 2), np.uint8), r"images are uint8, expected float64, as the weights: \(images / 255\).astype\(np.float64\)"),
        (IMAGES.astype(np.float32), r"images are float32, expected float64, as the weights: images.astype\(np.float64\)"),
        ([[1, 2]], "images are int64"),
    ],
)
def test_images_that_do_not_fit_are_named(images, says):
    with pytest.raises((TypeError, ValueError), match=f"ViT: {says}"):
        vit()(images)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"patch_size": 4}, "patch_size 4 does not divide image_size 6"),
        ({"n_heads": 3}, "n_heads 3 does not divide d_model 8"),
        ({"d_model": 6, "positions": "sinusoidal"}, "d_model is 6, expected a multiple of 4, at least 8, for sinusoidal positions"),
        ({"d_model": 4, "positions": "sinusoidal"}, "d_model is 4, expected a multiple of 4"),
        ({"positions": "rotary"}, "positions is 'rotary'"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ValueError, match=f"ViTConfig: {says}"):
        ViTConfig(**SIZES | options)
