"""Batches of images: each once in an epoch, moved by a few pixels, the same at the same step, and what is refused."""

import numpy as np
import pytest

from tinytx.data import ImageBatches

IMAGES = np.arange(1, 7 * 12 + 1, dtype=np.float32).reshape(7, 4, 3, 1)
LABELS = np.arange(7) % 3


def test_each_image_once_in_an_epoch_with_its_label():
    batches = ImageBatches(IMAGES, LABELS, batch_size=3, seed=5)
    assert len(batches) == 3
    orders = []
    for epoch in (0, 1):
        images, labels = (np.concatenate(parts) for parts in zip(*batches.epoch(epoch)))
        order = ((images[:, 0, 0, 0] - 1) / 12).astype(int)
        np.testing.assert_array_equal(images, IMAGES[order])
        np.testing.assert_array_equal(labels, LABELS[order])
        assert sorted(order) == list(range(7))
        orders.append(order.tolist())
    assert orders[0] != orders[1]
    again = ImageBatches(IMAGES, LABELS, batch_size=3, seed=5, shift=1)
    np.testing.assert_array_equal(again(4)[0], again.batch(4)[0])


def test_images_are_moved_and_zeros_move_in():
    """Catches pixels that come in again at the other side, images that all move alike, and a move that is too far."""
    batches, places = ImageBatches(IMAGES[:1], [1], batch_size=1, seed=0, shift=1), set()
    for step in range(60):
        ((image,), _) = batches(step)
        wide = np.pad(IMAGES[0], ((1, 1), (1, 1), (0, 0)))
        fitting = [(i, j) for i in range(3) for j in range(3) if (wide[i : i + 4, j : j + 3] == image).all()]
        assert len(fitting) == 1
        places |= set(fitting)
    assert len(places) == 9
    images, _ = ImageBatches(np.repeat(IMAGES[:1], 20, 0), np.ones(20, int), batch_size=20, seed=0, shift=2)(0)
    assert len({image.tobytes() for image in images}) > 5


@pytest.mark.parametrize(
    ("images", "labels", "options", "says"),
    [
        (IMAGES[..., 0], LABELS, {}, r"images are float32 of shape \(7, 4, 3\), expected float32 or float64 of shape \(N, height"),
        (IMAGES.astype(np.uint8), LABELS, {}, "images are uint8 of shape"),
        (IMAGES[:0], LABELS[:0], {}, "images are float32 of shape .*N at least 1"),
        (IMAGES, LABELS[:6], {}, r"labels are int64 of shape \(6,\), expected integers of shape \(7,\), one for each image"),
        (IMAGES, LABELS / 2, {}, "labels are float64"),
        (IMAGES, LABELS, {"shift": 4}, "shift is 4"),
        (IMAGES, LABELS, {"batch_size": 0}, "batch_size is 0"),
        (IMAGES, LABELS, {"seed": -1}, "seed is -1"),
    ],
)
def test_what_does_not_fit_is_named(images, labels, options, says):
    with pytest.raises((TypeError, ValueError), match=f"ImageBatches: {says}"):
        ImageBatches(images, labels, **{"batch_size": 2, "seed": 0} | options)
